"""Keep dead letters by position: for each record the number of its cause, and each cause once.

Guarded here: what a million records have in common is kept once. Nothing is kept for the records of a run that has no
dead letter.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetter, DeadLetterGroup

PositionArray = npt.NDArray[np.uint64]


class DeadLetters(Mapping[int, DeadLetter]):
    """The dead letters of a run of `records` positions, in the order of their positions."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._causes: list[Cause] = []
        self._numbers: dict[Cause, int] = {}
        # The number of each position's cause, counted from 1; 0: it is no dead letter. Made with the first dead letter.
        self._cause_of: npt.NDArray[np.uint32] = np.empty(0, np.uint32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return iter(self.places().tolist())

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and 0 <= position < len(self._cause_of) and bool(self._cause_of[position])

    def __getitem__(self, position: int) -> DeadLetter:
        if position not in self:
            raise KeyError(position)
        return self._letter(position, int(self._cause_of[position]))

    def _letter(self, position: int, number: int) -> DeadLetter:
        return self._causes[number - 1].of(position)

    def put(self, positions: RangeSet, cause: Cause) -> None:
        """Make `positions`, none of which is a dead letter, dead letters of this cause."""
        if not positions:
            return
        if not len(self._cause_of):
            self._cause_of = np.zeros(self._records, np.uint32)
        number = self._numbers.get(cause)
        if number is None:
            self._causes.append(cause)
            number = self._numbers[cause] = len(self._causes)
        for start, stop in positions.pairs:
            self._cause_of[start:stop] = number
        self._count += positions.count

    def drop(self, positions: RangeSet) -> None:
        """Remove those of `positions` that are dead letters."""
        if not self._count:
            return
        for start, stop in positions.pairs:
            piece = self._cause_of[start:stop]
            self._count -= int(np.count_nonzero(piece))
            piece[:] = 0

    def among(self, positions: RangeSet) -> RangeSet:
        """Return those of `positions` that are dead letters."""
        if not self._count:
            return RangeSet()
        places = positions.array()
        return RangeSet.of_array(places[self._cause_of[places] != 0])

    def by_cause(self, positions: RangeSet) -> list[DeadLetterGroup]:
        """Return those of `positions` that are dead letters, grouped by cause."""
        if not self._count or not positions:
            return []
        places = positions.array()
        numbers = self._cause_of[places]
        order = np.argsort(numbers, kind="stable")
        found, begins = np.unique(numbers[order], return_index=True)
        pieces = np.split(places[order], begins[1:])
        groups = zip(found.tolist(), pieces, strict=True)
        return [
            DeadLetterGroup(RangeSet.of_array(piece), self._causes[number - 1]) for number, piece in groups if number
        ]

    def places(self) -> PositionArray:
        """Return the positions of all dead letters, ascending, as an array of shape (count,)."""
        return np.flatnonzero(self._cause_of).astype(np.uint64)

    def at(self, places: PositionArray) -> list[DeadLetter]:
        """Return the dead letters at `places`, each of which must be one."""
        numbers = self._cause_of[places].tolist()
        return [self._letter(position, number) for position, number in zip(places.tolist(), numbers, strict=True)]

    def matching(self, places: PositionArray, test: Callable[[Cause], bool]) -> npt.NDArray[np.bool_]:
        """Return which of the dead letters at `places` have a cause that passes a test."""
        passed = np.array([False, *map(test, self._causes)], np.bool_)
        return passed[self._cause_of[places]]

    def copy(self) -> "DeadLetters":
        """Return a copy, for a thread that reads it while others are put here. It makes no object for each letter."""
        made = DeadLetters(self._records)
        made._causes, made._cause_of, made._count = self._causes.copy(), self._cause_of.copy(), self._count
        return made
