"""Keep account of the rows of results: which batches of each worker are kept, and how many rows are lost.

Guarded here: a batch is kept once, however often it comes, also by the next master; and every row that a worker is
known to have made is either kept or counted as lost.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from traffic.core.protocol import ResultBatch


@dataclass(slots=True)
class WorkerRows:
    """The rows of one worker: `made` as far as its acks say, `kept` in the file, up to batch `written`.

    `accepted` is the latest batch that was taken; it may be on its way to the disk.
    """

    made: int = 0
    kept: int = 0
    accepted: int = 0
    written: int = 0


_NO_ROWS = WorkerRows()


class ResultBook:
    """The account of one run's rows, by worker."""

    def __init__(self) -> None:
        self._workers: defaultdict[str, WorkerRows] = defaultdict(WorkerRows)

    def accept(self, worker: str, batch: ResultBatch) -> bool:
        """Return whether a batch is to be kept: it is the next one of its worker."""
        rows = self._workers[worker]
        if batch.number != rows.accepted + 1:
            return False
        rows.accepted = batch.number
        return True

    def note_written(self, worker: str, number: int, rows: int) -> None:
        """Note that a batch was dealt with: so many of its rows are in the file."""
        known = self._workers[worker]
        known.written, known.accepted = number, max(known.accepted, number)
        known.kept += rows

    def note_made(self, worker: str, rows: int) -> None:
        """Note how many rows a worker has made since the run began there; a smaller, older number changes nothing."""
        if rows:
            known = self._workers[worker]
            known.made = max(known.made, rows)

    def made_by(self, worker: str) -> int:
        """Return how many rows a worker has made, as far as is known."""
        return self._workers.get(worker, _NO_ROWS).made

    def confirmed(self, worker: str) -> int:
        """Return up to which batch a worker's rows need not be sent again."""
        return self._workers.get(worker, _NO_ROWS).written

    def kept_of(self, worker: str) -> int:
        """Return how many rows of a worker are kept."""
        return self._workers.get(worker, _NO_ROWS).kept

    def restore(self, kept: Iterable[tuple[str, int, int]]) -> None:
        """Note what a journal has: worker, the number of its latest batch, and how many of its rows are kept."""
        for worker, number, rows in kept:
            self.note_written(worker, number, rows)

    def lose_all(self) -> None:
        """Note that the file is gone: what was kept is lost."""
        for rows in self._workers.values():
            rows.made, rows.kept = max(rows.made, rows.kept), 0

    @property
    def kept(self) -> int:
        """How many rows are kept."""
        return sum(rows.kept for rows in self._workers.values())

    @property
    def lost(self) -> int:
        """How many rows are missing of those that workers are known to have made."""
        return sum(max(0, rows.made - rows.kept) for rows in self._workers.values())

    def awaits(self, workers: Iterable[str]) -> bool:
        """Return whether rows of these workers are missing that may still come."""
        known = (self._workers.get(worker, _NO_ROWS) for worker in workers)
        return any(rows.made > rows.kept for rows in known)
