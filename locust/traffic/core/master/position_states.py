"""Keep the state of every position of a run, a byte for each, and how many positions are in each state.

Guarded here: the counts always add up to the run's records.
"""

import numpy as np

from traffic.core.ranges import Range, RangeSet
from traffic.core.record_state import RecordState


class PositionStates:
    """`array` has shape (records,), all pending at first; `counts[state]` is how many positions are in that state."""

    def __init__(self, records: int) -> None:
        self.array = np.zeros(records, np.uint8)
        self.counts = [0] * len(RecordState)
        self.counts[RecordState.PENDING] = records

    def change(self, positions: RangeSet, before: RecordState, after: RecordState) -> None:
        """Put `positions`, all of them in the state `before`, into the state `after`."""
        for start, stop in positions:
            self.array[start:stop] = after
        self.counts[before] -= positions.count
        self.counts[after] += positions.count

    def positions(self, *states: RecordState) -> RangeSet:
        """Return all positions that are in one of `states`."""
        # A byte a position, and one at either end that is never chosen.
        chosen = np.zeros(len(self.array) + 2, np.bool_)
        for state in states:
            chosen[1:-1] |= self.array == state
        edges = np.flatnonzero(chosen[1:] != chosen[:-1])
        return RangeSet(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    def first_outside(self, positions: RangeSet, *states: RecordState) -> Range | None:
        """Return the first of the ranges with a position that is in none of `states`, or is none of the run's."""
        allowed = np.zeros(len(RecordState), np.bool_)
        allowed[list(states)] = True
        for start, stop in positions:
            found = self.array[start:stop]
            if len(found) != stop - start or not allowed[found].all():
                return start, stop
        return None
