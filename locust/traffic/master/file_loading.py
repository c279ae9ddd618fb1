"""Read a traffic file in a thread, while the master's loop goes on, and log the progress."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent

from traffic.core.pace.config import RecordedPace
from traffic.core.reading import PLAIN, Reading
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import Dataset
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.scan import Progress
from traffic.dataset.schema import Schema
from traffic.dataset.time_index import TimeIndex, open_times
from traffic.master.threads import in_thread
from traffic.terminal.plain import ON_LIVE_LINE

logger = logging.getLogger(__name__)

LOG_EVERY_S = 2.0


class BackgroundLoader:
    """Opens traffic files, one at a time. `status` is how far the present file is; None if no file is being read.

    `says_notes`: what is remarkable about a file is logged; else whoever opens it shows that.
    """

    def __init__(self, *, says_notes: bool = True) -> None:
        self.status: dict[str, Any] | None = None
        self._says_notes = says_notes

    def open(
        self, file: Path, state_dir: Path, schema: Path | None, reading: Reading = PLAIN, called: str = ""
    ) -> Dataset:
        """Check and index a file. DatasetError if the file is not as it should be, SchemaError if its schema is not.

        `reading` is how the file is read, `called` its name in logs and on the page, if that is not its path.
        """
        with self._reading(called or str(file)) as progress:
            dataset_loader = DatasetLoader(file, Cache(state_dir / "cache"), progress, reading=reading)
            try:
                rules = in_thread(Schema, schema) if schema is not None else None
                return in_thread(dataset_loader.open, rules)
            finally:
                for note in dataset_loader.notes if self._says_notes else ():
                    logger.warning("%s", note)

    def open_times(self, dataset: Dataset, state_dir: Path, pace: RecordedPace, first: int, count: int) -> TimeIndex:
        """Index `count` records from index `first` on by the time in each. DatasetError if one has no usable time."""
        with self._reading(f"the times of {dataset.name}") as progress:
            return in_thread(open_times, dataset, Cache(state_dir / "cache"), pace, first, count, progress)

    @contextmanager
    def _reading(self, what: str) -> Iterator[Progress]:
        """Show and log how far the reading of something is, as the thread that reads it says."""
        status: dict[str, Any] = {"file": what, "done": 0, "of": None}

        def progress(done: int, of: int) -> None:
            # Called in the thread: do nothing else here.
            status["done"], status["of"] = done, of

        self.status = status
        reporter = gevent.spawn(self._log_progress, status)
        try:
            yield progress
        finally:
            self.status = None
            reporter.kill(block=False)

    def _log_progress(self, status: dict[str, Any]) -> None:
        while True:
            gevent.sleep(LOG_EVERY_S)
            logger.info("%s", reading_line(status), extra=ON_LIVE_LINE)


def reading_line(status: dict[str, Any]) -> str:
    """Return how far the reading of a file is, in one line."""
    share = f"{100 * status['done'] // status['of']}% of this pass" if status["of"] else "begun"
    return f"reading {status['file']}: {share}"
