"""The records of a worker that wait for their next attempt.

Guarded here: a record is handed out when its backoff is over and not before, the one that has waited longest first.
"""

import heapq
from collections.abc import Iterator

from traffic.core.worker.record import Counts, Record


class Retries:
    """Records by the time at which their backoff is over. `heap` is for reading: empty if no record waits."""

    __slots__ = ("heap",)

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Record]] = []

    def add(self, record: Record, due: float) -> None:
        """Keep a record until `due`."""
        heapq.heappush(self.heap, (due, record.position, record))

    def is_due(self, now: float) -> bool:
        """Return whether the backoff of any record is over."""
        return bool(self.heap) and self.heap[0][0] <= now

    def take(self, now: float, most: int, counts: Counts) -> list[Record]:
        """Remove and return up to `most` records whose backoff is over; count their next attempts."""
        taken: list[Record] = []
        while self.heap and self.heap[0][0] <= now and len(taken) < most:
            due, _, record = heapq.heappop(self.heap)
            if record.due:
                record.due, record.taken = now if record.waits_for_run else due, now
            record.waits_for_run = False
            counts.count_repeat(record)
            record.attempts += 1
            taken.append(record)
        return taken

    def drain(self) -> Iterator[tuple[float, Record]]:
        """Remove all records; return each with the time at which its backoff is over."""
        removed, self.heap = self.heap, []
        return ((due, record) for due, _, record in removed)
