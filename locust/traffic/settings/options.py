"""`Settings`, the values that a run is made of.

Locust's parser and the web form accept any text. The rule that this module guards: `Settings.read` checks every value,
on the master, before a run.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traffic.core.audit_source import AuditSource
from traffic.core.headers import Field
from traffic.core.order import Kind
from traffic.core.outcome import Policy
from traffic.core.pace.config import PaceConfig, RecordedPace, TimeFormat
from traffic.core.pace.profile import Profile
from traffic.core.reading import BODIES, REQUESTS, TIME, Reading
from traffic.core.results import ALL, WHICH
from traffic.core.stamp import Stamp
from traffic.environment import mistyped
from traffic.settings import rate_text
from traffic.settings.option import SettingsError
from traffic.settings.table import BY_NAME, LATEST, NONE, OPTIONS, SUSPEND


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of each option in OPTIONS, under its name without the prefix.

    `wait`, `timeout`, `lease`, `give_up` and `hold_max` are in seconds; `seed` is in 0..2^63-1; `limit` None: no limit.
    """

    file: Path
    records: str
    methods: tuple[str, ...]
    keep_host: bool
    delimiter: str
    csv_types: tuple[tuple[str, str], ...]
    csv_body: str
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
    header: tuple[Field, ...]
    header_file: Path | None
    ca_file: str | None
    client_cert: str | tuple[str, str] | None
    insecure: bool
    stamp: Stamp | None
    timeout: float
    lease: float
    max_attempts: int
    policy: Policy
    outcomes: str
    reject_if: str
    deliver_if: str
    brake: int
    check: tuple[str, ...]
    results: str
    answers: str
    answer_size: int
    keep: str
    trace: bool
    audit: AuditSource | None
    give_up: int
    resume: str
    resend: str
    other_host: bool
    again: bool
    on_term: str | None
    keep_runs: int
    keep_days: int
    state_dir: Path
    allowed_hosts: str
    trusted_proxies: str

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
        faults += [*_reading_faults(values), *_pace_faults(options, values), *_results_faults(values)]
        if faults:
            raise SettingsError(" ".join(faults))
        return cls(**values)

    @property
    def reading(self) -> Reading:
        """How the traffic file is to be read."""
        templated = self.records == BODIES and "{" in self.path
        return Reading(
            delimiter=self.delimiter,
            csv_types=self.csv_types,
            csv_body=self.csv_body,
            records=self.records,
            methods=self.methods,
            keep_host=self.keep_host,
            path=self.path if templated else "",
            method=self.method if templated else "",
            stamp="" if self.stamp is None else self.stamp.member,
        )

    def pace(self, records: int) -> PaceConfig | RecordedPace | None:
        """Return the pace of a run of so many records; None if it goes as fast as its users send."""
        if self.time is not None:
            return RecordedPace(self.time, self.time_format, self.speed, self.max_gap)
        if self.duration is not None:
            text = BY_NAME["traffic_duration"].flag
            return PaceConfig.of(f"{text} {self.duration:g}s", Profile.level(records / self.duration), self.arrivals)
        return None if self.rate is None else PaceConfig.of(self.rate, rate_text.profile(self.rate), self.arrivals)


def _reading_faults(values: dict[str, Any]) -> Iterator[str]:
    """Return what contradicts how the records are to be read."""
    if values.get("csv_types") and values.get("csv_body"):
        what = "--traffic-csv-body sends one cell as it stands, and --traffic-csv-types is for all cells of a row"
        yield f"{what}. Leave one of them empty (TRAFFIC_CSV_BODY, TRAFFIC_CSV_TYPES)."
    whole = values.get("records") == REQUESTS
    for_requests = [BY_NAME[f"traffic_{name}"] for name in ("methods", "keep_host") if values.get(name)]
    of_bodies = {"delimiter": "", "csv_types": (), "csv_body": "", "path": "/", "method": "POST"}
    for_bodies = [BY_NAME[f"traffic_{name}"] for name, plain in of_bodies.items() if values.get(name, plain) != plain]
    if not whole and for_requests:
        names = " and ".join(one.flag for one in for_requests)
        yield f"{names}: only of records that are whole requests. Say --traffic-records requests, or leave it out."
    if whole and for_bodies:
        names = " and ".join(one.flag for one in for_bodies)
        yield f"{names}: only of records that are bodies; a whole request says that itself. Leave it out."
    if whole and values.get("time") not in (None, TIME):
        what = f"whole requests have one time each, and --traffic-time asks for {values['time']!r}"
        yield f"{what}. Say --traffic-time {TIME} (TRAFFIC_TIME={TIME})."


def _results_faults(values: dict[str, Any]) -> Iterator[str]:
    """Return what is wanted of rows that there are not."""
    rows, answers = values.get("results"), values.get("answers")
    if rows is None or answers is None:
        return
    if WHICH.index(answers) > WHICH.index(rows):
        what = f"--traffic-answers {answers}: answers stand in the rows of results, and --traffic-results is {rows}"
        yield f"{what}. Say --traffic-results {answers} (TRAFFIC_RESULTS={answers}), or leave the answers out."
    if values.get("keep") and rows != ALL:
        what = (
            f"--traffic-keep {values['keep']}: it is a column of the rows of results, and --traffic-results is {rows}"
        )
        yield f"{what}. Say --traffic-results {ALL} (TRAFFIC_RESULTS={ALL}), or leave it out."


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


def read_suspends(options: argparse.Namespace, *, unattended: bool) -> bool:
    """Return whether SIGTERM suspends a run, or stops it. SettingsError if the option cannot be used.

    By default it does what the sender wants in most cases: where nobody presses Start, a supervisor has sent it.
    """
    asked = BY_NAME["traffic_on_term"].value(getattr(options, "traffic_on_term", None))
    return unattended if asked is None else asked == SUSPEND


def check_variables() -> None:
    """Raise SettingsError if a variable is nearly an option's: the run would not be the one that was meant."""
    if faults := list(mistyped(os.environ, [option.name for option in OPTIONS])):
        raise SettingsError(" ".join(faults))
