"""Why a run can make no progress, by what its workers say of themselves.

The rule that this module guards: a run goes on for as long as one of its records is where something gets done. What a
worker in trouble has handed back is pending, and others are there for it; what it still holds waits for it alone.
"""

from collections.abc import Iterable

from traffic.core.master.run import Run
from traffic.core.master.session import Session
from traffic.core.record_state import RecordState


def reason(run: Run | None, sessions: Iterable[Session]) -> str:
    """Why nothing moves, because those who would have to move it are in trouble; empty if something does."""
    manned = [session for session in sessions if session.users]
    troubled = {session.worker: session for session in manned if session.trouble}
    if not troubled:
        return ""
    if len(troubled) == len(manned):
        return told(next(iter(troubled.values())))
    if run is None or run.ledger.counts[RecordState.PENDING] or not run.ledger.unsettled:
        return ""
    holders = {lease.worker for lease in run.ledger.leases}
    return told(troubled[min(holders)]) if holders <= troubled.keys() else ""


def told(session: Session) -> str:
    """A worker's trouble, or else what it lacks, for people who see many workers."""
    return (session.trouble or session.fault).replace("this worker", f"worker {session.worker}", 1)
