"""Hold a worker to so many records a second: what it may take by a moment, and when the next one.

This is a token bucket (J. Turner, "New Directions in Communications", 1986) that holds the records of `BURST_S`.
"""

# So often users that wait are looked after: what comes due in between is taken together.
BURST_S = 0.1


class RateLimit:
    """Without a limit (`rate` 0) everything is allowed. Times are seconds on the worker's own clock."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._tokens, self._at = 1.0, 0.0

    def set(self, rate: float) -> None:
        """Allow so many records a second from now on; 0: any number."""
        if not self.rate:
            self._tokens = 0.0
        self.rate = rate

    def allowed(self, now: float, most: int) -> int:
        """Return how many of `most` records may be taken now."""
        if not self.rate:
            return most
        self._tokens = min(max(1.0, self.rate * BURST_S), self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        return min(most, int(self._tokens))

    def take(self, count: int) -> None:
        """Note that so many were taken."""
        if self.rate:
            self._tokens -= count
