"""Count what each worker was assigned and what it has done, in records.

Guarded here: for each worker slice + moved = its remainder + its open leases + what it settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from traffic.core.record_state import RecordState


@dataclass(slots=True)
class WorkerShare:
    """One worker's share of a run, and what became of it.

    `slice` is what it was assigned at the start, or when it joined. `moved` is what was assigned to it later, less what
    was assigned to others instead.
    """

    slice: int = 0
    moved: int = 0
    delivered: int = 0
    rejected: int = 0
    in_doubt: int = 0

    def credit(self, state: RecordState, size: int) -> None:
        """Count `size` more records that this worker settled as `state`; fewer if `size` is negative."""
        if state is RecordState.DELIVERED:
            self.delivered += size
        elif state is RecordState.REJECTED:
            self.rejected += size
        else:
            self.in_doubt += size


class WorkerShares(dict[str, WorkerShare]):
    """The shares of all workers that ever had a slice, by worker."""

    def of(self, worker: str) -> WorkerShare:
        """Return the share of `worker`; it is made if there is none."""
        return self.setdefault(worker, WorkerShare())

    def move_from(self, sizes: Mapping[str | None, int]) -> None:
        """Count that so many records were moved from these workers to another (None: they were unassigned)."""
        for worker, size in sizes.items():
            if worker is not None:
                self[worker].moved -= size
