"""Say when each position of a run is due that follows the times in its records.

Guarded here: a time is reckoned from the first one, never from the one before, so that no error adds up. Gaps that are
too long are cut; what all cuts before a position have taken away is kept beside it.
"""

import numpy as np
import numpy.typing as npt

from traffic.core.pace.profile import Floats

# The planned rate at a moment is that of so many seconds around it.
_AROUND_S = 1.0
_PIECE = 1 << 20

Times = npt.NDArray[np.int64]


class RecordedSchedule:
    """Positions in the order of `times` (nanoseconds, never falling, shape (records,)), `speed` times as fast.

    `max_gap` is the longest time between two records, in seconds of the schedule; None: any. `cut_s` is what that takes
    away in all, `cuts` how many gaps are shorter because of it.
    """

    def __init__(self, times: Times, speed: float = 1.0, max_gap: float | None = None) -> None:
        self.records, self._times, self._speed = len(times), times, speed
        # The positions behind a gap that is cut, when they are due, and how much has been cut until then.
        self._after = np.zeros(1, np.int64)
        self._begins, self._removed = np.zeros(1), np.zeros(1)
        if max_gap is not None:
            self._cut(max_gap)

    @property
    def cuts(self) -> int:
        """How many gaps are cut."""
        return len(self._after) - 1

    @property
    def cut_s(self) -> float:
        """What is cut in all, in seconds of the schedule."""
        return float(self._removed[-1])

    def due(self, positions: npt.ArrayLike) -> Floats:
        """Return when each position is due: shape (n,)."""
        positions = np.asarray(positions, np.int64)
        removed = self._removed[np.searchsorted(self._after, positions, side="right") - 1]
        made: Floats = self._since_first(positions) - removed
        return made

    def before(self, time: float) -> int:
        """Return how many positions are due before `time`."""
        part = int(np.searchsorted(self._begins, time, side="right")) - 1
        if part < 0 or not self.records:
            return 0
        end = int(self._after[part + 1]) if part + 1 < len(self._after) else self.records
        begin = int(self._after[part])
        # By the clock of the records; what rounding has moved by a position is moved back.
        recorded = int(self._times[0]) + (time + float(self._removed[part])) * 1e9 * self._speed
        place = begin + int(np.searchsorted(self._times[begin:end], recorded))
        while place > begin and float(self.due([place - 1])[0]) >= time:
            place -= 1
        while place < end and float(self.due([place])[0]) < time:
            place += 1
        return place

    def rate(self, time: float) -> float:
        """Return how many records a second are planned around `time`."""
        return (self.before(time + _AROUND_S / 2) - self.before(time - _AROUND_S / 2)) / _AROUND_S

    def _since_first(self, positions: npt.NDArray[np.int64]) -> Floats:
        made: Floats = (self._times[positions] - self._times[0]) / (1e9 * self._speed)
        return made

    def _cut(self, max_gap: float) -> None:
        """Note every gap that is longer than `max_gap`. Memory: 24 bytes for each of them."""
        after, removed = [np.zeros(1, np.int64)], [np.zeros(1)]
        for start in range(0, max(0, self.records - 1), _PIECE):
            positions = np.arange(start, min(start + _PIECE + 1, self.records))
            gaps = np.diff(self._times[positions]) / (1e9 * self._speed)
            long = np.flatnonzero(gaps > max_gap)
            after.append(positions[long + 1])
            removed.append(gaps[long] - max_gap)
        self._after, self._removed = np.concatenate(after), np.cumsum(np.concatenate(removed))
        self._begins = self.due(self._after) if self.records else np.zeros(1)
