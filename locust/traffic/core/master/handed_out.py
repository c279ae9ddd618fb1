"""Keep when each record was first handed out, for the time that is put into it.

Guarded here: a position's time never changes once it is in the journal, so the record is the same at every attempt.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from traffic.core.ranges import RangeSet
from traffic.core.stamp import Stamp


class HandedOut:
    """The times of `records` positions, and the `stamp` that they are put into records as: 8 bytes a position.

    `clock_ms` returns the time in milliseconds since 1970.
    """

    def __init__(self, stamp: Stamp, records: int, clock_ms: Callable[[], int]) -> None:
        self._stamp, self._clock_ms = stamp, clock_ms
        self._at_ms = np.zeros(records, np.int64)

    def note(self, positions: RangeSet, at_ms: int | None = None) -> int:
        """Note that positions are handed out now, or at a time that the journal has; return that time."""
        at_ms = self._clock_ms() if at_ms is None else at_ms
        for start, stop in positions.pairs:
            piece = self._at_ms[start:stop]
            piece[piece == 0] = at_ms
        return at_ms

    def restore(self, handed_out: Iterable[tuple[RangeSet, int]]) -> None:
        """Note what the journal has, the earliest first."""
        for positions, at_ms in handed_out:
            self.note(positions, at_ms)

    def stamped(self, positions: RangeSet, records: Sequence[bytes]) -> list[bytes]:
        """Return the records of these positions, each with its time."""
        times = self._at_ms[positions.array()].tolist()
        return [self._stamp.added(record, at_ms) for record, at_ms in zip(records, times, strict=True)]
