"""A run as its journal describes it: file, order, target, and what has become of it."""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

from traffic.clock import timestamp
from traffic.core.master.run_state import RunState
from traffic.core.order import Kind
from traffic.core.protocol import LEASE_S, RunConfig


@dataclass(frozen=True, slots=True)
class Resumption:
    """When a run was taken up again (ISO 8601, UTC), and how many records were settled by then, and stay so.

    `resent_dead_letters` is how many were dead letters, and are sent again; `host` is where the run went from then on,
    if that is another than before.
    """

    at: str
    settled: int
    resent_dead_letters: int = 0
    host: str = ""

    def to_json(self) -> dict[str, Any]:
        """What a report says of it; of dead letters and of a host only if there is something to say."""
        return {name: value for name, value in asdict(self).items() if value or name in ("at", "settled")}


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """What does not change in a run, or seldom: what a master must know to take it up.

    `state` is running, completed, stopped or failed; a run that is running on disk while no master has its journal
    open was cut off. `to_json` says of a completed run that its master has said so, and is done with it; an unattended
    one says it by its exit code. `left` says that a person wants none of it, and began a new run. `first_session` is
    the lowest session number that its latest master gave out.
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
    # The run delivers `records` of the file's, from this index on.
    offset: int = 0
    # A person has paused it, and nobody has let it go on; never of a run that has ended.
    paused: bool = False
    told: bool = False
    left: bool = False
    # The longest leases, in seconds, that a master of this run has given out.
    lease_s: float = LEASE_S

    @property
    def run(self) -> str:
        """The run's id."""
        return self.terms.run

    def to_json(self) -> str:
        """Return the metadata as a JSON object."""
        return json.dumps({**asdict(self), "terms": self.terms.to_wire()})

    @classmethod
    def from_json(cls, text: str) -> "RunMetadata":
        """Read what `to_json` wrote, in this release or in another: what this one does not know is left out.

        KeyError, TypeError or ValueError if it is something else.
        """
        data = _known(cls, json.loads(text))
        terms = RunConfig.from_wire(data.pop("terms"))
        resumed = tuple(Resumption(**_known(Resumption, one)) for one in data.pop("resumed", ()))
        return cls(terms=cast("RunConfig", terms), resumed=resumed, **data)


def _known(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """The members that a dataclass has a field for."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}


def ended(metadata: RunMetadata, state: RunState, at: str) -> RunMetadata:
    """Return the metadata of a run that has ended so."""
    return replace(metadata, state=state, ended=at, paused=False)


def resumed(metadata: RunMetadata, settled: int, host: str, first_session: int, reopened: int = 0) -> RunMetadata:
    """Return the metadata of a run that is resumed now, for `host`; `reopened` of its dead letters are sent again."""
    moved = host if host != metadata.host else ""
    again = (*metadata.resumed, Resumption(timestamp(), settled, reopened, moved))
    going = replace(metadata, state=RunState.RUNNING, ended=None, told=False, left=False)
    return replace(going, host=host, first_session=first_session, resumed=again)
