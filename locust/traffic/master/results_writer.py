"""Write the workers' rows of results to the run's file, before the journal says which are there.

Guarded here: rows never hold up a run. What is no batch of rows is dropped, and so are rows for which the disk has no
room; both count as lost, and the worker is told that it need not send them again.
"""

import logging
from collections.abc import Iterable

from traffic.core.master.decisions import ResultsReceived
from traffic.core.master.result_book import ResultBook
from traffic.runs.journal import KeptRows
from traffic.runs.results_file import BadBatchError, ResultsFile, check_batch

logger = logging.getLogger(__name__)


class ResultsWriter:
    """The rows of one run, on their way from the outbox to the disk. `book` has the account."""

    def __init__(self, file: ResultsFile, book: ResultBook) -> None:
        self.file, self._book = file, book
        self._written: list[tuple[ResultsReceived, int]] = []
        self._size = file.size
        self._full = False

    def write(self, received: Iterable[ResultsReceived]) -> list[KeptRows]:
        """Write batches behind those that count; return what the journal is to have. A thread may call this."""
        self._written = [(one, self._rows(one)) for one in received]
        frames = [one.data for one, rows in self._written if rows]
        try:
            self._size = self.file.add(frames) if frames else self.file.size
            self._note_room(None)
        except OSError as error:
            self._written = [(one, 0) for one, _ in self._written]
            self._size = self.file.size
            self._note_room(error)
        kept: dict[str, KeptRows] = {}
        for one, rows in self._written:
            before = kept[one.worker].rows if one.worker in kept else self._book.kept_of(one.worker)
            kept[one.worker] = KeptRows(one.worker, one.number, before + rows, self._size)
        return list(kept.values())

    def commit(self) -> None:
        """Note that the journal has what was written last."""
        self.file.size = self._size
        for one, rows in self._written:
            self._book.note_written(one.worker, one.number, rows)
        self._written = []

    def _rows(self, one: ResultsReceived) -> int:
        """Return how many rows of a batch are good: all, or none."""
        try:
            check_batch(one.data, one.rows)
        except BadBatchError as error:
            logger.warning("dropped %d rows of results from %s: %s", one.rows, one.worker, error)
            return 0
        return one.rows

    def _note_room(self, error: OSError | None) -> None:
        if error is not None and not self._full:
            logger.warning(
                "rows of results are lost: %s cannot be written: %s", self.file.path, error.strerror or error
            )
        self._full = error is not None
