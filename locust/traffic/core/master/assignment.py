"""Assign the records that are not leased yet to workers.

Every pending position belongs to exactly one remainder: that of a worker's slice, or the unassigned one while no
worker is connected. A remainder never leaves the master, so it can be divided again at any time: when a worker joins,
when one runs out (work stealing), and among the others when its own worker is lost.
"""

from collections.abc import Iterable

from traffic.core.ranges import RangeSet


class Assignment:
    """The remainders of a run, by worker, and what is unassigned."""

    def __init__(self) -> None:
        self.remainders: dict[str, RangeSet] = {}
        self.unassigned = RangeSet()

    @property
    def pending(self) -> int:
        """How many positions are in a remainder or unassigned."""
        return self.unassigned.count + sum(remainder.count for remainder in self.remainders.values())

    def assign(self, positions: RangeSet, workers: Iterable[str]) -> dict[str, int]:
        """Cut `positions` among `workers`, equal to within one. Returns the size of each part, by worker.

        Without a worker they are unassigned.
        """
        names = list(workers)
        if not names:
            self.unassigned.update(positions)
            return {}
        assigned: dict[str, int] = {}
        # The larger parts go to the workers that have the least.
        names.sort(key=lambda name: len(self.remainders.get(name, ())))
        for name, part in zip(names, positions.parts(len(names)), strict=True):
            self.remainders.setdefault(name, RangeSet()).update(part)
            assigned[name] = part.count
        return assigned

    def join(self, worker: str) -> dict[str | None, int]:
        """Give `worker` an equal share, cut from the largest remainders. Returns how much came from whom.

        None stands for what was unassigned.
        """
        own = self.remainders.setdefault(worker, RangeSet())
        taken: dict[str | None, int] = {}
        if self.unassigned:
            taken[None] = self.unassigned.count
            own.update(self.unassigned)
            self.unassigned = RangeSet()
        share = self.pending // len(self.remainders)
        while own.count < share:
            largest = self._largest(worker)
            assert largest is not None, "all together have a share each, so another has more than one"
            most = min(share - own.count, len(self.remainders[largest]) - share)
            taken[largest] = self._move(largest, worker, most)
        return taken

    def steal(self, worker: str, least: int) -> tuple[str | None, int] | None:
        """Give a worker whose remainder is empty what is unassigned, else half of the largest remainder.

        It gets `least` at least, if there are as many. Returns from whom (None: unassigned) and how much; None if
        nothing is left.
        """
        if self.unassigned:
            size = self.unassigned.count
            self.remainders[worker].update(self.unassigned)
            self.unassigned = RangeSet()
            return None, size
        largest = self._largest(worker)
        if largest is None or not self.remainders[largest]:
            return None
        most = max(least, len(self.remainders[largest]) // 2)
        return largest, self._move(largest, worker, most)

    def leave(self, worker: str) -> RangeSet:
        """Remove the worker. Returns its remainder, which is in no place now."""
        return self.remainders.pop(worker, RangeSet())

    def remove(self, positions: RangeSet, worker: str) -> None:
        """Remove `positions`, all of them in the worker's remainder, from it: they are being leased."""
        self.remainders[worker].subtract(positions)

    def discard(self, positions: RangeSet) -> dict[str | None, int]:
        """Remove pending positions from the remainders that have them. Returns how many each had (None: unassigned)."""
        made: dict[str | None, int] = {}
        remainders: list[tuple[str | None, RangeSet]] = [*self.remainders.items(), (None, self.unassigned)]
        for name, remainder in remainders:
            mine = remainder.common(positions)
            remainder.subtract(mine)
            if mine:
                made[name] = mine.count
        return made

    def _largest(self, besides: str) -> str | None:
        others = [name for name in self.remainders if name != besides]
        return max(others, key=lambda name: len(self.remainders[name]), default=None)

    def _move(self, source: str, to: str, most: int) -> int:
        moved = self.remainders[source].tail(most)
        self.remainders[source].subtract(moved)
        self.remainders[to].update(moved)
        return moved.count
