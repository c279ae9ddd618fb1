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

    def of(self, position: int) -> "DeadLetter":
        """Return the dead letter of one record that ended so."""
        return DeadLetter(position, self.state, self.attempts, self.status, self.reason, self.worker)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that ended rejected or in doubt, and its cause's members."""

    position: int
    state: RecordState
    attempts: int
    status: int
    reason: str
    worker: str


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Records that ended as dead letters by one cause: a thousand rejected alike cost little more than one."""

    positions: RangeSet
    cause: Cause

    def letters(self) -> Iterator[DeadLetter]:
        """Return the dead letter of each, in their order."""
        return map(self.cause.of, self.positions.members())
