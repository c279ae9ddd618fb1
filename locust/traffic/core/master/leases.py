"""Keep the live leases: which positions are in which worker's hands.

Guarded here: a lease number is never used again, and a lease is live as long as one of its positions is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from traffic.core.ranges import RangeSet


@dataclass(slots=True)
class Lease:
    """A part of a slice that one worker holds. `open` are those of its positions that are not settled."""

    number: int
    worker: str
    open: RangeSet


class Leases:
    """The live leases of a run, in the order of their workers' first ones. `made` is the newest number given out."""

    def __init__(self) -> None:
        self.made = 0
        self._live: dict[str, dict[int, Lease]] = {}

    def __iter__(self) -> Iterator[Lease]:
        return (lease for held in self._live.values() for lease in held.values())

    def of(self, worker: str) -> list[Lease]:
        """Return the worker's live leases, oldest first."""
        return list(self._live.get(worker, {}).values())

    def held(self, worker: str, positions: RangeSet) -> RangeSet:
        """Return those of `positions` that are open in the worker's leases."""
        made = RangeSet()
        for lease in self.of(worker):
            made.update(lease.open.common(positions))
        return made

    def make(self, worker: str, positions: RangeSet) -> Lease:
        """Lease `positions`, which no lease has, to `worker`."""
        self.made += 1
        lease = Lease(self.made, worker, positions.copy())
        self._live.setdefault(worker, {})[lease.number] = lease
        return lease

    def close(self, lease: Lease, positions: RangeSet) -> None:
        """Remove `positions` from a lease, which ends with its last open position."""
        lease.open.subtract(positions)
        if not lease.open:
            self._live[lease.worker].pop(lease.number, None)

    def take(self, worker: str, positions: RangeSet) -> RangeSet:
        """Remove those of `positions` that are open in the worker's leases. Returns these."""
        taken = RangeSet()
        for lease in self.of(worker):
            mine = lease.open.common(positions)
            self.close(lease, mine)
            taken.update(mine)
        return taken

    def discard(self, positions: RangeSet) -> dict[str, int]:
        """Remove leased positions from the leases that have them. Returns how many each worker had."""
        return {worker: size for worker in list(self._live) if (size := self.take(worker, positions).count)}
