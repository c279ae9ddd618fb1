"""Keep dead letters by position: for each record the numbers of its cause and of its answer, and each cause once.

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
        # The number of each one's answer. Made with the first that has one; pages that nobody touches take no memory.
        self._answer_of: npt.NDArray[np.uint32] = np.empty(0, np.uint32)
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
        answer = int(self._answer_of[position]) if len(self._answer_of) else 0
        return self._causes[number - 1].of(position, answer)

    def put(self, positions: RangeSet, cause: Cause, answer: int = 0) -> None:
        """Make `positions`, none of which is a dead letter, dead letters of this cause and of this answer's number."""
        if not positions:
            return
        self._make_room(answers=answer != 0)
        number = self._number_of(cause)
        for start, stop in positions.pairs:
            self._cause_of[start:stop] = number
            if len(self._answer_of):
                self._answer_of[start:stop] = answer
        self._count += positions.count

    def _make_room(self, *, answers: bool) -> None:
        if not len(self._cause_of):
            self._cause_of = np.zeros(self._records, np.uint32)
        if answers and not len(self._answer_of):
            self._answer_of = np.zeros(self._records, np.uint32)

    def _number_of(self, cause: Cause) -> int:
        number = self._numbers.get(cause)
        if number is None:
            self._causes.append(cause)
            number = self._numbers[cause] = len(self._causes)
        return number

    def copy_from(self, others: "DeadLetters", positions: RangeSet) -> None:
        """Make `positions`, none of which is a dead letter here, the dead letters that they are among `others`."""
        if not positions:
            return
        self._make_room(answers=bool(len(others._answer_of)))
        places = positions.array()
        theirs = others._cause_of[places]
        ours = np.zeros(len(others._causes) + 1, np.uint32)
        for number in np.unique(theirs).tolist():
            ours[number] = self._number_of(others._causes[number - 1])
        self._cause_of[places] = ours[theirs]
        if len(others._answer_of):
            self._answer_of[places] = others._answer_of[places]
        self._count += len(places)

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

    def by_cause(self, positions: RangeSet) -> list[tuple[RangeSet, Cause]]:
        """Return those of `positions` that are dead letters, by cause."""
        if not self._count or not positions:
            return []
        places = positions.array()
        parts = _split(places, self._cause_of[places])
        return [(RangeSet.of_array(piece), self._causes[number - 1]) for number, piece in parts if number]

    def groups(self, positions: RangeSet) -> list[DeadLetterGroup]:
        """Return those of `positions` that are dead letters, by cause and answer."""
        made = []
        for alike, cause in self.by_cause(positions):
            places = alike.array()
            parts = _split(places, self._answers_at(places))
            made += [DeadLetterGroup(RangeSet.of_array(piece), cause, number) for number, piece in parts]
        return made

    def answers_by_cause(self) -> list[tuple[Cause, PositionArray, npt.NDArray[np.uint32]]]:
        """Return, for each cause, the positions of its letters and the numbers of their answers: shape (letters,)."""
        places = self.places()
        parts = _split(places, self._cause_of[places])
        return [(self._causes[number - 1], piece, self._answers_at(piece)) for number, piece in parts]

    def _answers_at(self, places: PositionArray) -> npt.NDArray[np.uint32]:
        return self._answer_of[places] if len(self._answer_of) else np.zeros(len(places), np.uint32)

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
        made._answer_of = self._answer_of.copy()
        return made


def _split(places: PositionArray, numbers: npt.NDArray[np.uint32]) -> list[tuple[int, PositionArray]]:
    """Return the places, ascending, by their numbers."""
    order = np.argsort(numbers, kind="stable")
    found, begins = np.unique(numbers[order], return_index=True)
    pieces = np.split(places[order], begins[1:]) if len(places) else []
    return list(zip(found.tolist(), pieces, strict=True))
