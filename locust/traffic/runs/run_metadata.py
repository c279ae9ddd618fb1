"""Describe a run for its journal: file, order, target, and how it ended or was resumed.

Guarded here: a release reads the metadata of any other release, and ignores the members that it does not know.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

from traffic.clock import timestamp
from traffic.core.audit_source import AuditSource
from traffic.core.lease_terms import LEASE_S
from traffic.core.master.run_state import RunState
from traffic.core.order import Kind
from traffic.core.pace.config import PaceConfig, RecordedPace, pace_from_json
from traffic.core.protocol import RunConfig
from traffic.core.reading import Reading
from traffic.core.stamp import Stamp

# What a run of an older release would have, which does not wait for its API.
HOLD_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class Resumption:
    """When a run was resumed (ISO 8601, UTC), and how many records were settled by then, and stay so.

    `resent_dead_letters` is how many dead letters are sent again; `host` is the run's host from then on, if it is
    another than before.
    """

    at: str
    settled: int
    resent_dead_letters: int = 0
    host: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the report's JSON object for this; without dead letters and host if there are none."""
        return {name: value for name, value in asdict(self).items() if value or name in ("at", "settled")}


@dataclass(frozen=True, slots=True)
class HeldRun:
    """The API has asked the run to wait `until` then (seconds since the epoch), by an answer of this status."""

    until: float
    status: int


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """What changes seldom in a run, or never, and what a master must know to resume it.

    `state` is running, completed, stopped or failed; if it is running and no master has the journal open, the run was
    cut off. `told` says that the master has reported a completed run (an unattended master does so by its exit code).
    `left` says that a person does not want the run resumed and began a new one. `first_session` is the lowest session
    number that the run's latest master gave out.
    """

    terms: RunConfig
    file: str
    records: int
    digest: str
    order: Kind
    seed: int
    give_up_s: int
    host: str
    started: str
    first_session: int
    users: int = 0
    spawn_rate: float = 0.0
    state: str = RunState.RUNNING
    ended: str | None = None
    resumed: tuple[Resumption, ...] = ()
    # The run delivers `records` of the file's records, from this index on.
    offset: int = 0
    # Whether a person has paused the run and has not let it go on; false once it has ended.
    paused: bool = False
    # Why it waits for a person; empty: a person wants it so.
    pause_reason: str = ""
    told: bool = False
    left: bool = False
    # The length of the longest leases that a master of this run has granted, in seconds.
    lease_s: float = LEASE_S
    # None: as fast as the users send.
    pace: PaceConfig | RecordedPace | None = None
    # None: the API does not ask to wait.
    held: HeldRun | None = None
    # How long the run waits for the API by itself, in seconds.
    hold_max_s: float = HOLD_MAX_S
    # How the file was read. None: by an older release, which left that to the file.
    reading: Reading | None = None
    # The time that is put into each record; None: none is.
    stamp: Stamp | None = None
    # Statuses with which the API has refused nearly everything, so that the run was paused; until it ends.
    storms: tuple[int, ...] = ()
    # Where the API says how many records it has (None: by its own audit), and how many it had before the run.
    audit: AuditSource | None = None
    audit_before: int = 0
    # Checks of what the run comes to, as a person wrote them.
    checks: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """The run's id."""
        return self.terms.run

    def to_json(self) -> str:
        """Return the metadata as a JSON object."""
        reading = None if self.reading is None else json.loads(self.reading.to_json())
        stamp = None if self.stamp is None else [self.stamp.member, self.stamp.form]
        return json.dumps({**asdict(self), "terms": self.terms.to_wire(), "reading": reading, "stamp": stamp})

    @classmethod
    def from_json(cls, text: str) -> "RunMetadata":
        """Decode what `to_json` of this release or another one made; ignore members that this release does not know.

        KeyError, TypeError or ValueError if it is something else.
        """
        data = _known(cls, json.loads(text))
        terms = RunConfig.from_wire(data.pop("terms"))
        pace = pace_from_json(data.pop("pace", None))
        resumed = tuple(Resumption(**_known(Resumption, one)) for one in data.pop("resumed", ()))
        held = data.pop("held", None)
        held = None if held is None else HeldRun(float(held["until"]), int(held["status"]))
        reading = data.pop("reading", None)
        reading = None if reading is None else Reading.from_json(reading)
        stamp = data.pop("stamp", None)
        stamp = None if stamp is None else Stamp(*stamp)
        made: dict[str, Any] = {"resumed": resumed, "pace": pace, "held": held, "reading": reading, "stamp": stamp}
        made["storms"] = tuple(map(int, data.pop("storms", ())))
        audit = data.pop("audit", None)
        made["audit"] = None if audit is None else AuditSource(**_known(AuditSource, audit))
        made["checks"] = tuple(map(str, data.pop("checks", ())))
        return cls(terms=cast("RunConfig", terms), **made, **data)


def _known(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """Return the members that a dataclass has a field for."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}


def ended(metadata: RunMetadata, state: RunState, at: str) -> RunMetadata:
    """Return the metadata of a run that has ended so."""
    return replace(metadata, state=state, ended=at, paused=False, pause_reason="", held=None, storms=())


def resumed(metadata: RunMetadata, settled: int, host: str, first_session: int, reopened: int = 0) -> RunMetadata:
    """Return the metadata of a run that is resumed now, for `host`; `reopened` of its dead letters are sent again."""
    moved = host if host != metadata.host else ""
    again = (*metadata.resumed, Resumption(timestamp(), settled, reopened, moved))
    going = replace(metadata, state=RunState.RUNNING, ended=None, told=False, left=False)
    return replace(going, host=host, first_session=first_session, resumed=again)
