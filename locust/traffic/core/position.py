"""Where a position of a run stands, and, where it ended as a dead letter, why."""

from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """Where a position stands."""

    PENDING = 0
    LEASED = 1
    DELIVERED = 2
    REJECTED = 3
    IN_DOUBT = 4


SETTLED = frozenset({State.DELIVERED, State.REJECTED, State.IN_DOUBT})
# Where a position is settled already, a later word overrules the earlier only if it is worth more.
WORTH = {State.IN_DOUBT: 1, State.REJECTED: 2, State.DELIVERED: 3}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a position ended rejected or in doubt. `status` is the last HTTP status, 0 where no answer was read."""

    position: int
    state: State
    attempts: int
    status: int
    reason: str
    worker: str
