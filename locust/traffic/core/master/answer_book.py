"""Number the answers that dead letters keep, and remember what they say in short. The journal has the answers.

Guarded here: whatever the API answers, and however often, the master's memory for it is bounded: some bytes a dead
letter, and the latest answers that were seen. On the disk it is, too.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from traffic.core.answer_pattern import pattern_of
from traffic.core.excerpt import Excerpt

# An answer that was seen among the latest so many gets the number that it had.
REMEMBERED = 4096
# So many patterns are told apart; the answers of all others are one group.
MOST_PATTERNS = 1000
OTHER = "(other answers)"
# The journal has so many bytes of answers at most; later ones are counted, and not kept.
MOST_BYTES = 256 << 20
NONE = 0


@dataclass(frozen=True, slots=True)
class NumberedAnswer:
    """An answer as the journal has it."""

    number: int
    pattern: str
    excerpt: Excerpt


class AnswerStore(Protocol):
    """Keeps answers by their numbers. `last_answer` is the greatest number that it has; 0 if it has none."""

    @property
    def last_answer(self) -> int:
        """The greatest number that is kept."""

    def answers(self, numbers: Sequence[int]) -> dict[int, Excerpt]:
        """Return those that are kept of these numbers."""


class AnswerBook:
    """The answers of one run. `NONE` is the number of no answer. `not_kept` counts those for which there is no room."""

    def __init__(self, store: AnswerStore | None = None) -> None:
        self.store = store
        self.not_kept = 0
        self._numbers: OrderedDict[Excerpt, int] = OrderedDict()
        # Pattern 0 is that of no answer, and of one without content.
        self._names = ["", OTHER]
        self._patterns = {name: number for number, name in enumerate(self._names)}
        # By an answer's number. It is replaced when it grows: a thread may be reading the one before.
        self._pattern_of = np.zeros(1024, np.uint16)
        self._next = NONE + 1
        self._bytes = 0
        self._unwritten: dict[int, NumberedAnswer] = {}
        self._new: list[NumberedAnswer] = []

    def restore(self, kept: Iterable[tuple[int, str, int]]) -> None:
        """Remember what a journal has: number, pattern and size of each answer, by ascending numbers."""
        for number, pattern, size in kept:
            self._note_pattern(number, pattern)
            self._bytes += size

    def number(self, answer: Excerpt | None) -> int:
        """Return an answer's number; it gets one if it has none. `NONE` for no answer, or if there is no room."""
        if answer is None:
            return NONE
        known = self._numbers.get(answer)
        if known is not None:
            self._numbers.move_to_end(answer)
            return known
        if self._bytes + answer.size > MOST_BYTES:
            self.not_kept += 1
            return NONE
        number, pattern = self._next, pattern_of(answer)
        self._note_pattern(number, pattern)
        self._bytes += answer.size
        made = NumberedAnswer(number, pattern, answer)
        self._new.append(made)
        self._unwritten[number] = made
        self._numbers[answer] = number
        if len(self._numbers) > REMEMBERED:
            self._numbers.popitem(last=False)
        return number

    def take_new(self) -> tuple[NumberedAnswer, ...]:
        """Remove and return the answers that got a number since the last call: the journal must have them."""
        new, self._new = tuple(self._new), []
        written = self.store.last_answer if self.store is not None else 0
        if self._unwritten and next(iter(self._unwritten)) <= written:
            self._unwritten = {number: one for number, one in self._unwritten.items() if number > written}
        return new

    def read(self, numbers: Sequence[int]) -> dict[int, Excerpt]:
        """Return the answers of these numbers, from the journal; no answer is left out that has a number."""
        wanted = [number for number in numbers if number != NONE]
        waiting = dict(self._unwritten)
        kept = self.store.answers(wanted) if wanted and self.store is not None else {}
        return {number: waiting[number].excerpt for number in wanted if number in waiting} | kept

    def pattern_number(self, number: int) -> int:
        """Return the number of an answer's pattern."""
        return int(self._pattern_of[number])

    def pattern_numbers(self, numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint16]:
        """Return the number of each answer's pattern, of the same shape."""
        made: npt.NDArray[np.uint16] = self._pattern_of[numbers]
        return made

    def pattern_name(self, number: int) -> str:
        """Return a pattern; empty for that of no answer, or of an answer without content."""
        return self._names[number]

    def _note_pattern(self, number: int, pattern: str) -> None:
        while number >= len(self._pattern_of):
            self._pattern_of = np.concatenate([self._pattern_of, np.zeros_like(self._pattern_of)])
        self._pattern_of[number] = self._number_of_pattern(pattern)
        self._next = number + 1

    def _number_of_pattern(self, pattern: str) -> int:
        known = self._patterns.get(pattern)
        if known is None:
            if len(self._names) > MOST_PATTERNS:
                return self._patterns[OTHER]
            known = self._patterns[pattern] = len(self._names)
            self._names.append(pattern)
        return known
