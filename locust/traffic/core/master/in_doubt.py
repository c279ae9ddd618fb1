"""Mark records in doubt when the master must decide alone: a worker may have sent them and will not report an outcome.

Guarded here: each such record has a dead letter that names the worker and the reason.
"""

from traffic.core.master.ledger import Ledger
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetterGroup, RecordState

LOST_AT_END = "the worker did not say what became of it before the run ended"
LOST_AT_RESTART = "the master was restarted while the worker had the record in hand"


def mark_in_doubt(ledger: Ledger, worker: str, positions: RangeSet, reason: str) -> tuple[DeadLetterGroup, ...]:
    """Mark positions that `worker` may have sent as in doubt. Returns their letters."""
    cause = Cause(RecordState.IN_DOUBT, 1, 0, reason, worker)
    newly = ledger.record_failure(positions, cause)
    return (DeadLetterGroup(newly, cause),) if newly else ()


def in_doubt_at_restart(ledger: Ledger, worker: str, positions: RangeSet) -> tuple[DeadLetterGroup, ...]:
    """Mark what a worker of the former master may have sent, if it is not settled, as in doubt. Returns the letters."""
    tried = ledger.prior_attempts.tried[worker]
    return mark_in_doubt(ledger, worker, positions.common(tried), LOST_AT_RESTART)


def in_doubt_at_end(ledger: Ledger) -> tuple[DeadLetterGroup, ...]:
    """Mark what a worker may have sent, if it is not settled when the run ends, as in doubt. Returns the letters."""
    suspects = [(lease.worker, lease.open.copy()) for lease in ledger.leases]
    pending = ledger.positions(RecordState.PENDING)
    for worker, tried in ledger.prior_attempts.tried.items():
        suspected = tried.common(pending)
        pending.subtract(suspected)
        suspects.append((worker, suspected))
    return tuple(group for doubt in suspects for group in mark_in_doubt(ledger, *doubt, LOST_AT_END))
