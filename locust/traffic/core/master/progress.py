"""Estimate a run's rate and remaining time from what was settled in the last seconds."""

from collections import deque

SPAN_S = 10.0


class Progress:
    """A sliding window over a run. Times are seconds on any one clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, settled: int, now: float) -> None:
        """Note how many records have been settled by `now`; call it about once a second."""
        self._seen.append((now, settled))
        while self._seen[0][0] < now - SPAN_S:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Records settled a second, over the last ten seconds; 0 before there are two notes."""
        if not self._seen:
            return 0.0
        (since, before), (until, after) = self._seen[0], self._seen[-1]
        return (after - before) / (until - since) if until > since else 0.0

    def eta_s(self, unsettled: int) -> float | None:
        """Return the seconds until the rest is settled at this rate; None while nothing is settled."""
        if unsettled == 0:
            return 0.0
        return unsettled / self.rate if self.rate > 0 else None
