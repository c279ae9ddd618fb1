"""Count what one worker was assigned and what it has done, in records."""

from dataclasses import dataclass

from traffic.core.record_state import RecordState


@dataclass(slots=True)
class WorkerShare:
    """One worker's share of a run, and what became of it.

    `slice` is what it was dealt at the start, or when it joined; `moved` is what later cuts gave it (or took: then
    negative). slice + moved = its remainder + its open leases + what it settled.
    """

    slice: int = 0
    moved: int = 0
    delivered: int = 0
    rejected: int = 0
    in_doubt: int = 0

    def credit(self, state: RecordState, size: int) -> None:
        """Book `size` more records that this worker settled as `state` (fewer, where `size` is negative)."""
        if state is RecordState.DELIVERED:
            self.delivered += size
        elif state is RecordState.REJECTED:
            self.rejected += size
        else:
            self.in_doubt += size
