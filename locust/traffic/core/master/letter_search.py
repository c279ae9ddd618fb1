"""Search dead letters: return one page of those that contain a text."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from traffic.core.master.dead_letters import DeadLetters
from traffic.core.master.letter_groups import in_group
from traffic.core.master.report import BATCH, letters_at
from traffic.core.master.run import Run

_SEARCHED = ("index", "outcome", "status", "reason", "worker", "key", "record")


@dataclass(frozen=True, slots=True)
class Query:
    """A text that is searched for without regard to case (empty: any), and which of the matches are wanted.

    `group` is that of the letters (empty: any).
    """

    text: str
    first: int
    most: int
    group: str = ""


def search(letters: Iterable[dict[str, Any]], query: Query) -> dict[str, Any]:
    """Return how many letters there are, how many match, and the matches `first` to `first + most - 1`."""
    wanted, total, matched = query.text.casefold(), 0, 0
    rows: list[dict[str, Any]] = []
    for letter in letters:
        total += 1
        if (query.group and letter.get("group") != query.group) or (wanted and not _holds(letter, wanted)):
            continue
        if query.first <= matched < query.first + query.most:
            rows.append(letter)
        matched += 1
    return {"total": total, "matched": matched, "letters": rows}


def search_dead(run: Run, dead: DeadLetters, query: Query) -> dict[str, Any]:
    """Search a run's dead letters. A record is read only if its cause does not decide whether it matches."""
    places, wanted, total = dead.places(), query.text.casefold(), len(dead)
    rows: list[dict[str, Any]] = []
    if query.group:
        places = in_group(dead, run.answers, query.group).array()
    if not wanted:
        rows = letters_at(run, dead, places[query.first : query.first + query.most])
        return {"total": total, "matched": len(places), "letters": rows}
    sure, matched = dead.matching(places, lambda cause: _says(asdict(cause), wanted)), 0
    for low in range(0, len(places), BATCH):
        batch = places[low : low + BATCH]
        shown = matched + len(batch) > query.first and matched < query.first + query.most
        if sure[low : low + BATCH].all() and not shown:
            matched += len(batch)
            continue
        for letter in letters_at(run, dead, batch):
            if _holds(letter, wanted):
                if query.first <= matched < query.first + query.most:
                    rows.append(letter)
                matched += 1
    return {"total": total, "matched": matched, "letters": rows}


def search_lines(lines: Iterable[bytes], query: Query) -> dict[str, Any]:
    """Search letters that are JSON Lines. A line is decoded only if it may match, or is shown."""
    wanted = query.text.casefold()
    if not wanted and not query.group:
        kept = iter(lines)
        before = sum(1 for _ in islice(kept, query.first))
        rows = [json.loads(line) for line in islice(kept, query.most)]
        total = before + len(rows) + sum(1 for _ in kept)
        return {"total": total, "matched": total, "letters": rows}
    counted = _Counted(lines)
    group = query.group.encode()
    likely = (line for line in counted if group in line and _may_hold(line, wanted))
    found = search(map(json.loads, likely), query)
    return {**found, "total": counted.count}


class _Counted:
    """An iterable that counts what was taken from it."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines, self.count = lines, 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line


def _may_hold(line: bytes, wanted: str) -> bool:
    """Whether a letter may contain a text, by its line. It may if JSON can write the text in several ways."""
    plain = wanted.isprintable() and not {'"', "\\"} & set(wanted) and wanted not in "none"
    return not plain or wanted in line.decode(errors="replace").casefold()


def _says(cause: dict[str, Any], wanted: str) -> bool:
    """Whether a cause contains a text in a member that its letters show."""
    shown = (cause["state"].name.lower(), str(cause["status"]), cause["reason"], cause["worker"])
    return any(wanted in one.casefold() for one in shown)


def _holds(letter: dict[str, Any], wanted: str) -> bool:
    # No text that is typed into a field contains a line break, so none is found across two members.
    said = [str(letter.get(name)) for name in _SEARCHED]
    answer = letter.get("answer")
    if answer is not None:
        said += [answer["content_type"], *answer["fields"].values(), answer.get("text", "")]
    return wanted in "\n".join(said).casefold()
