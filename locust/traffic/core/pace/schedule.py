"""Say when each position of a run is due, on the run's schedule clock, at a rate that a person may change.

Guarded here: a change counts from one position and one moment on. What is due before keeps its time, so that nothing
that was dealt out moves, and no later position is ever due before an earlier one.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from traffic.core.pace.arrivals import Arrivals
from traffic.core.pace.profile import Floats, Profile


class Schedule(Protocol):
    """When the positions of a run of `records` are due, in seconds of the schedule; never falling with the position."""

    records: int

    def due(self, positions: npt.ArrayLike) -> Floats:
        """Return when each position is due: shape (n,)."""

    def before(self, time: float) -> int:
        """Return how many positions are due before `time`."""

    def rate(self, time: float) -> float:
        """Return how many records a second are planned at `time`."""


@dataclass(frozen=True, slots=True)
class _Part:
    """From the position `first` on, due from the second `begin` on: operational time is `arrived` then."""

    first: int
    begin: float
    arrived: float
    profile: Profile


class RateSchedule:
    """A profile, from the first position on. ValueError if it ends, at a rate of 0, before the last record."""

    def __init__(self, arrivals: Arrivals, profile: Profile) -> None:
        self.records, self._arrivals = arrivals.records, arrivals
        self._parts: list[_Part] = []
        self._append(_Part(0, 0.0, 0.0, profile))

    def due(self, positions: npt.ArrayLike) -> Floats:
        """Return when each position is due."""
        positions = np.asarray(positions, np.int64)
        arrived = self._arrivals.at(positions)
        part_of = np.searchsorted([part.first for part in self._parts], positions, side="right") - 1
        made = np.empty(positions.shape, np.float64)
        for nth in np.unique(part_of).tolist():
            here, part = part_of == nth, self._parts[nth]
            made[here] = part.begin + part.profile.times(np.maximum(arrived[here] - part.arrived, 0.0))
        return made

    def before(self, time: float) -> int:
        """Return how many positions are due before `time`."""
        part = self._part_at(time)
        arrived = part.arrived + float(part.profile.due_by([time - part.begin])[0])
        return max(part.first, self._arrivals.before(arrived))

    def rate(self, time: float) -> float:
        """Return how many records a second are planned at `time`."""
        part = self._part_at(time)
        return float(part.profile.rates([time - part.begin])[0])

    def change(self, time: float, profile: Profile) -> float:
        """Follow another profile, which begins at `time`, from the first position on that is not due before.

        Returns when it begins: at the latest change if `time` is before that. ValueError if the profile ends, at a rate
        of 0, before the last record; then nothing has changed.
        """
        time = max(time, self._parts[-1].begin)
        part = self._parts[-1]
        arrived = part.arrived + float(part.profile.due_by([time - part.begin])[0])
        self._append(_Part(self.before(time), time, arrived, profile))
        return time

    def _part_at(self, time: float) -> _Part:
        return next((part for part in reversed(self._parts) if part.begin <= time), self._parts[0])

    def _append(self, part: _Part) -> None:
        if (left := self.records - part.first) and self._left_after(part) >= part.profile.records:
            raise ValueError(f"the profile ends at 0/s after {part.profile.records:g} of {left} records")
        self._parts.append(part)

    def _left_after(self, part: _Part) -> float:
        """Return the operational time of the last position, from the part's beginning."""
        return float(self._arrivals.at([self.records - 1])[0]) - part.arrived
