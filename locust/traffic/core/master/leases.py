"""The live leases: which positions are in which worker's hands.

Guarded here: a lease number is never used again, and a lease is live as long as one of its positions is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from traffic.core.ranges import RangeSet


@dataclass(slots=True)
class Lease:
    """A piece of a slice in one worker's custody. `open` are those of its positions that are not settled."""

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
        """The worker's live leases, oldest first."""
        return list(self._live.get(worker, {}).values())

    def held(self, worker: str, positions: RangeSet) -> RangeSet:
        """Those of `positions` that are open in the worker's leases."""
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
        """Take `positions` out of a lease, which ends with the last that is open in it."""
        lease.open.subtract(positions)
        if not lease.open:
            self._live[lease.worker].pop(lease.number, None)

    def take(self, worker: str, positions: RangeSet) -> RangeSet:
        """Take those of `positions` that are open in the worker's leases out of these; which these were."""
        taken = RangeSet()
        for lease in self.of(worker):
            mine = lease.open.common(positions)
            self.close(lease, mine)
            taken.update(mine)
        return taken

    def discard(self, positions: RangeSet) -> dict[str, int]:
        """Take leased positions out of whichever leases have them; how many each worker had of them."""
        return {worker: size for worker in list(self._live) if (size := self.take(worker, positions).count)}
