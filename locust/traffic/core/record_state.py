"""Define the states of a record, and the cause of a dead letter."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from traffic.core.ranges import RangeSet


class RecordState(IntEnum):
    """The state of the record at a position."""

    PENDING = 0
    LEASED = 1
    DELIVERED = 2
    REJECTED = 3
    IN_DOUBT = 4


SETTLED = frozenset({RecordState.DELIVERED, RecordState.REJECTED, RecordState.IN_DOUBT})
# If a position is settled already, a later report overrules the earlier one only if it takes precedence.
PRECEDENCE = {RecordState.IN_DOUBT: 1, RecordState.REJECTED: 2, RecordState.DELIVERED: 3}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why records ended rejected or in doubt. `status` is the last HTTP status, 0 if no answer was read."""

    state: RecordState
    attempts: int
    status: int
    reason: str
    worker: str

    def of(self, position: int, answer: int = 0) -> "DeadLetter":
        """Return the dead letter of one record that ended so; `answer` is the number of its answer."""
        return DeadLetter(position, self.state, self.attempts, self.status, self.reason, self.worker, answer)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that ended rejected or in doubt, and its cause's members.

    `answer` is the number of the answer that it keeps (see `answer_book`); 0: none.
    """

    position: int
    state: RecordState
    attempts: int
    status: int
    reason: str
    worker: str
    answer: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Records that ended as dead letters by one cause and one answer: a thousand alike cost little more than one."""

    positions: RangeSet
    cause: Cause
    answer: int = 0

    def letters(self) -> Iterator[DeadLetter]:
        """Return the dead letter of each, in their order."""
        return (self.cause.of(position, self.answer) for position in self.positions.members())
