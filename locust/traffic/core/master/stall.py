"""Decide why a run makes no progress, when it is stalled because of that, and when it is given up (promise P9).

Guarded here: a run goes on for as long as one of its records is pending or held by a worker that gets something done.
What a worker in trouble has handed back is pending, and others can send it; what it still holds only it can send.
"""

from collections.abc import Iterable
from enum import Enum

from traffic.core.master.run import Run
from traffic.core.master.session import Session
from traffic.core.record_state import RecordState

# Grace period: a reconnect usually takes less, so do not report a stall before.
GRACE_S = 3.0


class StallState(Enum):
    """Whether a run makes progress."""

    PROGRESSING = "progressing"
    STALLED = "stalled"
    EXPIRED = "expired"


class StallDetector:
    """Watches one run. Times are seconds on any one clock."""

    def __init__(self, give_up_s: float) -> None:
        self.give_up_s = give_up_s
        self._since: float | None = None

    def left_s(self, now: float) -> float:
        """Return the seconds until the run is given up, if nothing changes."""
        return self.give_up_s - (0.0 if self._since is None else now - self._since)

    def update(self, stalled: str, now: float) -> StallState:
        """Return the state at `now`. `stalled` says why the run can make no progress; empty if it can."""
        if not stalled:
            self._since = None
            return StallState.PROGRESSING
        if self._since is None:
            self._since = now
        waited = now - self._since
        if waited >= self.give_up_s:
            return StallState.EXPIRED
        return StallState.STALLED if waited >= min(GRACE_S, self.give_up_s / 2) else StallState.PROGRESSING


def stall_reason(run: Run | None, sessions: Iterable[Session]) -> str:
    """Return the trouble of the workers on which every open record depends; empty if one does not."""
    with_users = [session for session in sessions if session.users]
    troubled = {session.worker: session for session in with_users if session.trouble}
    if not troubled:
        return ""
    if len(troubled) == len(with_users):
        return describe_trouble(next(iter(troubled.values())))
    if run is None or run.ledger.counts[RecordState.PENDING] or not run.ledger.unsettled:
        return ""
    holders = {lease.worker for lease in run.ledger.leases}
    return describe_trouble(troubled[min(holders)]) if holders <= troubled.keys() else ""


def describe_trouble(session: Session) -> str:
    """Return a worker's trouble, or else what it lacks, in words that name the worker."""
    return (session.trouble or session.fault).replace("this worker", f"worker {session.worker}", 1)
