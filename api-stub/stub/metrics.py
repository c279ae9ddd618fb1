"""Counts what one stub process does. Rule: counting costs a request about a microsecond (`exposition` shows it)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Histogram:
    """Counts values by upper bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield each upper bound with the number of values up to it; the last bound is `+Inf`."""
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield str(bound), total


class Metrics:
    """All that one stub process has counted since its start."""

    def __init__(self) -> None:
        self.posts: Counter[int] = Counter()  # by the status of the answer; 0 if none was sent
        self.misbehaved: Counter[str] = Counter()  # by the fault
        self.replayed = 0
        self.post_seconds = Histogram(_SECONDS)
        self.write_seconds = Histogram(_SECONDS)
        self.batch_messages = Histogram(_MESSAGES)
