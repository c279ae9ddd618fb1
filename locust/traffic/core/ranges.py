"""Keep sets of integers as sorted, disjoint, non-adjacent half-open ranges.

Positions are sent and stored as ranges: a slice of five million positions is one pair of numbers, and an ack for a
thousand records that were sent in order is another.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

Range = tuple[int, int]
# Sets of more ranges than this are combined in one pass over both.
_MANY = 64


class RangeSet:
    """A mutable set of non-negative integers; memory grows with its gaps, not with its members."""

    __slots__ = ("_starts", "_stops", "count")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self.count = 0
        for start, stop in ranges:
            self.add(start, stop)

    @classmethod
    def of(cls, members: Iterable[int]) -> "RangeSet":
        """Compress `members`, in any order and with repeats, into ranges."""
        ordered = sorted(set(members))
        made = cls()
        if not ordered:
            return made
        start = previous = ordered[0]
        for member in ordered[1:]:
            if member != previous + 1:
                made._append(start, previous + 1)
                start = member
            previous = member
        made._append(start, previous + 1)
        return made

    @classmethod
    def of_array(cls, members: npt.NDArray[np.uint64]) -> "RangeSet":
        """Compress `members`, ascending and without repeats, into ranges."""
        made = cls()
        if len(members):
            ends = np.flatnonzero(np.diff(members) != 1)
            made._starts = members[np.concatenate(([0], ends + 1))].tolist()
            made._stops = (members[np.concatenate((ends, [len(members) - 1]))] + np.uint64(1)).tolist()
            made.count = len(members)
        return made

    def _append(self, start: int, stop: int) -> None:
        self._starts.append(start)
        self._stops.append(stop)
        self.count += stop - start

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return self.count > 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment] # it is mutable

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    def __contains__(self, member: int) -> bool:
        at = bisect_right(self._starts, member) - 1
        return at >= 0 and member < self._stops[at]

    @property
    def pairs(self) -> list[Range]:
        """The ranges as a list; `list(self)` would reserve room for as many as there are members."""
        return list(zip(self._starts, self._stops, strict=True))

    def members(self) -> Iterator[int]:
        """Return every member, ascending."""
        return chain.from_iterable(map(range, self._starts, self._stops))

    def array(self) -> npt.NDArray[np.uint64]:
        """Return every member, ascending, as an array of shape (count,)."""
        starts = np.array(self._starts, np.uint64)
        sizes = np.array(self._stops, np.uint64) - starts
        # Within a range each member exceeds its place in the array by as much as the range's first member does.
        offsets = starts - (np.cumsum(sizes, dtype=np.uint64) - sizes)
        made: npt.NDArray[np.uint64] = np.repeat(offsets, sizes.astype(np.int64))
        made += np.arange(self.count, dtype=np.uint64)
        return made

    def copy(self) -> "RangeSet":
        """Return an independent copy."""
        made = RangeSet()
        made._starts, made._stops, made.count = self._starts.copy(), self._stops.copy(), self.count
        return made

    def add(self, start: int, stop: int) -> None:
        """Make every integer of [start, stop) a member."""
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
            self.count -= sum(self._stops[at] - self._starts[at] for at in range(first, last))
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]
        self.count += stop - start

    def remove(self, start: int, stop: int) -> int:
        """Remove every integer of [start, stop). Returns how many of them were members."""
        if start >= stop:
            return 0
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        if first >= last:
            return 0
        before = self.count
        kept: list[Range] = []
        if self._starts[first] < start:
            kept.append((self._starts[first], start))
        if self._stops[last - 1] > stop:
            kept.append((stop, self._stops[last - 1]))
        self.count -= sum(self._stops[at] - self._starts[at] for at in range(first, last))
        self._starts[first:last] = [a for a, _ in kept]
        self._stops[first:last] = [b for _, b in kept]
        self.count += sum(b - a for a, b in kept)
        return before - self.count

    def update(self, other: "RangeSet") -> None:
        """Make every member of `other` a member."""
        if len(other._starts) > _MANY:
            self._merge(other)
            return
        for start, stop in other.pairs:
            self.add(start, stop)

    def _merge(self, other: "RangeSet") -> None:
        """Do as `update` in one pass over both: adding ranges one by one would move all behind each."""
        ordered = sorted(chain(self, other))  # two sorted sequences, which `sorted` merges in one pass
        self._starts, self._stops, self.count = [], [], 0
        for start, stop in ordered:
            if self._stops and start <= self._stops[-1]:
                self.count += max(0, stop - self._stops[-1])
                self._stops[-1] = max(stop, self._stops[-1])
            else:
                self._append(start, stop)

    def subtract(self, other: "RangeSet") -> None:
        """Remove every member of `other`."""
        if len(other._starts) > _MANY:
            kept = self._without(other)
            self._starts, self._stops, self.count = kept._starts, kept._stops, kept.count
            return
        for start, stop in other.pairs:
            self.remove(start, stop)

    def _without(self, other: "RangeSet") -> "RangeSet":
        """Return the members that `other` does not have, in one pass over both."""
        made, at = RangeSet(), 0
        for start, stop in self:
            kept_from = start
            while at < len(other._stops) and other._stops[at] <= start:
                at += 1
            nth = at
            while nth < len(other._starts) and other._starts[nth] < stop:
                if kept_from < other._starts[nth]:
                    made._append(kept_from, other._starts[nth])
                kept_from, nth = other._stops[nth], nth + 1
            if kept_from < stop:
                made._append(kept_from, stop)
        return made

    def common(self, other: "RangeSet") -> "RangeSet":
        """Return the members that `other` has, too, as a new set."""
        few, many = (self, other) if len(self._starts) <= len(other._starts) else (other, self)
        made = RangeSet()
        for start, stop in few.pairs:
            at = bisect_right(many._stops, start)
            while at < len(many._starts) and many._starts[at] < stop:
                made._append(max(start, many._starts[at]), min(stop, many._stops[at]))
                at += 1
        return made

    def minus(self, other: "RangeSet") -> "RangeSet":
        """Return the members that `other` does not have, as a new set."""
        made = self.copy()
        made.subtract(other)
        return made

    def head(self, most: int) -> "RangeSet":
        """Return the `most` smallest members, as a new set; all of them if there are fewer."""
        made = RangeSet()
        for start, stop in self:
            if most <= 0:
                break
            made._append(start, min(stop, start + most))
            most -= stop - start
        return made

    def tail(self, most: int) -> "RangeSet":
        """Return the `most` largest members, as a new set; all of them if there are fewer."""
        return self.minus(self.head(max(0, self.count - most)))

    def parts(self, ways: int) -> list["RangeSet"]:
        """Cut into `ways` disjoint sets whose sizes differ by one at most, the larger ones first."""
        small, larger = divmod(self.count, ways)
        rest = self.copy()
        made = []
        for nth in range(ways):
            part = rest.head(small + (nth < larger))
            rest.subtract(part)
            made.append(part)
        return made
