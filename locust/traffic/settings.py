"""The options, once for all: how they are asked for, and what they may be.

Every option is also an environment variable: `--traffic-file` is `TRAFFIC_FILE`. The web form and Locust's parser
check nothing that matters, so `Settings.read` does, on the master, before a run.
"""

import argparse
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from traffic.core.order import Kind
from traffic.core.outcome import Policy
from traffic.core.protocol import LEASE_S, TIMEOUT_S
from traffic.environment import mistyped, own_loopback
from traffic.errors import RefusedError

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

DEFAULT_FILE = "data/traffic.json"
DEFAULT_STATE_DIR = "state"
ORDERS = ("random", "file")
POLICIES = ("at-least-once", "at-most-once")
DEAD_LETTERS = "dead-letters"
# What --traffic-resume may say besides a run's id.
LATEST, NONE = "last", "no"
# What --traffic-other-host and --traffic-again may say.
YES = "yes"
# Methods that carry a body (RFC 9110 9.3).
METHODS = ("POST", "PUT", "PATCH")
LONGEST_WAIT_S = 3600
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 3600
SHORTEST_LEASE_S, LONGEST_LEASE_S = 0.5, 300
_HOST = re.compile(r"(https?|http\+unix)://[^\s/?#]+(/[^\s?#]*)?")
UNIX = "http+unix://"
_WAIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:-\s*(\d+(?:\.\d+)?)\s*)?")


class SettingsError(RefusedError):
    """One or more options that cannot be used; the text names each with its value, the rule and a remedy."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option as Locust's parser and web form show it."""

    name: str
    default: str
    help: str
    in_form: bool = False
    choices: tuple[str, ...] | None = None
    # What the flag means where nothing follows it; None: something has to.
    bare: str | None = None

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return "--" + self.name.replace("_", "-")


OPTIONS = (
    Option("traffic_file", DEFAULT_FILE, "File of the records: a JSON array, JSON Lines or CSV", in_form=True),
    Option("traffic_order", "random", "Order of the records: shuffled by the seed, or as in the file", True, ORDERS),
    Option("traffic_seed", "", "Seed of the random order, a whole number; empty: a new one each run", in_form=True),
    Option("traffic_wait", "0.1-0.9", "Seconds a user waits between requests: MIN-MAX, 0 for none", in_form=True),
    Option("traffic_limit", "", "Most records to send; empty: all of the file", in_form=True),
    Option("traffic_offset", "0", "Records at the file's beginning to leave out", in_form=True),
    Option("traffic_schema", "", "File of a JSON Schema that every record must pass; empty: none"),
    Option("traffic_path", "/", "Path that the records are sent to"),
    Option("traffic_method", "POST", "HTTP method that the records are sent with: POST, PUT or PATCH"),
    Option("traffic_timeout", f"{TIMEOUT_S:g}", "Seconds that a user waits for an answer, whole or decimal"),
    Option("traffic_lease", f"{LEASE_S:g}", "Seconds that a worker may be silent before others get its records"),
    Option("traffic_max_attempts", "5", "Attempts for one record before it becomes a dead letter"),
    Option(
        "traffic_policy",
        "at-least-once",
        "Whether a record whose answer is unknown is sent again: at-least-once, or at-most-once",
    ),
    Option("traffic_give_up", "60", "Seconds that a run without a worker, or with a dead API, waits before it ends"),
    Option(
        "traffic_resume",
        "",
        "Run to go on with, if it was stopped: last, or its id; no: leave one that was cut off; empty: a new run",
        in_form=True,
        bare=LATEST,
    ),
    Option(
        "traffic_resend",
        "",
        "What to send again of the run that is resumed: dead-letters, with their keys; empty: nothing",
        in_form=True,
        choices=("", DEAD_LETTERS),
        bare=DEAD_LETTERS,
    ),
    Option(
        "traffic_other_host",
        "",
        "Whether the run that is resumed may go to another host than before: yes; empty: it is refused",
        in_form=True,
        choices=("", YES),
        bare=YES,
    ),
    Option(
        "traffic_again",
        "",
        "Whether a file of which a run was stopped half way is sent again as a whole: yes; empty: it is refused",
        in_form=True,
        choices=("", YES),
        bare=YES,
    ),
    Option("traffic_keep_runs", "100", "How many runs to keep in the state folder; those cut off are always kept"),
    Option("traffic_keep_days", "0", "How many days to keep a run in the state folder; 0: whatever its age"),
    Option("traffic_state_dir", DEFAULT_STATE_DIR, "Folder for the journals, reports and dead letters"),
    Option(
        "traffic_allowed_hosts",
        "",
        "Names, with commas between them, by which the web UI may be asked besides localhost and --web-host; *: any",
    ),
)


class _Offered(list[str]):
    """What the web form offers for an option. Any value passes the parser: `Settings.read` names all faults at once."""

    def __contains__(self, value: object) -> bool:
        return True


def add_options(parser: "LocustArgumentParser", **_: Any) -> None:
    """Add every option to Locust's parser (for its event `init_command_line_parser`)."""
    for option in OPTIONS:
        if not os.environ.get(option.name.upper()):
            # Set to nothing, as Compose files do, is not set: the parser would hold "" against the choices.
            os.environ.pop(option.name.upper(), None)
        extra: dict[str, Any] = {"choices": _Offered(option.choices)} if option.choices else {}
        extra |= {"nargs": "?", "const": option.bare} if option.bare else {}
        parser.add_argument(
            option.flag,
            type=str,
            default=option.default,
            env_var=option.name.upper(),
            include_in_web_ui=option.in_form,
            help=option.help,
            **extra,
        )
    # Set by the master at each start; it reaches the workers with the first users.
    parser.add_argument("--traffic-run", type=str, default="", include_in_web_ui=False, help=argparse.SUPPRESS)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked to be. `wait` and `timeout` are in seconds; `seed` is in 0..2^63-1; `limit` None: no limit.

    `resend`: the dead letters of the run that is resumed are to be sent again; `other_host`: it may go to another host
    than before; `again`: what a run that was stopped half way has sent may be sent again by a new one.
    """

    file: Path
    limit: int | None
    offset: int
    schema: Path | None
    order: Kind
    seed: int
    path: str
    method: str
    wait: tuple[float, float]
    timeout: float
    max_attempts: int
    policy: Policy
    give_up_s: int
    lease_s: float
    resume: str
    resend: bool
    other_host: bool
    again: bool
    keep_runs: int
    keep_days: int
    state_dir: Path

    @classmethod
    def read(cls, options: argparse.Namespace) -> "Settings":
        """The settings that `options` ask for. SettingsError, naming every fault at once, where one cannot be used."""
        reader = _Reader(options)
        made = cls(
            file=Path(reader.text("traffic_file")),
            limit=reader.whole("traffic_limit", least=1, most=2**63 - 1) if reader.text("traffic_limit") else None,
            offset=reader.whole("traffic_offset", least=0, most=2**63 - 1),
            schema=Path(reader.text("traffic_schema")) if reader.text("traffic_schema") else None,
            order=cast("Kind", reader.one_of("traffic_order", ORDERS)),
            seed=reader.seed("traffic_seed"),
            path=reader.path("traffic_path"),
            method=reader.one_of("traffic_method", METHODS),
            wait=reader.wait("traffic_wait"),
            timeout=reader.decimal("traffic_timeout", least=SHORTEST_TIMEOUT_S, most=LONGEST_TIMEOUT_S),
            max_attempts=reader.whole("traffic_max_attempts", least=1, most=1000),
            policy=cast("Policy", reader.one_of("traffic_policy", POLICIES)),
            give_up_s=reader.whole("traffic_give_up", least=1, most=86400),
            lease_s=reader.lease(),
            resume=reader.text("traffic_resume"),
            resend=reader.resend(),
            other_host=reader.one_of("traffic_other_host", ("", YES)) == YES,
            again=reader.one_of("traffic_again", ("", YES)) == YES,
            keep_runs=reader.whole("traffic_keep_runs", least=1, most=1_000_000),
            keep_days=reader.whole("traffic_keep_days", least=0, most=36500),
            state_dir=Path(reader.text("traffic_state_dir")),
        )
        reader.finish()
        return made


def read_lease(options: argparse.Namespace) -> float:
    """Return how many seconds leases last, before there is a run. SettingsError if the option cannot be used."""
    reader = _Reader(options)
    lease_s = reader.lease()
    reader.finish()
    return lease_s


def read_host(options: argparse.Namespace, by_class: str | None = None, *, unix_sockets: bool = True) -> str:
    """The API's address without a slash at its end, as --host or else the user class gives it.

    It is an http or https URL, or, where the user classes can reach `unix_sockets`, http+unix:// with a socket's
    percent-encoded path in the host's place. SettingsError where it is neither: Locust's users would send nothing.
    """
    value = str(getattr(options, "host", None) or by_class or "").strip().rstrip("/")
    remedy = "Set --host, LOCUST_HOST or the form's field."
    if not _HOST.fullmatch(value):
        seen = repr(value) if value else "nothing"
        raise SettingsError(f"--host must be the API's address, such as http://127.0.0.1:4000, not {seen}. {remedy}")
    if value.startswith(UNIX) and not unquote(urlsplit(value).netloc.rpartition("@")[2]).startswith("/"):
        rule = (
            "--host must name a Unix socket by its whole path, percent-encoded, such as http+unix://%2Frun%2Fapi.sock"
        )
        raise SettingsError(f"{rule}, not {value!r}. {remedy}")
    if value.startswith(UNIX) and not unix_sockets:
        rule = f"--host {value!r} is a Unix socket, and of the user classes only a ReplayUser can reach one"
        raise SettingsError(
            f"{rule}. Use ReplayUsers alone (LOCUSTFILE=locust/replay_locustfile.py), or another address."
        )
    if (why := own_loopback(value, os.environ)) is not None:
        raise SettingsError(f"--host {value!r} is not reached from here: {why}.")
    return value


def check_variables() -> None:
    """Raise SettingsError if a variable is nearly an option's: what is sent would not be what was asked for."""
    if faults := list(mistyped(os.environ, [option.name for option in OPTIONS])):
        raise SettingsError(" ".join(faults))


class _Reader:
    """Reads options by name; collects what is wrong with them. An empty value means the default."""

    def __init__(self, options: argparse.Namespace) -> None:
        given = {option.name: getattr(options, option.name, None) for option in OPTIONS}
        self._values = {name: "" if value is None else str(value).strip() for name, value in given.items()}
        self._options = {option.name: option for option in OPTIONS}
        self._faults: list[str] = []

    def text(self, name: str) -> str:
        return self._values[name] or self._options[name].default

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in allowed:
            self._fault(name, value, f"must be one of {', '.join(allowed)}")
            return allowed[0]
        return value

    def whole(self, name: str, least: int, most: int) -> int:
        value = self.text(name)
        if not re.fullmatch(r"\d{1,19}", value) or not least <= int(value) <= most:
            self._fault(name, value, f"must be a whole number from {least} to {most}")
            return least
        return int(value)

    def decimal(self, name: str, least: float, most: float) -> float:
        value = self.text(name)
        if not re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value) or not least <= float(value) <= most:
            self._fault(name, value, f"must be a number from {least:g} to {most:g}, whole or decimal")
            return least
        return float(value)

    def lease(self) -> float:
        return self.decimal("traffic_lease", least=SHORTEST_LEASE_S, most=LONGEST_LEASE_S)

    def seed(self, name: str) -> int:
        return self.whole(name, 0, 2**63 - 1) if self._values[name] else secrets.randbits(32)

    def path(self, name: str) -> str:
        value = self.text(name)
        if not re.fullmatch(r"/[!-~]*", value):
            self._fault(name, value, "must begin with / and hold neither spaces nor characters outside ASCII")
        return value

    def wait(self, name: str) -> tuple[float, float]:
        value = self.text(name)
        match = _WAIT.fullmatch(value)
        low, high = (float(match[1]), float(match[2] or match[1])) if match else (1.0, 0.0)
        if low > high or high > LONGEST_WAIT_S:
            rule = f"must be MIN-MAX in seconds, MIN not above MAX and MAX not above {LONGEST_WAIT_S}, such as 0.1-0.9"
            self._fault(name, value, f"{rule}, or 0 for no wait")
        return low, high

    def resend(self) -> bool:
        value, resume = self.text("traffic_resend"), self.text("traffic_resume")
        if value not in ("", DEAD_LETTERS):
            self._fault("traffic_resend", value, f"must be {DEAD_LETTERS} or empty")
        elif value and resume in ("", NONE):
            rule = "--traffic-resend sends the dead letters of an earlier run again, and --traffic-resume names none"
            remedy = f"Set --traffic-resume (TRAFFIC_RESUME) to {LATEST} or a run's id, or leave --traffic-resend empty"
            self._faults.append(f"{rule}. {remedy}.")
        return bool(value)

    def _fault(self, name: str, value: str, rule: str) -> None:
        option = self._options[name]
        remedy = f"Set {option.flag} or {name.upper()} (default: {option.default or 'empty'})"
        self._faults.append(f"{option.flag} {rule}, not {value!r}. {remedy}.")

    def finish(self) -> None:
        if self._faults:
            raise SettingsError(" ".join(self._faults))
