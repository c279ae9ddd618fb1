"""The leased records of a run with a pace: each is taken when it is due, and no sooner.

Guarded here: records are taken in the order of their times, whatever lease they came in, each once. What is overdue is
worked off at `catch_up` times the planned rate at most: the distance to the record before it shrinks by that factor,
and no further.
"""

import heapq
from collections.abc import Iterator

from traffic.core.protocol import Tried
from traffic.core.ranges import RangeSet
from traffic.core.worker.record import Record

# What is overdue by less is no backlog: users and timers need a moment.
SLACK_S = 0.05
_NEVER = float("inf")


class PacedQueue:
    """Records by the second of the schedule in which they are due. `count` is how many wait."""

    def __init__(self, catch_up: float) -> None:
        self._catch_up = catch_up
        self._heap: list[tuple[float, int, int, bytes, bool, Tried | None]] = []
        self._spacing = 0.0
        # When the latest record was due, and when it was taken; in seconds of the schedule.
        self._due = self._taken = -_NEVER

    @property
    def count(self) -> int:
        """How many records wait."""
        return len(self._heap)

    def add(
        self,
        records: Iterator[tuple[float, int, int, bytes]],
        spacing: float,
        redelivered: RangeSet,
        tried: dict[int, Tried],
    ) -> None:
        """Add the records of a lease: due second, position, index, body. `spacing`: the planned seconds between two."""
        self._spacing = spacing
        for due, position, index, body in records:
            again = position in redelivered
            heapq.heappush(self._heap, (due, position, index, body, again, tried.get(position) if again else None))

    def next_second(self, *, probe: bool = False) -> float:
        """Return the second of the schedule in which the next record may be taken; infinity if none waits.

        A `probe` of the API is taken when it is due, however much is overdue.
        """
        if not self._heap:
            return _NEVER
        due = self._heap[0][0]
        return due if probe else max(due, self._taken + self._distance(due) / self._catch_up)

    def _distance(self, due: float) -> float:
        """Return the planned distance to the record before; the usual one if that was another worker's."""
        distance = due - self._due
        return distance if 0 <= distance <= self._spacing else self._spacing

    def take(
        self, second: float, most: int, run: str, session: int, *, probe: bool = False
    ) -> list[tuple[float, Record]]:
        """Remove and return up to `most` records that may be taken by `second`, each with when it was due."""
        taken: list[tuple[float, Record]] = []
        while self._heap and len(taken) < most and (when := self.next_second(probe=probe)) <= second:
            due, position, index, body, again, tried = heapq.heappop(self._heap)
            record = Record(run, session, position, index, body, False, 1)
            if again:
                record.note_prior_attempts(tried)
            self._due, self._taken = due, max(when, second - SLACK_S)
            taken.append((due, record))
        return taken

    def drop(self) -> RangeSet:
        """Remove all records; return their positions."""
        dropped = RangeSet.of(position for _, position, *_ in self._heap)
        self._heap.clear()
        return dropped
