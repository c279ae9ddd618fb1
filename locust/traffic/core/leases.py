"""What is in which worker's custody.

The rule that this module guards: a lease has a number that is never given out again, and is live for as long as one
of its positions is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .ranges import RangeSet


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

    def holds(self, worker: str, position: int) -> bool:
        """Whether a position is open in one of the worker's leases."""
        return any(position in lease.open for lease in self.of(worker))

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
            for start, stop in positions:
                taken.update(lease.open.within(start, stop))
            self.close(lease, taken)
        return taken

    def discard(self, position: int) -> str:
        """Take one leased position out of whichever lease has it; whose that was."""
        lease = next(lease for lease in self if position in lease.open)
        self.close(lease, RangeSet([(position, position + 1)]))
        return lease.worker
