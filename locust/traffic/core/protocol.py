"""The messages between master and workers, and their form on the wire. docs/protocol.md tells when each is sent.

Each message is a frozen dataclass; `to_wire` gives a dict of what Locust's msgpack carries (str, bytes, bool, int,
float, list, dict, None), `from_wire` checks what came and raises ProtocolError where it is something else.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from .ranges import Range, RangeSet

VERSION = 2
# Master to worker: register with Locust's own master again. {"run": the run of its test, empty where there is none}
REGISTER = "traffic.register"


class ProtocolError(Exception):
    """A message that does not say what its type promises."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The protocol's times in seconds, and the bounds of a lease. The same on both sides of a release."""

    lease_s: float = 5.0
    ack_s: float = 0.25
    idle_ack_s: float = 1.0
    hello_s: float = 0.5
    lease_records: int = 4000
    lease_bytes: int = 1 << 20
    window_records: int = 16000


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ProtocolError(f"expected a whole number from 0, got {value!r:.40}")


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ProtocolError(f"expected a number, got {value!r:.40}")


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ProtocolError(f"expected text, got {value!r:.40}")


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ProtocolError(f"expected true or false, got {value!r:.40}")


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ProtocolError(f"expected bytes, got {value!r:.40}")


def _all_bytes(values: list[Any]) -> tuple[bytes, ...]:
    if set(map(type, values)) <= {bytes}:
        return tuple(values)
    return tuple(map(_bytes, values))


def _list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise ProtocolError(f"expected a list, got {value!r:.40}")


def _ranges(value: Any) -> tuple[Range, ...]:
    made: list[Range] = []
    for pair in _list(value):
        start, stop = (_int(end) for end in _list(pair))
        if start >= stop or (made and start <= made[-1][1]):
            raise ProtocolError(f"ranges out of order or empty at {start}-{stop}")
        made.append((start, stop))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What a worker must know of a run: how to send its records."""

    run: str
    method: str
    path: str
    wait: tuple[float, float]
    max_attempts: int
    policy: str

    def to_wire(self) -> dict[str, Any]:
        """Return the terms as a dict that msgpack can carry."""
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "wait": list(self.wait)}

    @classmethod
    def from_wire(cls, data: Any) -> "RunTerms | None":
        """Read the terms that `data` holds; None is no run. ProtocolError where it holds neither."""
        if data is None:
            return None
        low, high = (_number(end) for end in _list(_field(data, "wait")))
        return cls(
            run=_str(_field(data, "run")),
            method=_str(_field(data, "method")),
            path=_str(_field(data, "path")),
            wait=(low, high),
            max_attempts=_int(_field(data, "max_attempts")),
            policy=_str(_field(data, "policy")),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that the worker gave up: its position, whether in doubt, and why."""

    position: int
    in_doubt: bool
    attempts: int
    status: int
    reason: str

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [self.position, self.in_doubt, self.attempts, self.status, self.reason]

    @classmethod
    def from_wire(cls, data: Any) -> "Failure":
        """Read the fields in their order. ProtocolError or ValueError where they are others."""
        position, in_doubt, attempts, status, reason = _list(data)
        return cls(_int(position), _bool(in_doubt), _int(attempts), _int(status), _str(reason))


def _failures(value: Any) -> tuple[Failure, ...]:
    return tuple(Failure.from_wire(one) for one in _list(value))


def _field(data: Any, name: str) -> Any:
    if not isinstance(data, dict) or name not in data:
        raise ProtocolError(f"{name!r} is missing")
    return data[name]


class Message:
    """What all messages share: a type on the wire and a table of how each field is read."""

    type: ClassVar[str]
    readers: ClassVar[dict[str, Callable[[Any], Any]]]

    def to_wire(self) -> dict[str, Any]:
        """The message as a dict that msgpack can carry."""
        wire = {}
        for name in self.readers:
            value = getattr(self, name)
            wire[name] = _plain(value)
        return wire

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """The message that `data` holds; ProtocolError where it holds none."""
        try:
            return cls(**{name: reader(_field(data, name)) for name, reader in cls.readers.items()})
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"{cls.type}: {error}") from error


def _plain(value: Any) -> Any:
    if hasattr(value, "to_wire"):
        return value.to_wire()
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Worker to master: I am here and hold nothing. `hello` counts a worker's hellos, so that an old one is known."""

    type = "traffic.hello"
    readers = {"version": _int, "hello": _int}

    version: int
    hello: int


@dataclass(frozen=True, slots=True)
class Ack(Message):
    """Worker to master: what has become of what I had, what I hold, what I want. It renews the worker's leases.

    `seq` counts the acks of a session; `heard` is the newest number of the master's that has been read. `delivered`
    (ranges of positions) and `failed` hold every outcome that the master has not confirmed; `holds` every position
    in hand. `wants` is in records. `attempts` and `resent` count since the run began on this worker. `trouble`
    says why the API cannot be reached, if it cannot. `leaving`: the worker is going, and what it does not hold any
    more is handed back.
    """

    type = "traffic.ack"
    readers = {
        "session": _int,
        "seq": _int,
        "heard": _int,
        "run": _str,
        "delivered": _ranges,
        "failed": _failures,
        "holds": _ranges,
        "wants": _int,
        "attempts": _int,
        "resent": _int,
        "users": _int,
        "trouble": _str,
        "leaving": _bool,
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


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """Master to worker: from now on you are this session, which holds nothing yet, in this run (None: no run)."""

    type = "traffic.welcome"
    readers = {"session": _int, "seq": _int, "run": RunTerms.from_wire}

    session: int
    seq: int
    run: RunTerms | None


@dataclass(frozen=True, slots=True)
class Grant(Message):
    """Master to worker: a lease. The answer to ack `answers`; `seq` counts the master's messages of a session.

    `positions` are ranges; `indexes` (little-endian uint64, packed) and `bodies` stand in the order of the
    positions. `again` are those positions that another worker may have sent before it was lost.
    """

    type = "traffic.lease"
    readers = {
        "session": _int,
        "seq": _int,
        "answers": _int,
        "lease": _int,
        "positions": _ranges,
        "again": _ranges,
        "indexes": _bytes,
        "bodies": lambda value: _all_bytes(_list(value)),
    }

    session: int
    seq: int
    answers: int
    lease: int
    positions: tuple[Range, ...]
    again: tuple[Range, ...]
    indexes: bytes
    bodies: tuple[bytes, ...]

    def index_list(self) -> list[int]:
        """The records' indexes, in the order of the positions."""
        made: list[int] = np.frombuffer(self.indexes, "<u8").tolist()
        if not len(made) == len(self.bodies) == RangeSet(self.positions).count:
            raise ProtocolError(f"lease {self.lease} has {len(self.bodies)} bodies for {len(made)} records")
        return made


@dataclass(frozen=True, slots=True)
class Acked(Message):
    """Master to worker: ack `answers` was read and all its outcomes are booked.

    `over`: the run hands out no more. `paused`: nor does it until another answer says otherwise, or is a lease.
    """

    type = "traffic.acked"
    readers = {"session": _int, "seq": _int, "answers": _int, "over": _bool, "paused": _bool}

    session: int
    seq: int
    answers: int
    over: bool
    paused: bool


FROM_WORKER: tuple[type[Message], ...] = (Hello, Ack)
FROM_MASTER: tuple[type[Message], ...] = (Welcome, Grant, Acked)
