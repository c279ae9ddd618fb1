"""Dead letters as people look for them: a piece of a list, of those that hold a text."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_SEARCHED = ("index", "outcome", "status", "reason", "worker", "key", "record")


@dataclass(frozen=True, slots=True)
class Query:
    """A text that is looked for without regard to case, empty: any; and which of the matches are wanted."""

    text: str
    first: int
    most: int


def search(letters: Iterable[dict[str, Any]], query: Query) -> dict[str, Any]:
    """How many letters there are, how many match, and the matches `first` to `first + most - 1`."""
    wanted, total, matched = query.text.casefold(), 0, 0
    rows: list[dict[str, Any]] = []
    for letter in letters:
        total += 1
        if wanted and not _holds(letter, wanted):
            continue
        if query.first <= matched < query.first + query.most:
            rows.append(letter)
        matched += 1
    return {"total": total, "matched": matched, "letters": rows}


def _holds(letter: dict[str, Any], wanted: str) -> bool:
    # No text that is typed into a field holds a line break, so none is found across two members.
    return wanted in "\n".join(str(letter.get(name)) for name in _SEARCHED).casefold()
