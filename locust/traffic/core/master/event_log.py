"""Keep the latest few hundred events of the master's runs, one line each, for people who read its page.

Guarded here: events are numbered without a gap and never renumbered. A reader that asks for the events from a number on
gets each event once, or sees by the first number that some are gone. A log that continues this one begins with a
greater number.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import dropwhile
from typing import Any, Literal

from traffic.core.master.decisions import (
    AllSettled,
    Decision,
    LeaseHandedBack,
    LeaseReclaimed,
    LeaseReturned,
    OutcomesRefused,
    RunSlowed,
    UsersJudged,
    WorkerGone,
    WorkerJoined,
    WorkerTroubled,
    is_shown,
)

Level = Literal["info", "good", "warning", "bad"]

# The word for programs and the level, by type. Where they depend on the decision, `_kind` has them.
_KINDS: dict[type, tuple[str, Level]] = {
    WorkerJoined: ("worker-joined", "good"),
    LeaseReclaimed: ("lease-reclaimed", "warning"),
    LeaseHandedBack: ("lease-handed-back", "warning"),
    LeaseReturned: ("lease-returned", "info"),
    OutcomesRefused: ("word-refused", "warning"),
    AllSettled: ("all-settled", "info"),
}

KEPT = 500
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One line. `n` is its number, `at` when it happened (ISO 8601, UTC), `kind` a word for programs."""

    n: int
    at: str
    kind: str
    level: Level
    text: str


class EventLog:
    """The latest `kept` events, numbered from `first`. `clock` gives the present time (ISO 8601, UTC)."""

    def __init__(self, clock: Callable[[], str], first: int = 0, kept: int = KEPT) -> None:
        self._clock = clock
        self._rows: deque[LoggedEvent] = deque(maxlen=kept)
        self.next = first

    def note(self, kind: str, level: Level, text: str) -> None:
        """Add what has just happened; a text is cut short after `LONGEST` characters."""
        shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        self._rows.append(LoggedEvent(self.next, self._clock(), kind, level, shown))
        self.next += 1

    def note_decision(self, decision: Decision) -> None:
        """Add a decision of the core's, if people see it."""
        if is_shown(decision):
            self.note(*_kind(decision), str(decision))

    def since(self, first: int) -> list[LoggedEvent]:
        """Return the events from number `first` on that are still kept."""
        return list(dropwhile(lambda row: row.n < first, self._rows))

    def to_json(self, first: int) -> dict[str, Any]:
        """Return the same as a JSON object: the number to ask for the next time, and the rows."""
        return {"next": self.next, "rows": [asdict(row) for row in self.since(first)]}


def _kind(decision: Decision) -> tuple[str, Level]:
    """Return the word for programs and the level of a decision that people see."""
    match decision:
        case WorkerGone():
            return "worker-gone", "warning" if decision.left else "info"
        case WorkerTroubled():
            return "worker-troubled", "warning" if decision.trouble else "good"
        case RunSlowed():
            return "run-slowed", "warning" if decision.share < 1 else "good"
        case UsersJudged():
            return "users-judged", "warning" if decision.short else "good"
    return _KINDS[type(decision)]
