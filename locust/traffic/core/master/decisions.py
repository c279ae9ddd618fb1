"""What the master's side of the protocol decides; the master adapter carries it out, in this order.

`Send` is a message to be sent. An `Entry` is something for the journal: it must be there before any `Send` that
comes after it. An `Event` is told to people, in one line. `LeaseReturned` is both.
"""

from dataclasses import dataclass

from traffic.core.protocol import Message
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetterGroup
from traffic.core.text import count_records, name_positions


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` to `worker`."""

    worker: str
    message: Message


@dataclass(frozen=True, slots=True)
class OutcomesRecorded:
    """These positions are settled now; it was news. `worker` saw the deliveries; each letter names its own.

    Letters of one cause stand together. `attempts`, `resent` and `maybe_resent` are what the worker has counted so far.
    """

    worker: str
    delivered: RangeSet
    letters: tuple[DeadLetterGroup, ...]
    attempts: int = 0
    resent: int = 0
    maybe_resent: int = 0


@dataclass(frozen=True, slots=True)
class Leased:
    """These positions are a worker's to send from now on."""

    lease: int
    worker: str
    positions: RangeSet


@dataclass(frozen=True, slots=True)
class Reopened:
    """These dead letters are pending again: a person wants them sent once more."""

    positions: RangeSet


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker takes part in the run."""

    worker: str
    slice: int

    def __str__(self) -> str:
        return f"worker {self.worker} joined, with a slice of {count_records(self.slice)}"


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker takes no more part in the run."""

    worker: str
    reason: str
    left: int
    successors: int

    def __str__(self) -> str:
        if not self.left:
            return f"worker {self.worker} is gone ({self.reason}); it had nothing left to do"
        to = (
            f"cut among {self.successors} other worker{'' if self.successors == 1 else 's'}"
            if self.successors
            else "kept for the next"
        )
        return f"worker {self.worker} is gone ({self.reason}); {count_records(self.left)} of its slice {to}"


@dataclass(frozen=True, slots=True)
class LeaseReclaimed:
    """A lease of a worker that is given up."""

    lease: int
    worker: str
    positions: RangeSet
    reason: str

    def __str__(self) -> str:
        return f"lease {self.lease} ({name_positions(self.positions)}) reclaimed from {self.worker}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LeaseReturned:
    """Positions that the master had thought leased and that the worker does not hold; whether people are told."""

    lease: int
    worker: str
    positions: RangeSet
    reported: bool = True

    def __str__(self) -> str:
        return f"lease {self.lease} ({name_positions(self.positions)}) is not held by {self.worker}: pending again"


@dataclass(frozen=True, slots=True)
class LeaseHandedBack:
    """Positions that a worker in trouble has sent in vain, and leaves to others; whether people are told."""

    lease: int
    worker: str
    positions: RangeSet
    reported: bool

    def __str__(self) -> str:
        places = name_positions(self.positions)
        return f"lease {self.lease} ({places}) handed back by {self.worker}, which has sent it in vain"


@dataclass(frozen=True, slots=True)
class WorkerTroubled:
    """A worker gets nothing done any more, for this reason; or, if there is none, it does again."""

    worker: str
    trouble: str

    def __str__(self) -> str:
        return f"worker {self.worker} {f'is in trouble: {self.trouble}' if self.trouble else 'is out of its trouble'}"


@dataclass(frozen=True, slots=True)
class OutcomesRefused:
    """A worker says what became of positions that it was never leased: that is not booked.

    `messages` is how many have said such things in this run so far; of many not each is told.
    """

    worker: str
    positions: RangeSet
    messages: int

    def __str__(self) -> str:
        places = name_positions(self.positions)
        what = f"{self.worker[:70]!r} says what became of {places}, which it was never given in this run"
        so_far = f" ({self.messages} such messages so far)" if self.messages > 1 else ""
        return f"{what}: not booked{so_far}. If that is no worker of yours, find out who reaches the master's port"


@dataclass(frozen=True, slots=True)
class AllSettled:
    """Every position of the run has its outcome."""

    run: str

    def __str__(self) -> str:
        return f"run {self.run}: every record is settled"


Entry = OutcomesRecorded | Leased | LeaseReturned | Reopened
Event = (
    WorkerJoined
    | WorkerGone
    | WorkerTroubled
    | LeaseReclaimed
    | LeaseReturned
    | LeaseHandedBack
    | OutcomesRefused
    | AllSettled
)
Decision = Send | Entry | Event
