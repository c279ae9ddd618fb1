"""Damage to a journal that SQLite does not notice by itself, and what a recovery must not forget."""

from contextlib import closing
from dataclasses import replace

import pytest

from support.dead_letters import letter_group
from traffic.core.master.decisions import Entry, OutcomesRecorded
from traffic.core.master.recovery import Recovery, RecoveryError
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetter, RecordState
from traffic.dataset.dataset import Dataset
from traffic.runs.history import past_runs, recover
from traffic.runs.journal import Journal, JournalError, JournalWriteError
from traffic.runs.run_metadata import Resumption
from traffic.runs.state_dir import StateFolder
from unit.test_coordinator import Bench
from unit.test_history import FIRST, leave, leave_report
from unit.test_journal import METADATA, path, read, small_disk, sql, written  # noqa: F401 - fixtures


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET number = 13 WHERE number = 12",
        "UPDATE entry SET body = CAST(body AS BLOB) WHERE number = 4",
        "UPDATE facts SET body = CAST(body AS BLOB)",
    ],
)
def test_an_entry_that_moved_or_changed_its_type_is_noticed(written, change):  # noqa: F811 - a fixture
    sql(change)(written)
    with pytest.raises(JournalError):
        read(written)


def test_a_message_of_sqlites_that_is_no_utf8_is_told_like_any_other(written):  # noqa: F811 - a fixture
    data = bytearray(written.read_bytes())
    data[data.index(b"CREATE TABLE facts") + 7] ^= 0x80
    written.write_bytes(data)
    with pytest.raises(JournalError):
        read(written)


def test_a_number_that_became_another_kind_of_number(tmp_path):
    file = tmp_path / "t.json"
    file.write_text("[" + ",".join(["{}"] * 200) + "]")
    dataset = Dataset.open(file)
    at = tmp_path / "runs" / "r" / "journal.sqlite"
    with closing(Journal.create(at, replace(METADATA, records=200, digest=dataset.digest))) as journal:
        journal.write([OutcomesRecorded("w", RangeSet([(0, 123)]), ())])
    at.write_bytes(at.read_bytes().replace(b"[[0,123]]", b"[[0,1e2]]"))
    with closing(Journal.open(at)) as journal, pytest.raises(JournalError):
        recover(journal, dataset)
    dataset.close()


def test_what_a_worker_may_have_sent_before_it_began_anew_is_still_known(tmp_path):
    bench, entries = Bench(tmp_path, 10), []
    session = bench.start("a")["a"]
    entries += bench.ack("a", session, 1, wants=5)
    session = bench.hello("a", session)  # it began anew: 0-4 may have been sent
    entries += bench.ack("a", session, 1, wants=5)
    entries += bench.ack("a", session, 2, heard=2)  # the second lease never arrived
    recovery = Recovery(10)
    for entry in entries:
        if isinstance(entry, Entry):
            recovery.take(entry)
    live = bench.run.ledger
    tried = live.prior_attempts.tried_among(live.positions(RecordState.PENDING))
    assert tried == RangeSet([(0, 5)])
    assert recovery.held().get("a") == tried


def test_where_there_is_no_room_at_all_nothing_is_left_behind(small_disk):  # noqa: F811 - a fixture
    (small_disk / "ballast").write_bytes(bytes(252 << 10))
    with pytest.raises(JournalWriteError):
        Journal.create(small_disk / "journal.sqlite", METADATA)
    assert [f.name for f in small_disk.iterdir()] == ["ballast"]


def test_a_journal_that_is_there_is_not_begun_anew(written):  # noqa: F811 - a fixture
    with pytest.raises(JournalWriteError):
        Journal.create(written, METADATA)
    assert len(read(written)[0]) == 12


def test_a_run_stopped_resumed_and_cut_off_is_listed_as_cut_off(tmp_path):
    folder = StateFolder(tmp_path)
    leave_report(folder, FIRST, "stopped")
    leave(folder, FIRST, "running", resumed=(Resumption("t", 3),))
    assert [row["state"] for row in past_runs(folder, None)] == ["cut off"]


def test_a_report_that_is_no_object_is_passed_over(tmp_path):
    folder = StateFolder(tmp_path)
    leave(folder, FIRST, "failed")
    (folder.run_folder(FIRST) / "report.json").write_text("[]")
    assert [row["state"] for row in past_runs(folder, None)] == ["failed"]


def test_a_letter_says_rejected_or_in_doubt():
    with pytest.raises(RecoveryError):
        Recovery(5).take(
            OutcomesRecorded("a", RangeSet(), (letter_group(DeadLetter(0, RecordState.DELIVERED, 1, 0, "", "a")),))
        )
