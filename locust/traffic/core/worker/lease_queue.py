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
LeasedRecords = Iterator[tuple[int, int, bytes]]
# With them, the positions that another worker may have sent (None: none), and its attempts where it reported them.
_Lease = tuple[LeasedRecords, RangeSet | None, dict[int, Tried]]
_NO_LEASE: _Lease = (iter(()), None, {})


class LeaseQueue:
    """Leases in the order in which they came; `count` is how many records they have left."""

    __slots__ = ("_current", "_leases", "_redelivered", "_tried", "count")

    def __init__(self) -> None:
        self._current, self._redelivered, self._tried = _NO_LEASE  # the lease that records are taken from now
        self._leases: deque[_Lease] = deque()  # the leases behind it
        self.count = 0

    def add(self, records: LeasedRecords, count: int, redelivered: RangeSet, tried: tuple[Tried, ...]) -> None:
        """Append the `count` records of a lease. Another worker may have sent those that are `redelivered`."""
        reported = {one.position: one for one in tried}
        self._leases.append((records, redelivered if redelivered.count else None, reported))
        self.count += count

    def take(self, run: str, session: int, most: int, counts: Counts) -> list[Record]:
        """Remove and return up to `most` of the oldest records.

        The list is empty if the current lease has none left: the next call begins with the lease behind it.
        """
        records = islice(self._current, most)
        made = [Record(run, session, position, index, body, False, 1) for position, index, body in records]
        if not made:
            self._current, self._redelivered, self._tried = self._leases.popleft()
        elif self._redelivered is not None:
            for record in made:
                if record.position in self._redelivered:
                    record.note_prior_attempts(self._tried.get(record.position))
                    counts.count_repeat(record)
        self.count -= len(made)
        return made

    def drop(self) -> RangeSet:
        """Remove all records; return their positions."""
        leases = [self._current, *(records for records, _, _ in self._leases)]
        dropped = RangeSet.of(position for records in leases for position, _, _ in records)
        self._leases.clear()
        self._current, self._redelivered, self._tried = _NO_LEASE
        self.count = 0
        return dropped
