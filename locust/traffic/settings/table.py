"""The table of all options.

To add one, add a row here and its field to `Settings`, and run `scripts/option_lists.py`.
"""

from traffic.core.lease_terms import LEASE_S
from traffic.core.pace.config import TIME_FORMATS
from traffic.core.protocol import CATCH_UP, TIMEOUT_S
from traffic.core.reading import BODIES, DELIMITERS, REQUESTS
from traffic.core.results import OFF, WHICH
from traffic.settings import rate_text
from traffic.settings.option import Option
from traffic.settings.readers import (
    LARGEST,
    audit_source,
    certificate,
    check_lines,
    column_types,
    dead_letters,
    decimal,
    delimiter,
    file_path,
    header_lines,
    member,
    methods,
    one_of,
    optional,
    outcomes,
    pointer,
    seed,
    stamp,
    switch,
    url_path,
    wait,
    whole,
    whole_or_off,
)

DEFAULT_FILE = "data/traffic.json"
DEFAULT_STATE_DIR = "state"
ORDERS = ("random", "file")
DEAD_LETTERS = "dead-letters"
# What --traffic-retry-after is by default.
RUN = "run"
# What --traffic-resume may be besides a run's id.
LATEST, NONE = "last", "no"
# What --traffic-on-term may be.
STOP, SUSPEND = "stop", "suspend"
# What --traffic-other-host and --traffic-again may be.
YES = "yes"


def _switch(name: str, word: str, help_text: str) -> Option:
    """Make the option of a form's field that is empty, or is this word."""
    choices = ("", word)
    return Option(name, "", help_text, switch(word), in_form=True, choices=choices, bare=word, example=word)


OPTIONS = (
    Option(
        "traffic_file",
        DEFAULT_FILE,
        "File of the records: a JSON array, JSON Lines or CSV",
        file_path,
        in_form=True,
        called="Traffic file",
    ),
    Option(
        "traffic_records",
        BODIES,
        "What the records are: bodies, or whole requests (lines of requests, HAR, .gor, access logs)",
        one_of(BODIES, REQUESTS),
        in_form=True,
        choices=(BODIES, REQUESTS),
        called="What the records are",
    ),
    Option(
        "traffic_methods",
        "",
        "Methods of the requests that are sent, with commas between them; empty: all, but of a log only GET and HEAD",
        methods,
        example="GET,HEAD",
    ),
    Option(
        "traffic_keep_host",
        "",
        "Whether requests are sent with the Host that was recorded: yes; empty: with that of the API",
        switch(YES),
        bare=YES,
        example=YES,
    ),
    Option(
        "traffic_delimiter",
        "",
        "What stands between the fields of CSV: comma, semicolon, tab or pipe; empty: as the file looks",
        delimiter,
        in_form=True,
        choices=("", *DELIMITERS.values()),
        called="Delimiter of CSV",
        example="semicolon",
    ),
    Option(
        "traffic_csv_types",
        "",
        "Types of CSV's columns: price=number, ok=boolean, note=null, extra=json; auto: as they look; empty: strings",
        column_types,
        in_form=True,
        called="Types of CSV's columns",
        example="price=number,ok=boolean",
    ),
    Option(
        "traffic_csv_body",
        "",
        "Column of CSV whose cell is the body as it stands; empty: each row is an object",
        str,
        in_form=True,
        called="Column of CSV with the body",
        example="payload",
    ),
    Option(
        "traffic_order",
        "random",
        "Order of the records: shuffled by the seed, or as in the file",
        one_of(*ORDERS),
        in_form=True,
        choices=ORDERS,
    ),
    Option(
        "traffic_seed",
        "",
        "Seed of the random order, a whole number; empty: a new one each run",
        seed,
        in_form=True,
        example="1",
    ),
    Option(
        "traffic_wait",
        "0.1-0.9",
        "Seconds a user waits between requests: MIN-MAX, 0 for none",
        wait,
        in_form=True,
        called="Wait between requests",
    ),
    Option(
        "traffic_rate",
        "",
        "Records a second in all, such as 500/s or 30/m, or a profile; empty: as fast as the users send",
        optional(rate_text.rate),
        in_form=True,
        example="50/s",
    ),
    Option(
        "traffic_duration",
        "",
        "How long the whole run takes, such as 10m, in the place of a rate; empty: as the rate says",
        optional(rate_text.duration),
        in_form=True,
        example="10m",
    ),
    Option(
        "traffic_time",
        "",
        "Member, or JSON Pointer, of each record that says when it is due; empty: none does",
        optional(member),
        in_form=True,
        called="Member with the time",
        example="timestamp",
    ),
    Option(
        "traffic_time_format",
        "auto",
        "What these times are: iso, s, ms, us or ns since 1970; auto: as the first one looks",
        one_of(*TIME_FORMATS),
    ),
    Option(
        "traffic_speed",
        "1",
        "How many times as fast as recorded, such as 2 or 0.5",
        rate_text.speed,
        in_form=True,
        called="Times as fast as recorded",
        example="2",
    ),
    Option(
        "traffic_max_gap",
        "",
        "Longest time between two records that follow recorded times, such as 5s; empty: as recorded",
        optional(rate_text.duration),
        example="5s",
    ),
    Option(
        "traffic_arrivals",
        "even",
        "How a run with a rate spreads its records: even, or poisson, as independent people send them",
        one_of("even", "poisson"),
    ),
    Option(
        "traffic_catch_up",
        f"{CATCH_UP:g}",
        "How many times the rate is allowed for records that are overdue; 1: the rest of the run shifts",
        decimal(1, 1000),
    ),
    Option(
        "traffic_retry_after",
        RUN,
        "What waits if the API asks to (429 or 503 with Retry-After): the run, and no attempt counts, or each record",
        one_of(RUN, "record"),
    ),
    Option(
        "traffic_hold_max",
        "1h",
        "How long the run waits for the API by itself, such as 90s or 1h; longer: a person has to let it go on",
        rate_text.duration,
    ),
    Option(
        "traffic_limit",
        "",
        "Most records to send; empty: all of the file",
        optional(whole(1, LARGEST)),
        in_form=True,
        example="1000",
    ),
    Option("traffic_offset", "0", "Records to skip at the beginning of the file", whole(0, LARGEST), in_form=True),
    Option(
        "traffic_schema",
        "",
        "File of a JSON Schema that every record must pass; empty: none",
        optional(file_path),
        example="data/schema.json",
    ),
    Option(
        "traffic_path",
        "/",
        "Path that the records are sent to; members of a record stand in braces: /users/{id}/messages{?lang}",
        url_path,
    ),
    # These methods carry a body (RFC 9110 9.3).
    Option(
        "traffic_method",
        "POST",
        "HTTP method that the records are sent with: POST, PUT or PATCH",
        one_of("POST", "PUT", "PATCH"),
    ),
    Option(
        "traffic_header",
        "",
        "Headers of every request, Name: value, one on each line, or each by a flag of its own; no secrets",
        header_lines,
        in_form=True,
        called="Headers",
        many=True,
        example="X-Tenant: 7",
    ),
    Option(
        "traffic_header_file",
        "",
        "File of headers that are secrets, one on each line: the workers read it, again if it changes, and after a 401",
        optional(file_path),
        example="secrets/headers",
    ),
    Option(
        "traffic_ca_file",
        "",
        "File of the certificates that the workers trust instead of the system's, for https",
        optional(str),
        example="secrets/ca.pem",
    ),
    Option(
        "traffic_client_cert",
        "",
        "Certificate of the workers for https, a PEM file with its key, or CERTIFICATE,KEY",
        optional(certificate),
        example="secrets/client.pem",
    ),
    Option(
        "traffic_insecure",
        "",
        "Whether the workers accept any certificate: yes; empty: only a valid one",
        switch(YES),
        bare=YES,
        example=YES,
    ),
    Option(
        "traffic_stamp",
        "",
        "Member that is added to each record, with the time at which it was first handed out: sent_at, or sent_at=ms",
        optional(stamp),
        in_form=True,
        called="Member with the time of sending",
        example="sent_at",
    ),
    Option(
        "traffic_timeout",
        f"{TIMEOUT_S:g}",
        "Seconds that a user waits for an answer, whole or decimal",
        decimal(0.1, 3600),
    ),
    Option(
        "traffic_lease",
        f"{LEASE_S:g}",
        "Seconds that a worker may be silent before the other workers get its records",
        decimal(0.5, 300),
    ),
    Option("traffic_max_attempts", "5", "Attempts for one record before it becomes a dead letter", whole(1, 1000)),
    Option(
        "traffic_policy",
        "at-least-once",
        "Whether a record whose answer is unknown is sent again: at-least-once, or at-most-once",
        one_of("at-least-once", "at-most-once"),
    ),
    Option(
        "traffic_outcomes",
        "",
        "What statuses mean, with commas between them: delivered, rejected or retry; empty: as --traffic-policy says",
        outcomes,
        in_form=True,
        example="409=delivered, 3xx=rejected",
    ),
    Option(
        "traffic_reject_if",
        "",
        "JSON Pointer into the answer, such as /errors: if something stands there, the record is not delivered",
        pointer,
        in_form=True,
        called="Rejected if the answer has",
        example="/errors",
    ),
    Option(
        "traffic_deliver_if",
        "",
        "JSON Pointer into the answer, such as /saved: only if something stands there, the record is delivered",
        pointer,
        in_form=True,
        called="Delivered if the answer has",
        example="/saved",
    ),
    Option(
        "traffic_brake",
        "50",
        "Pause the run if nearly all of so many latest answers refuse the record with one status; off: never",
        whole_or_off(10, 100_000),
        in_form=True,
    ),
    Option(
        "traffic_check",
        "",
        "Bound for what the run comes to, such as latency.p(99) < 250 or rejected.rate < 0.01, one on each line",
        check_lines,
        in_form=True,
        called="Checks",
        many=True,
        example="latency.p(99) < 250",
    ),
    Option(
        "traffic_results",
        OFF,
        "Of which attempts to keep a row in the run's folder: off, failures, or all",
        one_of(*WHICH),
        in_form=True,
        choices=WHICH,
    ),
    Option(
        "traffic_answers",
        OFF,
        "Which of these rows have what the API answered: off, failures, or all",
        one_of(*WHICH),
        choices=WHICH,
    ),
    Option(
        "traffic_answer_size",
        "2048",
        "How many bytes of an answer a row has at most",
        whole(1, 1 << 20),
    ),
    Option(
        "traffic_keep",
        "",
        "JSON Pointer into the answer, such as /id: what stands there is a column of the results",
        pointer,
        in_form=True,
        called="Keep of the answer",
        example="/id",
    ),
    _switch(
        "traffic_trace",
        YES,
        "Whether each request belongs to a trace (W3C traceparent), with one trace id for each record: yes; empty: no",
    ),
    Option(
        "traffic_audit",
        "",
        "Path and JSON Pointer of the number of records that the API has, asked before and after; empty: GET /audit",
        optional(audit_source),
        example="/messages/count /total",
    ),
    Option(
        "traffic_give_up",
        "60",
        "Seconds that a run without progress, such as without a worker or an API, waits before it ends",
        whole(1, 86400),
    ),
    Option(
        "traffic_resume",
        "",
        "Run to resume: last, or a run's id; no: leave a run that was cut off; empty: a new run",
        str,
        in_form=True,
        bare=LATEST,
        example=LATEST,
    ),
    Option(
        "traffic_resend",
        "",
        "What to send again of the resumed run, with the same keys: dead-letters, those of a status (422), or of a "
        "group (422-0a1b2c3d); empty: nothing",
        dead_letters(DEAD_LETTERS),
        in_form=True,
        bare=DEAD_LETTERS,
        example=DEAD_LETTERS,
    ),
    _switch(
        "traffic_other_host",
        YES,
        "Whether the resumed run may go to another host than before: yes; empty: it is refused",
    ),
    _switch(
        "traffic_again",
        YES,
        "Whether to send a whole file again although a run of it was stopped half way: yes; empty: it is refused",
    ),
    Option(
        "traffic_on_term",
        "",
        "What SIGTERM does to a run: stop, or suspend, so that the next master goes on by itself; "
        "empty: suspend if nobody presses Start, else stop",
        optional(one_of(STOP, SUSPEND)),
        example=SUSPEND,
    ),
    Option(
        "traffic_keep_runs",
        "100",
        "How many runs to keep in the state folder; those cut off are always kept",
        whole(1, 1_000_000),
    ),
    Option(
        "traffic_keep_days",
        "0",
        "How many days to keep a run in the state folder; 0: any number",
        whole(0, 36500),
    ),
    Option("traffic_state_dir", DEFAULT_STATE_DIR, "Folder for the journals, reports and dead letters", file_path),
    Option(
        "traffic_allowed_hosts",
        "",
        "Names of the web UI besides localhost and --web-host, with commas between them; *: any",
        str,
        example="load.example",
    ),
    Option(
        "traffic_trusted_proxies",
        "",
        "Addresses of reverse proxies whose X-Forwarded headers are believed, with commas between them",
        str,
        example="172.16.0.0/12",
    ),
)
BY_NAME = {option.name: option for option in OPTIONS}
