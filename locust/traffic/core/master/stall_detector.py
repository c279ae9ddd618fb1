"""When a run that makes no progress is called paused, and when it is given up (promise P9)."""

from enum import Enum

# A worker that comes back, or an API that is restarted, needs this long without anybody being told.
GRACE_S = 3.0


class StallState(Enum):
    """What is to be thought of a run."""

    GOING = "going"
    PAUSED = "paused"
    GIVEN_UP = "given up"


class StallDetector:
    """Watches one run. Times are seconds on any one clock."""

    def __init__(self, give_up_s: float) -> None:
        self.give_up_s = give_up_s
        self._since: float | None = None

    def left_s(self, now: float) -> float:
        """Seconds until the run is given up, if nothing changes."""
        return self.give_up_s - (0.0 if self._since is None else now - self._since)

    def look(self, stalled: str, now: float) -> StallState:
        """Take why the run can make no progress at `now` (empty: it can); what follows."""
        if not stalled:
            self._since = None
            return StallState.GOING
        if self._since is None:
            self._since = now
        waited = now - self._since
        if waited >= self.give_up_s:
            return StallState.GIVEN_UP
        return StallState.PAUSED if waited >= min(GRACE_S, self.give_up_s / 2) else StallState.GOING
