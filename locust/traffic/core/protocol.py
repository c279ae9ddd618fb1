"""Define the messages between master and workers, and their form on the wire. docs/protocol.md says when each is sent.

Each message is a frozen dataclass. `to_wire` returns a dict of what Locust's msgpack carries (str, bytes, bool, int,
float, list, dict, None). `from_wire` checks a received value with the readers of `wire`, and raises ProtocolError if
it is not valid.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from traffic.core import wire
from traffic.core.excerpt import Excerpt
from traffic.core.lease_terms import USUAL_TERMS, LeaseTerms
from traffic.core.outcome import LONGEST_REASON, LONGEST_RETRY_AFTER_S
from traffic.core.pace.measures import PaceMeasures
from traffic.core.ranges import Range, RangeSet
from traffic.core.reading import BODIES
from traffic.core.results import OFF
from traffic.core.timings import KindTiming

VERSION = 9
# Master to worker: register with Locust's own master again. {"run": the run of its test, empty if there is none}
REGISTER = "traffic.register"
# Seconds for an answer, if a run does not say how many.
TIMEOUT_S = 60.0
# How many times the planned rate a paced run's overdue records have, if a run does not say.
CATCH_UP = 2.0


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a worker must know of a run: how to send its records. `timeout` is in seconds, for one answer.

    `paced`: each record has a time at which it is due. `catch_up`: how many times the planned rate overdue ones have.
    `holds`: if the API asks to wait (429 or 503 with Retry-After), the whole run does, and no attempt counts.
    `records`: what they are, BODIES, which are sent by `method` to `path`, or REQUESTS, which say that themselves.
    `outcomes`, `reject_if`, `deliver_if`: what answers mean, as a person wrote it (see `outcome_rules`).
    `brake`: a worker stops if nearly all of so many latest answers refuse the record with one status; 0: never.
    `results`: of which attempts there are rows, OFF, FAILURES or ALL; `answers`: which of these rows have the answer,
    the first `answer_size` bytes of it; `keep`: which member of the answer they have (a JSON Pointer; empty: none).
    `trace`: each request belongs to a trace (see `trace`).
    """

    run: str
    method: str
    path: str
    wait: tuple[float, float]
    max_attempts: int
    policy: str
    timeout: float = TIMEOUT_S
    paced: bool = False
    catch_up: float = CATCH_UP
    holds: bool = False
    records: str = BODIES
    outcomes: str = ""
    reject_if: str = ""
    deliver_if: str = ""
    brake: int = 0
    results: str = OFF
    answers: str = OFF
    answer_size: int = 0
    keep: str = ""
    trace: bool = False

    def to_wire(self) -> dict[str, Any]:
        """Return the configuration as a dict that msgpack can carry."""
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "wait": list(self.wait)}

    @classmethod
    def from_wire(cls, data: Any) -> "RunConfig | None":
        """Read the configuration that `data` holds; None is no run. Raises ProtocolError if it holds neither.

        The journal of a run that was begun by an older release lacks the later members.
        """
        if data is None:
            return None
        low, high = (wire.number(end) for end in wire.many(wire.field(data, "wait")))
        return cls(
            run=wire.text(wire.field(data, "run")),
            method=wire.text(wire.field(data, "method")),
            path=wire.text(wire.field(data, "path")),
            wait=(low, high),
            max_attempts=wire.whole(wire.field(data, "max_attempts")),
            policy=wire.text(wire.field(data, "policy")),
            timeout=wire.number(data.get("timeout", TIMEOUT_S)),
            paced=wire.flag(data.get("paced", False)),
            catch_up=wire.number(data.get("catch_up", CATCH_UP)),
            holds=wire.flag(data.get("holds", False)),
            records=wire.text(data.get("records", BODIES)),
            outcomes=wire.text(data.get("outcomes", "")),
            reject_if=wire.text(data.get("reject_if", "")),
            deliver_if=wire.text(data.get("deliver_if", "")),
            brake=wire.whole(data.get("brake", 0)),
            results=wire.text(data.get("results", OFF)),
            answers=wire.text(data.get("answers", OFF)),
            answer_size=wire.whole(data.get("answer_size", 0)),
            keep=wire.text(data.get("keep", "")),
            trace=wire.flag(data.get("trace", False)),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Records that ended alike as failures: their positions as ranges, whether they are in doubt, and why.

    `answer` is what they keep of the latest answer, which was the same for all; None if there was none.
    """

    positions: tuple[Range, ...]
    in_doubt: bool
    attempts: int
    status: int
    reason: str
    answer: Excerpt | None = None

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        made = [wire.plain(self.positions), self.in_doubt, self.attempts, self.status, self.reason]
        return [*made, self.answer.to_wire() if self.answer is not None else None]

    @classmethod
    def from_wire(cls, data: Any) -> "Failure":
        """Read the fields in their order; a long reason is cut. Raises ProtocolError or ValueError for others."""
        positions, in_doubt, attempts, status, reason, answer = wire.many(data)
        return cls(
            wire.ranges(positions),
            wire.flag(in_doubt),
            wire.whole(attempts),
            wire.whole(status),
            wire.text(reason)[:LONGEST_REASON],
            Excerpt.from_wire(answer),
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """A record that a worker in trouble hands back: how often it was sent, and whether an attempt had no answer."""

    position: int
    attempts: int
    outcome_unknown: bool

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [self.position, self.attempts, self.outcome_unknown]

    @classmethod
    def from_wire(cls, data: Any) -> "Tried":
        """Read the fields in their order. Raises ProtocolError or ValueError if they are others."""
        position, attempts, outcome_unknown = wire.many(data)
        return cls(wire.whole(position), wire.whole(attempts), wire.flag(outcome_unknown))


def _tried(value: Any) -> tuple[Tried, ...]:
    return tuple(Tried.from_wire(one) for one in wire.many(value))


def _timings(value: Any) -> tuple[KindTiming, ...]:
    return tuple(KindTiming.from_wire(one) for one in wire.many(value))


def _failures(value: Any) -> tuple[Failure, ...]:
    return tuple(Failure.from_wire(one) for one in wire.many(value))


@dataclass(frozen=True, slots=True)
class Stamp:
    """When the master read an ack and when its answer leaves, in seconds of the master's clock; and the schedule then.

    `second` is the second of the schedule as the answer leaves; `speed` is how many of its seconds pass in
    one: 0 while it stands still, 1 usually, less while the API wants it slower.
    """

    read: float
    left: float = 0.0
    second: float = 0.0
    speed: float = 0.0

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [self.read, self.left, self.second, self.speed]

    @classmethod
    def from_wire(cls, data: Any) -> "Stamp | None":
        """Read the fields in their order; None is no stamp. Raises ProtocolError or ValueError if they are others."""
        if data is None:
            return None
        read, left, second, speed = wire.many(data)
        return cls(wire.number(read), wire.number(left), wire.number(second), wire.number(speed))


@dataclass(frozen=True, slots=True)
class Hold:
    """The API asks for no request for so many `seconds` from now on; `status` is that of its answer."""

    seconds: float
    status: int

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [self.seconds, self.status]

    @classmethod
    def from_wire(cls, data: Any) -> "Hold | None":
        """Read the fields in their order; None is no hold. Raises ProtocolError or ValueError if they are others."""
        if data is None:
            return None
        seconds, status = wire.many(data)
        return cls(min(LONGEST_RETRY_AFTER_S, max(0.0, wire.number(seconds))), wire.whole(status))


class Message:
    """What all messages share: a type on the wire, how each field is read, and which have another name on the wire."""

    type: ClassVar[str]
    readers: ClassVar[dict[str, Callable[[Any], Any]]]
    wire_names: ClassVar[dict[str, str]] = {}

    def to_wire(self) -> dict[str, Any]:
        """Return the message as a dict that msgpack can carry."""
        return {self.wire_names.get(name, name): wire.plain(getattr(self, name)) for name in self.readers}

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """Read the message that `data` holds. Raises ProtocolError if it holds none."""
        names = cls.wire_names
        try:
            return cls(**{name: read(wire.field(data, names.get(name, name))) for name, read in cls.readers.items()})
        except (TypeError, ValueError, RecursionError) as error:
            raise wire.ProtocolError(f"{cls.type}: {error}") from error


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Worker to master: I am here and hold nothing.

    `hello` is the last session that the worker was in, 0 if none. By it the master knows a hello that was sent before
    the present session began, however late it arrives.
    """

    type = "traffic.hello"
    readers = {"version": wire.whole, "hello": wire.whole}

    version: int
    hello: int


@dataclass(frozen=True, slots=True)
class Ack(Message):
    """Worker to master: the outcomes of my records, what I hold, how many I want. It renews the worker's leases.

    `seq` counts the acks of a session; `heard` is the number of the newest message of the master that was read.
    `delivered` (ranges of positions) and `failed` hold every outcome that the master has not confirmed, `holds` every
    position in hand. `wants` is in records. `attempts`, `resent` and `maybe_resent` count since the run began on this
    worker. `trouble` says why the worker gets nothing done, if it does not, and `fault` what it lacks itself. `tried`
    are records that a worker in trouble hands back after it has sent them. `leaving`: the worker is about to exit, and
    hands back what it does not hold any more.

    In a paced run, `pace` is what the worker has measured, `busy` how many users were sending at once since the last
    ack, and `overdue` how many records wait that are overdue because no user is free.

    `hold`: the API asks the run to wait; the worker has stopped already. `put_off` counts such answers, and `probed`
    says that an attempt was answered otherwise since the worker was to try the API. `slowed` counts the answers 429
    that do not say for how long.

    `refused`: the API refuses nearly everything with this status, so the worker has stopped; 0: it does not.

    `timings` has how long attempts took: each kind of attempt that has changed since the master confirmed it, whole.
    `rows` is how many rows of results the worker has made since the run began there, whether it could keep them or not.
    """

    type = "traffic.ack"
    readers = {
        "session": wire.whole,
        "seq": wire.whole,
        "heard": wire.whole,
        "run": wire.text,
        "delivered": wire.ranges,
        "failed": _failures,
        "holds": wire.ranges,
        "wants": wire.whole,
        "attempts": wire.whole,
        "resent": wire.whole,
        "users": wire.whole,
        "trouble": wire.text,
        "leaving": wire.flag,
        "maybe_resent": wire.whole,
        "fault": wire.text,
        "tried": _tried,
        "pace": PaceMeasures.from_wire,
        "busy": wire.whole,
        "overdue": wire.whole,
        "hold": Hold.from_wire,
        "put_off": wire.whole,
        "probed": wire.flag,
        "slowed": wire.whole,
        "refused": wire.whole,
        "timings": _timings,
        "rows": wire.whole,
    }

    session: int
    seq: int
    heard: int
    run: str
    delivered: tuple[Range, ...]
    failed: tuple[Failure, ...]
    holds: tuple[Range, ...]
    wants: int
    attempts: int
    resent: int
    users: int
    trouble: str
    leaving: bool
    maybe_resent: int = 0
    fault: str = ""
    tried: tuple[Tried, ...] = ()
    pace: PaceMeasures | None = None
    busy: int = 0
    overdue: int = 0
    hold: Hold | None = None
    put_off: int = 0
    probed: bool = False
    slowed: int = 0
    refused: int = 0
    timings: tuple[KindTiming, ...] = ()
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ResultBatch(Message):
    """Worker to master: so many `rows` of results, as CSV, compressed: one zstd frame.

    `number` counts the batches of the run on this worker from 1 on. The worker keeps a batch until the master has
    confirmed it, by `results` in an answer to an ack.
    """

    type = "traffic.results"
    readers = {"run": wire.text, "number": wire.whole, "rows": wire.whole, "data": wire.raw}

    run: str
    number: int
    rows: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """Master to worker: your new session, which holds nothing yet, in this run (None: in no run)."""

    type = "traffic.welcome"
    readers = {
        "session": wire.whole,
        "seq": wire.whole,
        "run": RunConfig.from_wire,
        "terms": LeaseTerms.from_wire,
    }

    session: int
    seq: int
    run: RunConfig | None
    terms: LeaseTerms = USUAL_TERMS


@dataclass(frozen=True, slots=True)
class LeaseGrant(Message):
    """Master to worker: a lease. It answers ack `answers`; `seq` counts the master's messages of a session.

    `positions` are ranges. `indexes` (little-endian uint64, packed) and `bodies` are in the order of the positions.
    `redelivered` are those positions that another worker may have sent. `tried` says how often, for those of them that
    a worker in trouble handed back.

    In a paced run, `due` (little-endian float64, packed) says when each is due, in seconds of the schedule; `spacing`
    is the planned time between two records of this worker.

    `probe`: the worker is to try the API, with one record at a time, until another answer says otherwise. `limit` is
    how many records a second it may send meanwhile; 0: as many as it can. `results`: the master has the worker's rows
    up to the batch of this number.
    """

    type = "traffic.lease"
    readers = {
        "session": wire.whole,
        "seq": wire.whole,
        "answers": wire.whole,
        "lease": wire.whole,
        "positions": wire.ranges,
        "redelivered": wire.ranges,
        "indexes": wire.raw,
        "bodies": wire.many_raw,
        "tried": _tried,
        "due": wire.raw,
        "spacing": wire.number,
        "stamp": Stamp.from_wire,
        "probe": wire.flag,
        "limit": wire.number,
        "results": wire.whole,
    }
    wire_names = {"redelivered": "again"}

    session: int
    seq: int
    answers: int
    lease: int
    positions: tuple[Range, ...]
    redelivered: tuple[Range, ...]
    indexes: bytes
    bodies: tuple[bytes, ...]
    tried: tuple[Tried, ...] = ()
    due: bytes = b""
    spacing: float = 0.0
    stamp: Stamp | None = None
    probe: bool = False
    limit: float = 0.0
    results: int = 0

    def index_list(self) -> list[int]:
        """Return the records' indexes, in the order of the positions. Raises ProtocolError if they are not as many."""
        made: list[int] = np.frombuffer(self.indexes, "<u8").tolist()
        if not len(made) == len(self.bodies) == RangeSet(self.positions).count:
            raise wire.ProtocolError(f"lease {self.lease} has {len(self.bodies)} bodies for {len(made)} records")
        return made

    def due_list(self) -> list[float]:
        """Return when each record is due, in seconds of the schedule. Raises ProtocolError if they are not as many."""
        made: list[float] = np.frombuffer(self.due, "<f8").tolist()
        if len(made) != len(self.bodies):
            raise wire.ProtocolError(f"lease {self.lease} has {len(made)} times for {len(self.bodies)} records")
        return made


@dataclass(frozen=True, slots=True)
class AckReply(Message):
    """Master to worker: ack `answers` was read, and all its outcomes are recorded.

    `over`: the run hands out no more records. `paused`: it hands out none until another answer says otherwise, or is a
    lease. `probe`, `limit` and `results`: as in a lease.
    """

    type = "traffic.acked"
    readers = {
        "session": wire.whole,
        "seq": wire.whole,
        "answers": wire.whole,
        "over": wire.flag,
        "paused": wire.flag,
        "stamp": Stamp.from_wire,
        "probe": wire.flag,
        "limit": wire.number,
        "results": wire.whole,
    }

    session: int
    seq: int
    answers: int
    over: bool
    paused: bool
    stamp: Stamp | None = None
    probe: bool = False
    limit: float = 0.0
    results: int = 0


FROM_WORKER: tuple[type[Message], ...] = (Hello, Ack, ResultBatch)
FROM_MASTER: tuple[type[Message], ...] = (Welcome, LeaseGrant, AckReply)
