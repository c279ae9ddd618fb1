"""Keep how long things took: counts of times, in buckets each of which is 2% wider than the one before.

Guarded here: the histograms of several workers add up to that of all their times. (Percentiles do not add up.) A
quantile is never below the true one, at most 2% above it, and never above the longest time.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from traffic.core import wire

GROWTH = 1.02
# Bucket 0 has all times up to this.
LEAST_S = 1e-5
_LOG_GROWTH = math.log(GROWTH)
# The buckets up to this hold 31 years.
_MOST_BUCKET = 2000
# Fewer times than this are added one by one.
_FEW = 32


class Histogram:
    """Times in seconds. `counts` is by bucket, `most` the longest time, 0 if there is none, and `sum` of all times."""

    __slots__ = ("counts", "most", "sum")

    def __init__(self, counts: Iterable[tuple[int, int]] = (), most: float = 0.0, sum_s: float = 0.0) -> None:
        self.counts: Counter[int] = Counter(dict(counts))
        self.most, self.sum = most, sum_s

    def __eq__(self, other: object) -> bool:
        """Return whether the times are the same; in which order they were added to the sum makes no difference."""
        if not isinstance(other, Histogram) or (self.counts, self.most) != (other.counts, other.most):
            return False
        return math.isclose(self.sum, other.sum, rel_tol=1e-9)

    __hash__ = None  # type: ignore[assignment]

    @property
    def total(self) -> int:
        """How many times there are."""
        return self.counts.total()

    def add(self, seconds: list[float]) -> None:
        """Add times; a negative one counts as 0."""
        if len(seconds) < _FEW:
            self._add_few(seconds)
            return
        times = np.maximum(np.asarray(seconds, np.float64), 0.0)
        buckets = np.ceil(np.log(np.maximum(times / LEAST_S, 1.0)) / _LOG_GROWTH - 1e-9).astype(int)
        there, counts = np.unique(np.minimum(buckets, _MOST_BUCKET), return_counts=True)
        self.counts.update(dict(zip(there.tolist(), counts.tolist(), strict=True)))
        self.most = max(self.most, float(times.max()))
        self.sum += float(times.sum())

    def _add_few(self, seconds: list[float]) -> None:
        """Add times one by one: for a few, that is faster than arrays."""
        for one in seconds:
            time = max(one, 0.0)
            bucket = math.ceil(math.log(max(time / LEAST_S, 1.0)) / _LOG_GROWTH - 1e-9)
            self.counts[min(bucket, _MOST_BUCKET)] += 1
            self.most = max(self.most, time)
            self.sum += time

    def update(self, other: "Histogram") -> None:
        """Add the times of another histogram."""
        self.counts.update(other.counts)
        self.most = max(self.most, other.most)
        self.sum += other.sum

    def replace(self, before: "Histogram", after: "Histogram") -> None:
        """Have the times of `after` instead of those of `before`, which are among these, and among those of `after`."""
        self.counts.update(after.counts)
        self.counts.subtract(before.counts)
        self.most = max(self.most, after.most)
        self.sum += after.sum - before.sum

    def copy(self) -> "Histogram":
        """Return a histogram of the same times."""
        return Histogram(self.counts.items(), self.most, self.sum)

    def since(self, before: "Histogram") -> "Histogram":
        """Return the times that are not among those of `before`, all of which are among these.

        Its longest time is the upper end of the bucket that the longest is in.
        """
        counts = {bucket: count - before.counts[bucket] for bucket, count in self.counts.items()}
        new = {bucket: count for bucket, count in counts.items() if count > 0}
        most = min(self.most, LEAST_S * GROWTH ** max(new)) if new else 0.0
        return Histogram(new.items(), most, self.sum - before.sum)

    def quantile(self, share: float) -> float | None:
        """Return the time that `share` of all times, from 0 to 1, do not exceed; None without times."""
        needed, seen = share * self.total, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= needed:
                return min(self.most, LEAST_S * GROWTH**bucket)
        return None

    @property
    def least(self) -> float | None:
        """The shortest time, or up to 2% more; None without times."""
        return self.quantile(0.0)

    @property
    def mean(self) -> float | None:
        """The mean of all times; None without times."""
        return self.sum / self.total if self.counts else None

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """Return, for each of `bounds` in seconds, how many times are in buckets up to it."""
        return [sum(count for at, count in self.counts.items() if LEAST_S * GROWTH**at <= bound) for bound in bounds]

    def to_wire(self) -> list[Any]:
        """Return the longest time, the sum, and the buckets with their counts."""
        return [self.most, self.sum, [number for pair in sorted(self.counts.items()) for number in pair]]

    @classmethod
    def from_wire(cls, data: Any) -> "Histogram":
        """Read what `to_wire` made. Raises ProtocolError or ValueError if it is something else."""
        most, sum_s, flat = wire.many(data)
        numbers = [wire.whole(one) for one in wire.many(flat)]
        if len(numbers) % 2 or any(bucket > _MOST_BUCKET for bucket in numbers[::2]):
            raise wire.ProtocolError("a histogram is no list of buckets and counts")
        return cls(zip(numbers[::2], numbers[1::2], strict=True), wire.number(most), wire.number(sum_s))
