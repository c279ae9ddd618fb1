"""Check what the web form may set.

The rule that this module guards: a start or an edit sets the fields listed here and no other. Locust's own view copies
every field of the name of an option onto the options, where it stays for all later starts.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from locust.argument_parser import default_args_dict, get_parser
from locust.util.timespan import parse_timespan

from traffic.master.threads import in_thread
from traffic.master.user_counts import read_spawn_rate, read_users
from traffic.master.web.file_reach import AllowedFiles
from traffic.master.web.file_store import UPLOADS
from traffic.master.web.routes import Routes
from traffic.runs.target import same_host
from traffic.settings import OPTIONS, UNIX, SettingsError

# Locust's own fields; the last two are those of its class picker (--class-picker).
LOCUSTS = frozenset({"user_count", "spawn_rate", "host", "run_time", "profile"})
PICKERS = frozenset({"user_classes", "shape_class"})
OURS = frozenset(option.name for option in OPTIONS if option.in_form)
# The members of a user class that Locust's page lets a person change.
OF_A_CLASS = frozenset({"user_class_name", "host", "weight", "fixed_count", "tasks"})
LONGEST_RUN_S = 10 * 366 * 86400
MOST_NAMED = 10


class Form:
    """Checks forms. Raises SettingsError if one is refused; then nothing of it has been set."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self.allowed_files = AllowedFiles(str(routes.options.traffic_file or ""))
        # As configured: a form puts another host into the options.
        self._configured_hosts = {_normalize(host) for host in (routes.options.host, *self._hosts_of_classes) if host}

    @property
    def _hosts_of_classes(self) -> list[str]:
        return [str(user.host) for user in self._routes.web_ui.environment.user_classes if user.host]

    @cached_property
    def fields(self) -> frozenset[str]:
        """Every field that a form may have: Locust's, ours, and those that a locustfile has added to the form."""
        added = set(get_parser().args_included_in_web_ui) - {"help", *default_args_dict()}
        pickers = PICKERS if self._routes.web_ui.userclass_picker_is_active else frozenset()
        return LOCUSTS | pickers | OURS | frozenset(name for name in added if not name.startswith("traffic_"))

    def check_start(self, form: Mapping[str, str]) -> None:
        """Check a form that starts a run."""
        self._check(form, least=1)
        if "host" in form:
            self._check_host(form["host"])

    def check_edit(self, form: Mapping[str, str], host: str) -> None:
        """Check a form that changes a live run, which sends to `host`. It may set the users to 0."""
        self._check(form, least=0)
        host_sent = _normalize(form.get("host", ""))
        if host_sent and not same_host(host_sent, host):
            rule = f"A live run sends to one host, and this one's is {host}"
            raise SettingsError(f"{rule}. Stop it, and start or resume one with another host.")

    def check_class(self, value: object) -> None:
        """Check a change of a user class."""
        if not isinstance(value, dict):
            raise SettingsError("What is to be changed of a user class must be a JSON object.")
        _refuse_unknown(value, OF_A_CLASS)
        host = value.get("host") or ""
        if host:
            self._check_host(str(host))

    def _check(self, form: Mapping[str, str], least: int) -> None:
        _refuse_unknown(form, self.fields)
        if self._routes.web_ui.environment.shape_class is None and form.get("shape_class", "Default") == "Default":
            read_users(form.get("user_count", ""), least)
            read_spawn_rate(form.get("spawn_rate", ""))
        _check_run_time(form.get("run_time", ""))
        if "traffic_file" in form:
            in_thread(self.allowed_files.check, form["traffic_file"], self.uploads)

    @property
    def uploads(self) -> Path:
        """The folder of the files that were uploaded."""
        return self._routes.folder.path / UPLOADS

    def _check_host(self, value: str) -> None:
        if "<" in value or ">" in value:
            raise SettingsError("The host must hold neither < nor >: Locust would leave them out.")
        host = _normalize(value)
        if host.lower().startswith(UNIX) and host not in self._configured_hosts:
            rule = "A Unix socket can be the host only if the master was started with it (--host, LOCUST_HOST)"
            raise SettingsError(f"{rule}, not {host[:200]!r}.")


def _normalize(host: str) -> str:
    """Write a host as `read_host` returns it."""
    return host.strip().rstrip("/")


def _refuse_unknown(value: Mapping[str, object], known: frozenset[str]) -> None:
    unknown = sorted(str(name)[:64] for name in set(value) - known)
    if unknown:
        some = ", ".join([*unknown[:MOST_NAMED], *["…"] * (len(unknown) > MOST_NAMED)])
        can = ", ".join(sorted(known))
        raise SettingsError(f"The form cannot set {some}. Nothing has been set. What it can set: {can}.")


def _check_run_time(value: str) -> None:
    if not value:
        return
    try:
        seconds = parse_timespan(value)
    except (ValueError, OverflowError):
        seconds = -1
    if not 0 <= seconds <= LONGEST_RUN_S:
        rule = "The run time must be seconds, or such as 20s, 3m, 2h or 1h20m, and ten years at most"
        raise SettingsError(f"{rule}, not {value[:40]!r}.")
