"""Group dead letters by what happened to them: outcome, status, and what the API said, apart from what varies."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from traffic.core.master.answer_book import AnswerBook
from traffic.core.master.dead_letters import DeadLetters, PositionArray
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetter, RecordState

# A page and a report list so many groups, the largest; the others are counted.
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Dead letters that ended alike. `id` names the group, in this run and in the next; `says` is the answer in short.

    `example` is the first position of the group.
    """

    id: str
    outcome: str
    status: int
    says: str
    count: int
    example: int


def letter_groups(dead: DeadLetters, answers: AnswerBook) -> list[LetterGroup]:
    """Return all groups of dead letters, the largest first."""
    made: dict[str, LetterGroup] = {}
    for (name, cause, says), places in _parts(dead, answers):
        count, first = len(places), int(places[0])
        if (known := made.get(name)) is not None:
            count, first = count + known.count, min(first, known.example)
        made[name] = LetterGroup(name, cause.state.name.lower(), cause.status, says, count, first)
    return sorted(made.values(), key=lambda group: (-group.count, group.example))


def in_group(dead: DeadLetters, answers: AnswerBook, group: str) -> RangeSet:
    """Return the positions of the dead letters in a group; none if there is no such group."""
    found = [places for (name, _, _), places in _parts(dead, answers) if name == group]
    return RangeSet.of_array(np.sort(np.concatenate(found))) if found else RangeSet()


def with_status(dead: DeadLetters, status: int) -> RangeSet:
    """Return the positions of the dead letters whose latest answer had a status."""
    places = dead.places()
    return RangeSet.of_array(places[dead.matching(places, lambda cause: cause.status == status)])


def groups_to_json(groups: list[LetterGroup], index_of: Callable[[int], int]) -> dict[str, Any]:
    """Return the largest groups as JSON, and how many others there are; `index_of` gives a position's index."""
    shown = [
        {
            "group": one.id,
            "outcome": one.outcome,
            "status": one.status,
            "says": one.says,
            "count": one.count,
            "example": index_of(one.example),
        }
        for one in groups[:MOST_SHOWN]
    ]
    others = groups[MOST_SHOWN:]
    return {"groups": shown, "others": {"groups": len(others), "count": sum(one.count for one in others)}}


def group_names(letters: Iterable[DeadLetter], answers: AnswerBook) -> list[str]:
    """Return the id of each letter's group."""
    known: dict[tuple[RecordState, int, str, int], str] = {}
    made = []
    for letter in letters:
        pattern = answers.pattern_number(letter.answer)
        key = letter.state, letter.status, letter.reason, pattern
        if key not in known:
            known[key] = _name(letter.state, letter.status, answers.pattern_name(pattern) or letter.reason)
        made.append(known[key])
    return made


def _parts(dead: DeadLetters, answers: AnswerBook) -> Iterator[tuple[tuple[str, Cause, str], PositionArray]]:
    """Return the positions of each cause and pattern, and the name of their group: it may come in several parts."""
    for cause, places, numbers in dead.answers_by_cause():
        patterns = answers.pattern_numbers(numbers)
        for pattern in np.unique(patterns).tolist():
            says = answers.pattern_name(pattern) or cause.reason
            name = _name(cause.state, cause.status, says)
            yield (name, cause, says), places[patterns == pattern]


def _name(state: RecordState, status: int, says: str) -> str:
    """Return a name that the same group has in every run."""
    outcome = state.name.lower().replace("_", "-")
    return f"{status or outcome}-{zlib.crc32(f'{outcome} {says}'.encode()):08x}"
