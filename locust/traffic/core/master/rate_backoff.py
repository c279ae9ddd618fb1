"""Slow a run down while the API answers 429 without saying for how long, and let it come up again.

Additive increase, multiplicative decrease (D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms
for Congestion Avoidance in Computer Networks", 1989): the share of its usual rate that the run sends at is halved at
each 429, once a second at most, and grows again by a fixed part of the share at which it was last halved.
"""

from dataclasses import dataclass, field

CUT = 0.5
# After a cut, the former share is reached again in so many seconds.
RECOVERY_S = 10.0
# Answers to what was sent before a cut are no reason for another.
SETTLE_S = 1.0
# A run is never slower than this, in records a second: an answer is needed to find out whether the API takes more.
LEAST_RATE = 0.1
_NEVER = float("-inf")


@dataclass(slots=True)
class RateBackoff:
    """Keeps the `share`, from 0 to 1, of the run's usual rate. Times are seconds on the coordinator's clock.

    `usual` is that rate, in records a second, as it was when the API first answered 429. `answers` counts these.
    """

    share: float = 1.0
    usual: float = 0.0
    answers: int = 0
    _peak: float = 1.0
    _cut_at: float = _NEVER
    _grown_at: float = _NEVER
    _by_worker: dict[str, int] = field(default_factory=dict)

    @property
    def slowed(self) -> bool:
        """Whether the run is slower than usual."""
        return self.share < 1.0

    def note(self, worker: str, answers: int, usual: float, now: float) -> bool:
        """Note how many 429 a worker has had since the run began there. Returns whether the run is slower from now on.

        `usual` is the run's present rate, which counts if it is not slowed yet.
        """
        new = answers - self._by_worker.get(worker, 0)
        if new <= 0:
            return False
        self._by_worker[worker] = answers
        self.answers += new
        if now < self._cut_at + SETTLE_S:
            return False
        if not self.slowed:
            self.usual = max(usual, LEAST_RATE)
        self._peak = self.share
        self.share = max(self.share * CUT, min(1.0, LEAST_RATE / self.usual))
        self._cut_at = self._grown_at = now
        return True

    def grow(self, now: float) -> bool:
        """Let the share grow, as time passes without a 429. Returns whether it has."""
        if not self.slowed or now < self._cut_at + SETTLE_S:
            return False
        self.share = min(1.0, self.share + (now - self._grown_at) * CUT * self._peak / RECOVERY_S)
        self._grown_at = now
        return True

    def limit(self, users: int, users_in_all: int) -> float:
        """Return how many records a second a worker with `users` may send; 0: as many as it can."""
        return self.share * self.usual * users / users_in_all if self.slowed and users_in_all else 0.0
