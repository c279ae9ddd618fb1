"""What ends in doubt by the master's own word: what a worker may have sent, where nobody will say what became of it.

The rule that this module guards: each such record has its dead letter, which names the worker and says why.
"""

from collections.abc import Iterable

from .ledger import Ledger
from .position import DeadLetter, State
from .ranges import RangeSet

LOST_AT_END = "the worker did not say what became of it before the run ended"
LOST_AT_RESTART = "the master was restarted while the worker had the record in hand"


def put_in_doubt(ledger: Ledger, worker: str, positions: Iterable[int], reason: str) -> tuple[DeadLetter, ...]:
    """Have positions that `worker` may have sent end in doubt; their letters."""
    return tuple(_doubt(ledger, worker, position, reason) for position in positions)


def doubt_at_restart(ledger: Ledger, worker: str, positions: RangeSet) -> tuple[DeadLetter, ...]:
    """Have in doubt what a worker of the former master may have sent, and nobody has settled; its letters."""
    tried = ledger.earlier.tried[worker]
    return put_in_doubt(
        ledger, worker, [position for position in positions.members() if position in tried], LOST_AT_RESTART
    )


def doubt_at_end(ledger: Ledger) -> tuple[DeadLetter, ...]:
    """Have in doubt what a worker may have sent, and nobody knows more of, when the run ends; its letters."""
    doubts = [(position, lease.worker) for lease in ledger.leases for position in lease.open.members()]
    tried = ledger.earlier.tried_among(ledger.positions(State.PENDING))
    doubts += [(position, ledger.earlier.suspect(position)) for position in tried.members()]
    return tuple(_doubt(ledger, worker, position, LOST_AT_END) for position, worker in doubts)


def _doubt(ledger: Ledger, worker: str, position: int, reason: str) -> DeadLetter:
    letter = DeadLetter(position, State.IN_DOUBT, 1, 0, reason, worker)
    ledger.bury(letter)
    return letter
