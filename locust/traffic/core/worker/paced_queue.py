"""The leased records of a run with a pace: each is taken when it is due, and no sooner.

Guarded here: records are taken in the order of their times, whatever lease they came in, each once. What is overdue is
worked off at `catch_up` times the planned rate at most: the distance to the record before it shrinks by that factor,
and no further.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from traffic.core.pace.measures import LateCause
from traffic.core.protocol import Tried
from traffic.core.ranges import RangeSet
from traffic.core.worker.record import Record

# What is overdue by less is no backlog: users and timers need a moment.
SLACK_S = 0.05
_NEVER = float("inf")


@dataclass(slots=True, order=True)
class _Waiting:
    """A leased record: in which second it is due, and whether that had passed when its lease came."""

    due: float
    position: int
    index: int = field(compare=False)
    body: bytes = field(compare=False)
    redelivered: bool = field(compare=False)
    tried: Tried | None = field(compare=False)
    came_late: bool = field(compare=False)

    @property
    def cause(self) -> LateCause | None:
        """Why it is late, if that was so before it came here; else None."""
        if self.redelivered:
            return LateCause.WORKER_LOST if self.tried is None else LateCause.API_UNREACHABLE
        return LateCause.LEASE_LATE if self.came_late else None


class PacedQueue:
    """Records by the second of the schedule in which they are due. `count` is how many wait."""

    def __init__(self, catch_up: float) -> None:
        self._catch_up = catch_up
        self._heap: list[_Waiting] = []
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
        second: float = -_NEVER,
    ) -> None:
        """Add the records of a lease: due second, position, index, body. `spacing`: the planned seconds between two.

        `second` is that of the schedule now.
        """
        self._spacing = spacing
        for due, position, index, body in records:
            again = position in redelivered
            known = tried.get(position) if again else None
            heapq.heappush(self._heap, _Waiting(due, position, index, body, again, known, second > due))

    def next_second(self, *, probe: bool = False) -> float:
        """Return the second of the schedule in which the next record may be taken; infinity if none waits.

        A `probe` of the API is taken when it is due, however much is overdue.
        """
        if not self._heap:
            return _NEVER
        due = self._heap[0].due
        return due if probe else max(due, self._taken + self._distance(due) / self._catch_up)

    def _distance(self, due: float) -> float:
        """Return the planned distance to the record before; the usual one if that was another worker's."""
        distance = due - self._due
        return distance if 0 <= distance <= self._spacing else self._spacing

    def take(
        self, second: float, most: int, run: str, session: int, *, probe: bool = False
    ) -> list[tuple[float, Record, LateCause | None]]:
        """Remove and return up to `most` records that may be taken by `second`.

        Each comes with when it was due and, if it was late when it came here, why.
        """
        taken: list[tuple[float, Record, LateCause | None]] = []
        while self._heap and len(taken) < most and (when := self.next_second(probe=probe)) <= second:
            one = heapq.heappop(self._heap)
            record = Record(run, session, one.position, one.index, one.body, False, 1)
            if one.redelivered:
                record.note_prior_attempts(one.tried)
            self._due, self._taken = one.due, max(when, second - SLACK_S)
            taken.append((one.due, record, one.cause))
        return taken

    def overdue(self, second: float) -> int:
        """Return how many records were due before a second of the schedule."""
        if not self._heap or self._heap[0].due >= second:
            return 0
        return sum(one.due < second for one in self._heap)

    def drop(self) -> RangeSet:
        """Remove all records; return their positions."""
        dropped = RangeSet.of(one.position for one in self._heap)
        self._heap.clear()
        return dropped
