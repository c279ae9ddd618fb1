"""Define what the master's side of the protocol decides. The master's process carries decisions out in their order.

`Send` is a message to be sent. An `Entry` goes to the journal, and must be there before any `Send` that comes after it.
An `Event` is shown to people, in one line. `LeaseReturned` is both. `TimingsRecorded`,
`ResultsReceived` and a `Sample` of the timeline go to the disk, too.
"""

from dataclasses import dataclass

from traffic.core.master.answer_book import NumberedAnswer
from traffic.core.master.timeline import Sample
from traffic.core.protocol import Message
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetterGroup
from traffic.core.text import count_records, count_users, name_positions
from traffic.core.timings import KindTiming


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` to `worker`."""

    worker: str
    message: Message


@dataclass(frozen=True, slots=True)
class OutcomesRecorded:
    """These positions were not settled so before, and are now. `worker` saw the deliveries; each letter names its own.

    Letters of one cause and one answer are grouped. `attempts`, `resent` and `maybe_resent` are what the worker has
    counted so far, and `rows` how many rows of results it has made. `answers` are those to which the letters refer, and
    that the journal does not have yet.
    """

    worker: str
    delivered: RangeSet
    letters: tuple[DeadLetterGroup, ...]
    attempts: int = 0
    resent: int = 0
    maybe_resent: int = 0
    answers: tuple[NumberedAnswer, ...] = ()
    rows: int = 0


@dataclass(frozen=True, slots=True)
class TimingsRecorded:
    """A worker's attempts have taken this long: each kind that is new or has changed, with all of its attempts.

    The journal keeps the latest of each worker and kind. It is no `Entry`: no outcome depends on it.
    """

    worker: str
    timings: tuple[KindTiming, ...]


@dataclass(frozen=True, slots=True)
class ResultsReceived:
    """A worker's rows of results are to be kept: the batch of this `number`, of so many `rows`, compressed.

    They are in the file, and the number in the journal, before the worker is told. No outcome depends on them.
    """

    worker: str
    number: int
    rows: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Leased:
    """These positions are leased to a worker from now on; `at_ms`: since then, since 1970, if records get that time."""

    lease: int
    worker: str
    positions: RangeSet
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Reopened:
    """These dead letters are pending again, because a person wants them sent once more."""

    positions: RangeSet


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker takes part in the run. In a paced run it has no slice: None."""

    worker: str
    slice: int | None

    def __str__(self) -> str:
        part = "" if self.slice is None else f", with a slice of {count_records(self.slice)}"
        return f"worker {self.worker} joined{part}"


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker does not take part in the run any more."""

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
    """The lease of a worker that is lost is taken from it."""

    lease: int
    worker: str
    positions: RangeSet
    reason: str

    def __str__(self) -> str:
        return f"lease {self.lease} ({name_positions(self.positions)}) reclaimed from {self.worker}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LeaseReturned:
    """A worker does not hold these positions, and has not sent them: they are pending again, in the journal, too.

    `reported`: whether people see it.
    """

    lease: int
    worker: str
    positions: RangeSet
    reported: bool = True

    def __str__(self) -> str:
        return f"lease {self.lease} ({name_positions(self.positions)}) is not held by {self.worker}: pending again"


@dataclass(frozen=True, slots=True)
class LeaseHandedBack:
    """A worker in trouble has sent these positions in vain and leaves them to others: they are pending again.

    This is no `LeaseReturned`, because the journal must not have it: there the positions stay leased, so that a
    restarted master knows that they may have been sent. `reported`: whether people see it.
    """

    lease: int
    worker: str
    positions: RangeSet
    reported: bool

    def __str__(self) -> str:
        places = name_positions(self.positions)
        return f"lease {self.lease} ({places}) handed back by {self.worker}, which has sent it in vain"


@dataclass(frozen=True, slots=True)
class WorkerTroubled:
    """A worker gets nothing done any more, for the reason `trouble`; or, if that is empty, it does again."""

    worker: str
    trouble: str

    def __str__(self) -> str:
        return f"worker {self.worker} {f'is in trouble: {self.trouble}' if self.trouble else 'is out of its trouble'}"


@dataclass(frozen=True, slots=True)
class OutcomesRefused:
    """A worker reports outcomes of positions that it was never leased: these are not recorded.

    `messages` counts such acks in this run so far. If there are many, not each of them becomes a decision.
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
class RunSlowed:
    """The API answers 429 without saying for how long: the run sends at a share of its usual rate (records a second).

    A share of 1: it sends as usual again.
    """

    usual: float
    share: float

    def __str__(self) -> str:
        if self.share >= 1:
            return "the API keeps up again: the run sends as fast as before"
        return (
            f"the API answers 429 (too many requests): the run slows down, from {self.usual:.3g} to "
            f"{self.usual * self.share:.3g} records a second, and on until the API keeps up"
        )


@dataclass(frozen=True, slots=True)
class UsersJudged:
    """The users of a paced run have become too few, or (`short` False) enough again.

    `late` of the latest `records` were late because no user was free. `needed` is how many users the rate takes, if
    that is known and more than the `users`.
    """

    late: int
    records: int
    users: int
    needed: int | None
    short: bool

    def __str__(self) -> str:
        if not self.short:
            return f"the users are enough again: records go out when they are due, by {count_users(self.users)}"
        why = f"{self.late} of the latest {count_records(self.records)} are late because none is free"
        if self.needed is None:
            return f"too few users: {why}. All {count_users(self.users)} wait for the API's answers"
        return f"too few users: {why}. The rate takes {self.needed} at the API's present speed; there are {self.users}"


@dataclass(frozen=True, slots=True)
class AllSettled:
    """Every position of the run has an outcome."""

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
    | RunSlowed
    | UsersJudged
    | AllSettled
)
Decision = Send | Entry | TimingsRecorded | ResultsReceived | Sample | Event


def is_shown(decision: Decision) -> bool:
    """Whether people see a decision, as a line of the log and of the page's events."""
    if isinstance(decision, LeaseReturned | LeaseHandedBack):
        return decision.reported
    return isinstance(decision, Event)
