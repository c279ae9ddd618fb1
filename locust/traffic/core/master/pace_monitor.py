"""Put together what the workers of a paced run measure: how late records are sent, and whether the users are enough.

Each record that is under way takes a user. So a rate takes, by Little's law, as many users as records come in the time
of an answer; here that is the highest planned rate so far, times the time that 99 of 100 answers take at most.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable

from traffic.core.master.decisions import UsersJudged
from traffic.core.master.session import Session
from traffic.core.pace.measures import LateCause, PaceMeasures

# Users are too few if so many records, and this share of all, were late because no user was free, in so many seconds.
SHORT_S = 5.0
SHORT_LEAST = 3
SHORT_SHARE = 0.05


class PaceMonitor:
    """Watches one run. Times are seconds on any one clock. `short`: the users are too few at present."""

    def __init__(self) -> None:
        self.short = False
        self._measures: dict[str, PaceMeasures] = {}
        self._busy: Counter[int] = Counter()  # how often so many users were busy
        self._peak = 0.0
        self._seen: deque[tuple[float, int, int]] = deque()  # when, and how many were sent, and late for want of users

    def note(self, worker: str, measures: PaceMeasures | None) -> None:
        """Note what a worker has measured so far; what an older message says changes nothing."""
        known = self._measures.get(worker)
        if measures is not None and (known is None or measures.sent >= known.sent):
            self._measures[worker] = measures

    @property
    def sent(self) -> int:
        """How many records workers have begun to send."""
        return sum(one.sent for one in self._measures.values())

    def total(self) -> PaceMeasures:
        """Return what all workers have measured together."""
        made = PaceMeasures()
        for one in self._measures.values():
            made.update(one)
        return made

    def watch(self, sessions: Iterable[Session], rate: float, now: float) -> UsersJudged | None:
        """Look at how busy the users are, at the planned `rate`; call it often while the schedule runs.

        Returns whether the users are too few, if that has changed.
        """
        present = list(sessions)
        self._busy[sum(one.busy for one in present)] += 1
        self._peak = max(self._peak, rate)
        lacking = sum(one.because[LateCause.NO_FREE_USER] for one in self._measures.values())
        self._seen.append((now, self.sent, lacking))
        while self._seen[0][0] < now - SHORT_S:
            self._seen.popleft()
        overdue = sum(one.overdue for one in present)
        late = lacking - self._seen[0][2] + overdue
        records = self.sent - self._seen[0][1] + overdue
        short = late >= max(SHORT_LEAST, SHORT_SHARE * records)
        if short is self.short:
            return None
        self.short = short
        users, needed = sum(one.users for one in present), self.needed(self.total())
        return UsersJudged(late, records, users, needed if needed is not None and needed > users else None, short)

    def users_busy(self, total: PaceMeasures) -> dict[str, int | None]:
        """Return how many users were busy, at most and in 99 of 100 moments, and how many would have been needed."""
        return {"p99": _share_of(self._busy, 0.99), "max": max(self._busy, default=None), "needed": self.needed(total)}

    def needed(self, total: PaceMeasures) -> int | None:
        """Return how many users the highest planned rate so far takes; None while no answer is known."""
        answer_s = total.service.quantile(0.99)
        return None if answer_s is None else max(1, math.ceil(self._peak * answer_s - 1e-9))


def _share_of(counts: Counter[int], share: float) -> int | None:
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= share * counts.total():
            return value
    return None
