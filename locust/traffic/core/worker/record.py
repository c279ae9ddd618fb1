"""A record in a worker's hands, and the counts of attempts at a run's records."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from traffic.core.protocol import Tried
from traffic.core.timings import Request

NOWHERE = Request("", "")


class Wire(NamedTuple):
    """What was measured of an attempt on its way, by the worker's clock; None: not known.

    `connect_s` is how long it waited for a connection, 0 if there was one; `first_byte_at` is when its answer began.
    `received` is how many bytes of content the answer had, and `content` their beginning, if it is kept.
    """

    connect_s: float | None = None
    first_byte_at: float | None = None
    received: int = 0
    content: bytes = b""


def key_of(run: str, index: int | str) -> str:
    """Return a record's Idempotency-Key: the same at every attempt, on every worker, after a resume."""
    return f"{run}-{index}"


@dataclass(slots=True, eq=False)
class Record:
    """A record in a worker's hands: `index` is its place in the file, `body` its bytes as they stand there.

    `attempts` counts the attempts, the present one included, without the `unreached`, which did not leave this worker
    and do not count against the record; nor do those that were `put_off`, because the API asked to wait. `answered`:
    the API has answered one of them. `outcome_unknown`: one of them had no answer. `redelivered`: another worker may
    have sent the record. `waits_for_run`: its latest attempt was put off until the run goes on. `due` is the time at
    which it was due, by the worker's clock, or its backoff was over, and `taken` when it was handed out; both in a
    paced run, otherwise 0. `sent` is when the present attempt left, and `request` what it counts as in the statistics;
    `wire` has what a row of results has of it, in a run that wants rows; `span` is its id in the record's trace, if
    somebody collects spans, otherwise 0.
    """

    run: str
    session: int
    position: int
    index: int
    body: bytes
    redelivered: bool
    attempts: int = 0
    unreached: int = 0
    put_off: int = 0
    waits_for_run: bool = False
    outcome_unknown: bool = False
    answered: bool = False
    due: float = 0.0
    taken: float = 0.0
    sent: float = 0.0
    request: Request = NOWHERE
    wire: Wire | None = None
    span: int = 0

    @property
    def key(self) -> str:
        """The record's Idempotency-Key."""
        return key_of(self.run, self.index)

    def note_prior_attempts(self, tried: Tried | None) -> None:
        """Mark that another worker may have sent the record; continue its attempts if that worker reported them."""
        self.redelivered = True
        if tried is not None:
            self.attempts += tried.attempts
            self.outcome_unknown, self.answered = tried.outcome_unknown, not tried.outcome_unknown

    @property
    def repeat(self) -> bool:
        """Whether the API has had the record before the present attempt, or may have."""
        return self.redelivered or self.attempts > 1 or self.answered or self.outcome_unknown

    @property
    def maybe_resent(self) -> bool:
        """Whether the API may have had the record before, and nobody knows."""
        return not self.answered and (self.redelivered or self.outcome_unknown)


@dataclass(slots=True)
class Counts:
    """What one worker counts of one run.

    `taken` are the attempts that were begun, `unsent` those that did not leave the worker, `unknown` those that left
    and had no answer, `put_off` those that the API answered by asking to wait, `slowed` those that it answered 429
    without saying for how long. `resent` were begun at records that the API had answered before, `maybe_resent` at
    records that it may have had.
    """

    taken: int = 0
    unsent: int = 0
    unknown: int = 0
    resent: int = 0
    maybe_resent: int = 0
    put_off: int = 0
    slowed: int = 0

    def count_repeat(self, record: Record) -> None:
        """Count an attempt that is not the record's first, or may not be."""
        self.resent += record.answered
        self.maybe_resent += record.maybe_resent

    def record_unanswered(self, record: Record, *, sent: bool) -> None:
        """Count that an attempt has no answer. An attempt that did not leave the worker is taken off the record's."""
        if sent:
            self.unknown += 1
            return
        self.unsent += 1
        self.resent -= record.answered
        self.maybe_resent -= record.maybe_resent
        record.attempts -= 1
        record.unreached += 1

    def answered(self, in_flight: int) -> int:
        """Return how many attempts were answered, if `in_flight` are under way."""
        return self.taken - self.unsent - self.unknown - in_flight

    def attempts_made(self, in_flight: Iterable[Record]) -> tuple[int, int, int]:
        """Return the attempts that left the worker and are over, the repeats among them, and the possible repeats."""
        under_way = list(in_flight)
        resent, maybe_resent = self.resent, self.maybe_resent
        if resent or maybe_resent:
            resent -= sum(record.answered for record in under_way)
            maybe_resent -= sum(record.maybe_resent for record in under_way)
        return self.taken - self.unsent - len(under_way), resent, maybe_resent

    def without(self, in_flight: Iterable[Record]) -> "Counts":
        """Return the counts as they are if no outcome of what is under way is ever reported."""
        attempts, resent, maybe_resent = self.attempts_made(in_flight)
        return Counts(
            attempts + self.unsent, self.unsent, self.unknown, resent, maybe_resent, self.put_off, self.slowed
        )
