"""Mark records in doubt when the master must decide alone: a worker may have sent them and will not report an outcome.

Guarded here: each such record has a dead letter that names the worker and the reason.
"""

from traffic.core.master.ledger import Ledger
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Buried, Cause, RecordState

LOST_AT_END = "the worker did not say what became of it before the run ended"
LOST_AT_RESTART = "the master was restarted while the worker had the record in hand"


def put_in_doubt(ledger: Ledger, worker: str, positions: RangeSet, reason: str) -> tuple[Buried, ...]:
    """Have positions that `worker` may have sent end in doubt; their letters."""
    cause = Cause(RecordState.IN_DOUBT, 1, 0, reason, worker)
    news = ledger.record_failure(positions, cause)
    return (Buried(news, cause),) if news else ()


def doubt_at_restart(ledger: Ledger, worker: str, positions: RangeSet) -> tuple[Buried, ...]:
    """Have in doubt what a worker of the former master may have sent, and nobody has settled; its letters."""
    tried = ledger.earlier.tried[worker]
    return put_in_doubt(ledger, worker, positions.common(tried), LOST_AT_RESTART)


def doubt_at_end(ledger: Ledger) -> tuple[Buried, ...]:
    """Have in doubt what a worker may have sent, and nobody knows more of, when the run ends; its letters."""
    doubts = [(lease.worker, lease.open.copy()) for lease in ledger.leases]
    pending = ledger.positions(RecordState.PENDING)
    for worker, tried in ledger.earlier.tried.items():
        suspected = tried.common(pending)
        pending.subtract(suspected)
        doubts.append((worker, suspected))
    return tuple(group for doubt in doubts for group in put_in_doubt(ledger, *doubt, LOST_AT_END))
