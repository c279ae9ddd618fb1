"""The outbox carries out decisions in order, and none before the entries that precede it are on disk."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import gevent
import pytest
from gevent.event import Event

from traffic.core.master.decisions import (
    AllSettled,
    Decision,
    Entry,
    Leased,
    LeaseReturned,
    OutcomesRecorded,
    ResultsReceived,
    Send,
    TimingsRecorded,
)
from traffic.core.master.timeline import Sample
from traffic.core.protocol import AckReply
from traffic.core.ranges import RangeSet
from traffic.master import outbox as module
from traffic.master.outbox import Outbox
from traffic.runs.journal import Journal, JournalWriteError, KeptRows
from traffic.runs.run_metadata import RunMetadata
from unit.test_journal import METADATA, read

SOON_S = 5.0
FULL = "the journal cannot be written: the disk is full"


def send(number: int) -> Send:
    return Send("w", AckReply(1, number, number, over=False, paused=False))


def entry(number: int) -> Entry:
    return OutcomesRecorded("w", RangeSet([(number, number + 1)]), ())


class GatedJournal:
    """A journal whose writes wait in their thread until they are let through, or fail while the disk is full."""

    path = Path("journal.sqlite")

    def __init__(self) -> None:
        self.writes: list[tuple[list[Entry], RunMetadata | None]] = []
        self.timings: list[TimingsRecorded] = []
        self.results: list[KeptRows] = []
        self.samples: list[Sample] = []
        self.tries = 0
        self.full = False
        self.begun = Event()
        self.gate = threading.Event()
        self.gate.set()

    def write(
        self,
        entries: list[Entry],
        metadata: RunMetadata | None,
        timings: list[TimingsRecorded],
        results: list[KeptRows],
        samples: list[Sample],
    ) -> None:
        self.tries += 1
        self.begun.set()
        assert self.gate.wait(SOON_S)
        if self.full:
            raise JournalWriteError("the disk is full")
        self.writes.append((list(entries), metadata))
        self.timings += timings
        self.results += results
        self.samples += samples


class Bench:
    """An outbox that is being served. `done` has the decisions that it carried out."""

    def __init__(self) -> None:
        self.done: list[Decision] = []
        self.settled = Event()
        self.outbox = Outbox(self.act)
        self.journal = self.new_journal()
        self.server = gevent.spawn(self.outbox.serve)

    def new_journal(self) -> GatedJournal:
        journal = GatedJournal()
        self.outbox.journal = cast("Journal", journal)
        return journal

    def act(self, decision: Decision) -> None:
        self.done.append(decision)
        if isinstance(decision, AllSettled):
            self.settled.set()

    def fail(self, *decisions: Decision) -> None:
        """Put decisions while the disk is full, and wait until two writes have failed."""
        self.journal.full = True
        self.outbox.put(decisions)
        for _ in range(2):
            self.journal.begun.clear()
            assert self.journal.begun.wait(SOON_S)

    def hold(self, *decisions: Decision) -> None:
        """Put decisions, and wait until they are being written; the write ends when the gate is opened."""
        self.journal.gate.clear()
        self.journal.begun.clear()
        self.outbox.put(decisions)
        assert self.journal.begun.wait(SOON_S)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(module, "RETRY_S", 0.002)
    made = Bench()
    yield made
    made.journal.gate.set()
    made.server.kill()


def test_without_an_entry_nothing_is_written(bench):
    bench.outbox.journal = None
    bench.outbox.put([send(1), send(2)])
    bench.outbox.put([send(3)])
    assert bench.outbox.drain(SOON_S)
    assert (bench.done, bench.journal.tries) == ([send(1), send(2), send(3)], 0)


def test_timings_are_written_before_what_comes_after_them_though_they_are_no_entry(bench):
    timings = TimingsRecorded("w", ())
    bench.hold(timings, send(1))
    assert bench.done == []
    bench.journal.gate.set()
    assert bench.outbox.drain(SOON_S)
    assert (bench.done, bench.journal.timings) == ([timings, send(1)], [timings])
    assert bench.journal.writes == [([], None)]


def test_a_sample_of_the_run_goes_to_the_journal_and_nowhere_else(bench):
    sample = Sample(1.0, 2, 0, 0, 1, 7, 2)
    bench.outbox.put([sample])
    assert bench.outbox.drain(SOON_S)
    assert bench.journal.samples == [sample]


class Rows:
    """A writer of results that notes what it is asked to do."""

    def __init__(self, journal: GatedJournal) -> None:
        self.did: list[str] = []
        self._journal = journal

    def write(self, received: list[ResultsReceived]) -> list[KeptRows]:
        self.did.append(f"write {[one.number for one in received]}")
        return [KeptRows(one.worker, one.number, one.rows, 7) for one in received]

    def commit(self) -> None:
        self.did.append(f"commit, and the journal has {[one.number for one in self._journal.results]}")


def test_rows_of_results_are_written_before_the_journal_and_count_after_it(bench):
    bench.outbox.results = rows = Rows(bench.journal)
    bench.fail(ResultsReceived("w", 1, 5, b"rows"), send(1))
    assert bench.done == []
    assert set(rows.did) == {"write [1]"}, "in vain, because the disk is full; so they do not count"
    bench.journal.full = False
    assert bench.outbox.drain(SOON_S)
    assert rows.did[-2:] == ["write [1]", "commit, and the journal has [1]"]
    assert bench.done == [ResultsReceived("w", 1, 5, b"rows"), send(1)]


def test_the_order_is_kept_whatever_is_an_entry(bench):
    leased, returned = Leased(1, "w", RangeSet([(5, 9)])), LeaseReturned(1, "w", RangeSet([(6, 9)]))
    made = [entry(0), send(1), leased, send(2), AllSettled("run"), returned, send(3)]
    for one in made:
        bench.outbox.put([one])
    bench.outbox.put([])
    assert bench.outbox.drain(SOON_S)
    assert bench.done == made
    assert [one for entries, _ in bench.journal.writes for one in entries] == [entry(0), leased, returned]


def test_what_comes_after_an_entry_waits_until_it_is_written(bench):
    bench.hold(send(1), entry(0), send(2))
    bench.outbox.put([send(3)])
    assert not bench.outbox.drain(0.02)
    assert send(2) not in bench.done
    assert send(3) not in bench.done
    bench.journal.gate.set()
    assert bench.outbox.drain(SOON_S)
    assert bench.done == [send(1), entry(0), send(2), send(3)]


def test_what_is_decided_during_a_write_is_written_together_after_it(bench):
    bench.hold(entry(0))
    for number in range(1, 100):
        bench.outbox.put([entry(number), send(number)])
    bench.journal.gate.set()
    assert bench.outbox.drain(SOON_S)
    assert [len(entries) for entries, _ in bench.journal.writes] == [1, 99]
    assert bench.done == [entry(0), *(one for number in range(1, 100) for one in (entry(number), send(number)))]


def test_facts_are_written_without_an_entry_and_else_with_those_that_wait(bench):
    bench.outbox.note(replace(METADATA, users=1))
    assert bench.outbox.drain(SOON_S)
    bench.hold(entry(0))
    bench.outbox.note(replace(METADATA, users=2))
    bench.outbox.put([entry(1)])
    bench.outbox.note(replace(METADATA, users=3))
    bench.journal.gate.set()
    assert bench.outbox.drain(SOON_S)
    written = [(entries, metadata and metadata.users) for entries, metadata in bench.journal.writes]
    assert written == [([], 1), ([entry(0)], None), ([entry(1)], 3)], "the latest metadata, once"


def test_who_waits_for_what_was_noted_hears_once_the_journal_has_it_and_not_before(bench):
    assert bench.outbox.await_noted(0.0), "nothing was noted"
    bench.hold(entry(0))
    bench.outbox.note(replace(METADATA, users=1))
    assert not bench.outbox.await_noted(0.02), "another write is under way"
    heard = gevent.spawn(bench.outbox.await_noted, SOON_S)
    bench.journal.gate.set()
    assert heard.get(timeout=SOON_S)
    assert [metadata and metadata.users for _, metadata in bench.journal.writes] == [None, 1]
    bench.outbox.note(replace(METADATA, users=2))
    bench.fail(entry(1))
    assert not bench.outbox.await_noted(0.02), "the disk is full"
    bench.outbox.abandon()
    assert bench.outbox.await_noted(0.0), "there is no journal any more that could have it"


def test_on_a_full_disk_nothing_is_carried_out_until_there_is_room(bench, caplog):
    caplog.set_level(logging.INFO, "traffic.master.outbox")
    bench.outbox.note(replace(METADATA, users=4))
    bench.fail(entry(0), send(1))
    bench.outbox.put([send(2), entry(1)])
    assert not bench.outbox.drain(0.02)
    assert (bench.outbox.trouble, bench.done) == (FULL, [])
    bench.journal.full = False
    assert bench.outbox.drain(SOON_S)
    assert bench.outbox.trouble == ""
    assert bench.done == [entry(0), send(1), send(2), entry(1)]
    assert bench.journal.writes == [([entry(0)], replace(METADATA, users=4)), ([entry(1)], None)], "each of them once"
    assert bench.journal.tries > 3
    assert [record.message for record in caplog.records] == [
        "the journal journal.sqlite cannot be written: the disk is full",
        "the journal can be written again",
    ], "told once, however often it was tried"


def test_draining_ends_when_its_time_is_up(bench):
    bench.hold(entry(0))
    with gevent.Timeout(SOON_S):
        assert not bench.outbox.drain(0.01)
        assert not bench.outbox.drain(0.0)
        bench.journal.gate.set()
        assert bench.outbox.drain(SOON_S)
        assert bench.outbox.drain(0.0)


def test_what_cannot_be_journaled_can_be_abandoned_and_the_next_run_begins_with_a_journal_of_its_own(bench):
    bench.fail(entry(0), send(1))
    bench.outbox.put([entry(1), send(2)])
    bench.outbox.note(METADATA)
    with gevent.Timeout(SOON_S):
        bench.outbox.abandon()
    assert (bench.outbox.trouble, bench.outbox.journal) == ("", None)
    bench.outbox.put([send(3)])
    assert bench.outbox.drain(SOON_S), "messages need no journal"
    second = bench.new_journal()
    bench.outbox.put([entry(4), send(5)])
    assert bench.outbox.drain(SOON_S)
    assert bench.done == [send(3), entry(4), send(5)]
    assert (bench.journal.writes, second.writes) == ([], [([entry(4)], None)])


def test_abandoning_waits_for_the_write_that_has_begun(bench):
    bench.hold(entry(0))
    abandoning = gevent.spawn(bench.outbox.abandon)
    assert gevent.wait([abandoning], timeout=0.02) == []
    bench.journal.gate.set()
    abandoning.get(timeout=SOON_S)
    assert bench.journal.writes == [([entry(0)], None)]
    assert bench.outbox.drain(SOON_S)


def test_a_worker_hears_only_of_what_a_crash_at_that_moment_would_leave(bench, tmp_path):
    """With a real journal: when the end of the run is carried out, all that came before it is on disk."""
    path = tmp_path / "runs" / METADATA.run / "journal.sqlite"
    bench.outbox.journal = Journal.create(path, METADATA)
    for number in range(50):
        bench.outbox.put([entry(number), send(number)])
    bench.outbox.put([AllSettled("run")])
    assert bench.settled.wait(SOON_S)
    bench.outbox.journal.close()
    assert read(path)[0] == [one for one in bench.done if isinstance(one, OutcomesRecorded)]
    assert len(bench.done) == 101
