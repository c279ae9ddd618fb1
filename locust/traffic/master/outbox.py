"""Carry out decisions in order, each only after all journal entries before it are on disk.

A thread writes one group of entries while further decisions gather for the next group.
"""

import logging
from collections.abc import Callable, Iterable
from typing import get_args

import gevent
from gevent.event import Event

from traffic.clock import now_s
from traffic.core.master.decisions import Decision, Entry, ResultsReceived, TimingsRecorded
from traffic.core.master.timeline import Sample
from traffic.master.results_writer import ResultsWriter
from traffic.master.threads import in_thread
from traffic.runs.journal import Journal, JournalWriteError
from traffic.runs.run_metadata import RunMetadata

logger = logging.getLogger(__name__)

RETRY_S = 1.0
_JOURNALED = (*get_args(Entry), TimingsRecorded, ResultsReceived, Sample)


class Outbox:
    """Journals and carries out decisions, each by `act`. `journal` is the live run's; without one no entry may be put.

    `results` writes its rows of results, before the journal says that they are there.

    `trouble` says why the journal cannot be written at the moment; empty if it can. As long as it cannot, nothing is
    carried out, so that workers learn of nothing that is not on disk.
    """

    def __init__(self, act: Callable[[Decision], None]) -> None:
        self.journal: Journal | None = None
        self.results: ResultsWriter | None = None  # None: the run has no rows of results
        self.trouble = ""
        self._act = act
        self._waiting: list[Decision] = []
        self._metadata: RunMetadata | None = None
        # How many times metadata was noted, up to which of them the journal has it, and what is set when it has more.
        self._noted = self._journaled = 0
        self._written = Event()
        self._wake, self._idle = Event(), Event()
        self._idle.set()

    def put(self, decisions: Iterable[Decision]) -> None:
        """Add decisions, to be carried out after all that were put before."""
        before = len(self._waiting)
        self._waiting += decisions
        if len(self._waiting) > before:
            self._wake_up()

    def note(self, metadata: RunMetadata) -> None:
        """Have the journal's metadata replaced, with the next group of entries at the latest."""
        self._metadata = metadata
        self._noted += 1
        self._wake_up()

    def await_noted(self, within_s: float) -> bool:
        """Wait until the journal has the metadata that was noted last; return whether it has within that time."""
        number, deadline = self._noted, now_s() + within_s
        while self._journaled < number and now_s() < deadline:
            self._written.wait(max(0.0, deadline - now_s()))
        return self._journaled >= number

    def drain(self, within_s: float) -> bool:
        """Wait until all decisions have been carried out; return whether they were within that time."""
        deadline = now_s() + within_s
        while self._waiting or not self._idle.is_set():
            if not self._idle.wait(max(0.0, deadline - now_s())):
                return False
        return True

    def abandon(self) -> None:
        """Drop the journal and what could not be written to it; wait for a write that is under way."""
        self.journal, self._metadata = None, None
        self._waiting.clear()
        self._count_journaled(self._noted)
        self._idle.wait()
        self.trouble = ""

    def serve(self) -> None:
        """Carry out what is put, for ever. Call it in a greenlet of its own."""
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting or self._metadata:
                batch, self._waiting = self._waiting, []
                if self._journal(batch):
                    for decision in batch:
                        self._act(decision)
            self._idle.set()

    def _wake_up(self) -> None:
        self._idle.clear()
        self._wake.set()

    def _journal(self, batch: list[Decision]) -> bool:
        """Write the entries of `batch`, trying until it works; return False if the journal was abandoned meanwhile."""
        metadata, self._metadata, number = self._metadata, None, self._noted
        if metadata is None and not any(isinstance(decision, _JOURNALED) for decision in batch):
            return True
        results = self.results if any(isinstance(decision, ResultsReceived) for decision in batch) else None
        journal = self.journal
        assert journal is not None, "only a live run has something to journal, and it has a journal"
        while self.journal is journal:
            try:
                in_thread(_write, journal, results, batch, metadata)
            except JournalWriteError as error:
                self._set_trouble(journal, str(error))
                gevent.sleep(RETRY_S)
            else:
                self._count_journaled(number)
                if results is not None:
                    results.commit()
                if self.trouble:
                    self.trouble = ""
                    logger.info("the journal can be written again")
                return True
        return False

    def _count_journaled(self, number: int) -> None:
        self._journaled = max(self._journaled, number)
        before, self._written = self._written, Event()
        before.set()

    def _set_trouble(self, journal: Journal, reason: str) -> None:
        if not self.trouble:
            logger.error("the journal %s cannot be written: %s", journal.path, reason)
        self.trouble = f"the journal cannot be written: {reason}"


def _write(
    journal: Journal, results: ResultsWriter | None, batch: list[Decision], metadata: RunMetadata | None
) -> None:
    """Write rows of results, then the journal. JournalWriteError as `Journal.write`: the rows do not count then."""
    entries = [decision for decision in batch if isinstance(decision, Entry)]
    timings = [decision for decision in batch if isinstance(decision, TimingsRecorded)]
    samples = [decision for decision in batch if isinstance(decision, Sample)]
    received = [decision for decision in batch if isinstance(decision, ResultsReceived)]
    kept = results.write(received) if results is not None else []
    journal.write(entries, metadata, timings, kept, samples)
