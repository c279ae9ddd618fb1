"""The table of all options, and `Settings`, the values that a run is made of.

Locust's parser and the web form accept any text. The rule that this module guards: `Settings.read` checks every value,
on the master, before a run. To add an option, add it to OPTIONS, add its field to `Settings`, and run
`scripts/option_lists.py`.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traffic.core.lease_terms import LEASE_S
from traffic.core.order import Kind
from traffic.core.outcome import Policy
from traffic.core.pace.config import TIME_FORMATS, PaceConfig, RecordedPace, TimeFormat
from traffic.core.pace.profile import Profile
from traffic.core.protocol import CATCH_UP, TIMEOUT_S
from traffic.environment import mistyped
from traffic.settings import rate_text
from traffic.settings.option import Option, SettingsError
from traffic.settings.readers import (
    LARGEST,
    decimal,
    file_path,
    member,
    one_of,
    optional,
    seed,
    switch,
    url_path,
    wait,
    whole,
)

DEFAULT_FILE = "data/traffic.json"
DEFAULT_STATE_DIR = "state"
ORDERS = ("random", "file")
DEAD_LETTERS = "dead-letters"
# What --traffic-retry-after is by default.
RUN = "run"
# What --traffic-resume may be besides a run's id.
LATEST, NONE = "last", "no"
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
    Option("traffic_path", "/", "Path that the records are sent to", url_path),
    # These methods carry a body (RFC 9110 9.3).
    Option(
        "traffic_method",
        "POST",
        "HTTP method that the records are sent with: POST, PUT or PATCH",
        one_of("POST", "PUT", "PATCH"),
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
    _switch(
        "traffic_resend",
        DEAD_LETTERS,
        "What to send again of the resumed run: dead-letters, with the same keys; empty: nothing",
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
)
BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of each option in OPTIONS, under its name without the prefix.

    `wait`, `timeout`, `lease`, `give_up` and `hold_max` are in seconds; `seed` is in 0..2^63-1; `limit` None: no limit.
    """

    file: Path
    order: Kind
    seed: int
    wait: tuple[float, float]
    rate: str | None
    duration: float | None
    time: str | None
    time_format: TimeFormat
    speed: float
    max_gap: float | None
    arrivals: str
    catch_up: float
    retry_after: str
    hold_max: float
    limit: int | None
    offset: int
    schema: Path | None
    path: str
    method: str
    timeout: float
    lease: float
    max_attempts: int
    policy: Policy
    give_up: int
    resume: str
    resend: bool
    other_host: bool
    again: bool
    keep_runs: int
    keep_days: int
    state_dir: Path
    allowed_hosts: str

    @classmethod
    def read(cls, options: argparse.Namespace) -> "Settings":
        """Read the settings from `options`. SettingsError, naming every fault at once, if one cannot be used."""
        values: dict[str, Any] = {}
        faults = []
        for option in OPTIONS:
            try:
                values[option.field] = option.value(getattr(options, option.name, None))
            except SettingsError as error:
                faults.append(str(error))
        if values.get("resend") and values["resume"] in ("", NONE):
            rule = "--traffic-resend sends the dead letters of an earlier run again, and --traffic-resume names none"
            remedy = f"Set --traffic-resume (TRAFFIC_RESUME) to {LATEST} or a run's id, or leave --traffic-resend empty"
            faults.append(f"{rule}. {remedy}.")
        faults += _pace_faults(options, values)
        if faults:
            raise SettingsError(" ".join(faults))
        return cls(**values)

    def pace(self, records: int) -> PaceConfig | RecordedPace | None:
        """Return the pace of a run of so many records; None if it goes as fast as its users send."""
        if self.time is not None:
            return RecordedPace(self.time, self.time_format, self.speed, self.max_gap)
        if self.duration is not None:
            text = BY_NAME["traffic_duration"].flag
            return PaceConfig.of(f"{text} {self.duration:g}s", Profile.level(records / self.duration), self.arrivals)
        return None if self.rate is None else PaceConfig.of(self.rate, rate_text.profile(self.rate), self.arrivals)


def _pace_faults(options: argparse.Namespace, values: dict[str, Any]) -> list[str]:
    """Return what contradicts a rate, or recorded times."""
    said = [BY_NAME[f"traffic_{name}"] for name in ("rate", "duration", "time") if values.get(name) is not None]
    faults = []
    if values.get("time") is None and (values.get("speed", 1) != 1 or values.get("max_gap") is not None):
        what = "--traffic-speed and --traffic-max-gap are for a run that follows recorded times"
        faults.append(f"{what}. Name their member with --traffic-time (TRAFFIC_TIME), or leave them out.")
    if not said:
        return faults
    if len(said) > 1:
        what = f"{' and '.join(one.flag for one in said)} both say how fast the run goes"
        faults.append(f"{what}. Leave one of them empty ({', '.join(one.variable for one in said)}).")
    if values.get("time") is not None and values.get("order") == "file":
        what = "a run that follows recorded times has their order, and --traffic-order asks for the file's"
        faults.append(f"{what}. Leave --traffic-order (TRAFFIC_ORDER) out.")
    wait = BY_NAME["traffic_wait"]
    if wait.text(getattr(options, wait.name, None)) not in (wait.default, "0"):
        pace = "a rate" if values.get("time") is None else "recorded times"
        what = f"a run with {pace} has no wait between requests, and --traffic-wait sets one"
        faults.append(f"{what}. Leave --traffic-wait (TRAFFIC_WAIT) out, or set it to 0.")
    return faults


def read_lease(options: argparse.Namespace) -> float:
    """Return how many seconds leases last, before there is a run. SettingsError if the option cannot be used."""
    lease = BY_NAME["traffic_lease"].value(getattr(options, "traffic_lease", None))
    assert isinstance(lease, float)
    return lease


def check_variables() -> None:
    """Raise SettingsError if a variable is nearly an option's: the run would not be the one that was meant."""
    if faults := list(mistyped(os.environ, [option.name for option in OPTIONS])):
        raise SettingsError(" ".join(faults))
