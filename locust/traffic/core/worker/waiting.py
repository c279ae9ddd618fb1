"""The leased records that no user has taken yet.

Guarded here: records are taken in the order in which they came, each once. A Record object is made when it is taken,
so a full feed is no work for the garbage collector.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from traffic.core.protocol import Tried
from traffic.core.ranges import RangeSet
from traffic.core.worker.record import Counts, Record

# Position, index and body of each record of a lease.
Places = Iterator[tuple[int, int, bytes]]
# With them, which of these others may have sent (None: none), and what those said of it.
_Lease = tuple[Places, RangeSet | None, dict[int, Tried]]
_NOTHING: _Lease = (iter(()), None, {})


class Waiting:
    """`count` is how many there are."""

    __slots__ = ("_leases", "_redelivered", "_rest", "_tries", "count")

    def __init__(self) -> None:
        self._rest, self._redelivered, self._tries = _NOTHING  # of the lease that records are taken from at present
        self._leases: deque[_Lease] = deque()  # those behind it
        self.count = 0

    def add(self, places: Places, count: int, redelivered: RangeSet, tried: tuple[Tried, ...]) -> None:
        """Put the `count` records of a lease behind the others. Of these, others may have sent `redelivered`."""
        self._leases.append((places, redelivered if redelivered.count else None, {one.position: one for one in tried}))
        self.count += count

    def take(self, run: str, session: int, most: int, counts: Counts) -> list[Record]:
        """Make up to `most` of the records that have waited longest; none if the next lease is only now begun."""
        places = islice(self._rest, most)
        made = [Record(run, session, position, index, body, False, 1) for position, index, body in places]
        if not made:
            self._rest, self._redelivered, self._tries = self._leases.popleft()
        elif self._redelivered is not None:
            for record in made:
                if record.position in self._redelivered:
                    self._note_earlier(record)
                    counts.begin_again(record)
        self.count -= len(made)
        return made

    def drop(self) -> RangeSet:
        """Let go of all; their positions."""
        leases = [self._rest, *(rest for rest, _, _ in self._leases)]
        dropped = RangeSet.of(position for rest in leases for position, _, _ in rest)
        self._leases.clear()
        self._rest, self._redelivered, self._tries = _NOTHING
        self.count = 0
        return dropped

    def _note_earlier(self, record: Record) -> None:
        """Another worker may have sent a record: go on counting its attempts if that worker has said how many."""
        record.redelivered = True
        if (tried := self._tries.get(record.position)) is not None:
            record.attempts += tried.attempts
            record.outcome_unknown, record.answered = tried.outcome_unknown, not tried.outcome_unknown
