"""A record in a worker's hands, and the counts of attempts at a run's records."""

from collections.abc import Iterable
from dataclasses import dataclass


def key_of(run: str, index: int | str) -> str:
    """Return a record's Idempotency-Key: the same at every attempt, on every worker, after a resume."""
    return f"{run}-{index}"


@dataclass(slots=True, eq=False)
class Record:
    """A record in a worker's hands: `index` is its place in the file, `body` its bytes as they stand there.

    `attempts` counts those made, the present one included, without the `unreached`, which did not leave this worker
    and do not count against the record. `answered` says that the API has answered one of them, `outcome_unknown` that
    one of them had no answer, `redelivered` that another worker may have sent the record.
    """

    run: str
    session: int
    position: int
    index: int
    body: bytes
    redelivered: bool
    attempts: int = 0
    unreached: int = 0
    outcome_unknown: bool = False
    answered: bool = False

    @property
    def key(self) -> str:
        """The record's Idempotency-Key."""
        return key_of(self.run, self.index)

    @property
    def maybe(self) -> bool:
        """Whether the API may have had the record before, and nobody knows."""
        return not self.answered and (self.redelivered or self.outcome_unknown)


@dataclass(slots=True)
class Counts:
    """What one worker counts of one run.

    `taken` are the attempts that were begun, `unsent` those that did not leave the worker, `unknown` those that left
    and had no answer. `repeats` were begun at records that the API had answered before, `maybe` at records that it
    may have had.
    """

    taken: int = 0
    unsent: int = 0
    unknown: int = 0
    repeats: int = 0
    maybe: int = 0

    def begin_again(self, record: Record) -> None:
        """Count an attempt that is not the record's first, or may not be."""
        self.repeats += record.answered
        self.maybe += record.maybe

    def book_unanswered(self, record: Record, *, sent: bool) -> None:
        """Count that an attempt has no answer. One that did not leave the worker is none of the record's."""
        if sent:
            self.unknown += 1
            return
        self.unsent += 1
        self.repeats -= record.answered
        self.maybe -= record.maybe
        record.attempts -= 1
        record.unreached += 1

    def answered(self, flying: int) -> int:
        """How many attempts were answered, if `flying` are under way."""
        return self.taken - self.unsent - self.unknown - flying

    def done(self, flying: Iterable[Record]) -> tuple[int, int, int]:
        """The attempts that left the worker and are over, how many of them were repeats, and how many maybe were."""
        under_way = list(flying)
        repeats, maybe = self.repeats, self.maybe
        if repeats or maybe:
            repeats -= sum(record.answered for record in under_way)
            maybe -= sum(record.maybe for record in under_way)
        return self.taken - self.unsent - len(under_way), repeats, maybe

    def without(self, flying: Iterable[Record]) -> "Counts":
        """Return what is counted if nothing more is heard of what is under way."""
        attempts, repeats, maybe = self.done(flying)
        return Counts(attempts + self.unsent, self.unsent, self.unknown, repeats, maybe)
