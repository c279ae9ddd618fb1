"""Say how many records are due by each moment of a schedule, and when the nth is: a rate that changes piece by piece.

In a piece the rate goes evenly from `begin` to `end`; so the records that are due by a moment are the area below the
rate, and the moment of a record is a root of a quadratic equation. The root is written in the form that needs no
division by the slope, so level pieces need no case of their own. After the last piece its last rate holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Piece:
    """`seconds` in which the rate goes evenly from `begin` to `end`, both in records a second.

    Raises ValueError unless the rates are finite and not negative, and the seconds finite and positive.
    """

    begin: float
    end: float
    seconds: float

    def __post_init__(self) -> None:
        if not (0 <= self.begin < np.inf and 0 <= self.end < np.inf and 0 < self.seconds < np.inf):
            raise ValueError(f"no piece of a profile: from {self.begin}/s to {self.end}/s in {self.seconds} s")

    @property
    def records(self) -> float:
        """How many records are due in the piece."""
        return (self.begin + self.end) / 2 * self.seconds


class Profile:
    """Pieces, one after another, from second 0 of the schedule. Raises ValueError if there is none.

    `records` is how many are due in all: infinitely many unless the last rate is 0.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        if not self.pieces:
            raise ValueError("a profile needs a piece")
        seconds = np.array([piece.seconds for piece in self.pieces])
        areas = np.array([piece.records for piece in self.pieces])
        last = self.pieces[-1].end
        # One more piece stands for the last rate, which holds for ever.
        self._begins = np.concatenate(([0.0], np.cumsum(seconds)))
        self._counts = np.concatenate(([0.0], np.cumsum(areas)))
        self._rates = np.array([*(piece.begin for piece in self.pieces), last])
        self._slopes = np.array([*((piece.end - piece.begin) / piece.seconds for piece in self.pieces), 0.0])
        self.records = float("inf") if last else float(self._counts[-1])

    @classmethod
    def level(cls, rate: float) -> "Profile":
        """Return the profile of one rate, in records a second. Raises ValueError unless it is finite and positive."""
        if rate <= 0:
            raise ValueError(f"no rate: {rate}/s")
        return cls([Piece(rate, rate, 1.0)])

    def due_by(self, times: npt.ArrayLike) -> Floats:
        """Return how many records are due by each of `times`, in seconds of the schedule: shape (n,), not whole."""
        times = np.maximum(np.asarray(times, np.float64), 0.0)
        piece = np.searchsorted(self._begins, times, side="right") - 1
        within = times - self._begins[piece]
        made: Floats = self._counts[piece] + within * (self._rates[piece] + self._slopes[piece] * within / 2)
        return made

    def times(self, counts: npt.ArrayLike) -> Floats:
        """Return when each of `counts` records, not negative, has become due: shape (n,), in seconds of the schedule.

        While the rate is 0 nothing becomes due: the next record is due when the rate rises again. Raises ValueError if
        so many never become due.
        """
        counts = np.asarray(counts, np.float64)
        if counts.size and float(counts.max()) >= self.records:
            raise ValueError(f"only {self.records:g} records become due")
        piece = np.searchsorted(self._counts, counts, side="right") - 1
        left, rate = counts - self._counts[piece], self._rates[piece]
        root = np.sqrt(np.maximum(rate * rate + 2 * self._slopes[piece] * left, 0.0))
        within = np.divide(2 * left, rate + root, out=np.zeros_like(left), where=left > 0)
        made: Floats = self._begins[piece] + within
        return made

    def rates(self, times: npt.ArrayLike) -> Floats:
        """Return the rate at each of `times`, in seconds of the schedule: shape (n,), in records a second."""
        times = np.maximum(np.asarray(times, np.float64), 0.0)
        piece = np.searchsorted(self._begins, times, side="right") - 1
        made: Floats = self._rates[piece] + self._slopes[piece] * (times - self._begins[piece])
        return made
