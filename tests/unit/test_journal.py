"""A journal returns all that was written, or a clear error, whatever happened to the process, the disk or the file."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.dead_letters import letter_group
from traffic.core.excerpt import Excerpt
from traffic.core.master.answer_book import NumberedAnswer
from traffic.core.master.decisions import Entry, Leased, LeaseReturned, OutcomesRecorded, Reopened, TimingsRecorded
from traffic.core.master.timeline import Sample
from traffic.core.protocol import RunConfig
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetter, DeadLetterGroup, RecordState
from traffic.core.timings import Kind, KindTiming, Timing
from traffic.runs import journal as journal_module
from traffic.runs.journal import APPLICATION, VERSION, Journal, JournalError, JournalInUseError, JournalWriteError
from traffic.runs.run_metadata import RunMetadata

TERMS = RunConfig("20260102-030405-abcd", "POST", "/v1", (0.1, 0.9), 5, "at-least-once")
METADATA = RunMetadata(
    TERMS, "data/ñ.json", 1000, "ab" * 32, "random", 7, 60, "http://api:4000", "2026-01-02T03:04:05Z", 100
)
ROOM = 10
FULL = r"^the disk is full$"
BIG = 3_000_000  # bytes: more than SQLite keeps in memory, so that it writes before the end of a transaction


def group(number: int, size: int = 0) -> list[Entry]:
    """One write's worth of entries, of every kind; one of them is `size` bytes longer."""
    at, worker = number * ROOM, f"w{number % 3}"
    letter = DeadLetter(at + 1, RecordState.REJECTED, 5, 422, "x" * size, worker)
    return [
        Leased(number + 1, worker, RangeSet([(at, at + 5), (at + 6, at + ROOM)])),
        LeaseReturned(number + 1, worker, RangeSet([(at + 6, at + ROOM)])),
        OutcomesRecorded(
            worker, RangeSet([(at, at + 1), (at + 2, at + 5)]), (letter_group(letter),), number + 4, number
        ),
        Reopened(RangeSet([(at + 1, at + 2)])),
    ]


def read(path: Path) -> tuple[list[Entry], RunMetadata]:
    """Return what a new master finds in a journal."""
    with closing(Journal.open(path)) as journal:
        return list(journal.entries()), journal.metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / METADATA.run / "journal.sqlite"


@pytest.fixture
def written(path: Path) -> Path:
    """A journal of three writes."""
    with closing(Journal.create(path, METADATA)) as journal:
        for number in range(3):
            journal.write(group(number))
    return path


ANSWERS = [
    NumberedAnswer(1, "no name", Excerpt("application/json", (("x-request-id", "a1"),), b'{"error": "no name"}', 20)),
    NumberedAnswer(2, "(no text)", Excerpt("", (), b"\xff\x00", 5000)),
]


def with_answers(*answers: NumberedAnswer) -> OutcomesRecorded:
    letter = DeadLetter(11, RecordState.REJECTED, 1, 422, "HTTP 422", "w1", answers[0].number)
    return OutcomesRecorded("w1", RangeSet(), (letter_group(letter),), 4, answers=answers)


def test_answers_are_kept_beside_the_entries_that_refer_to_them(written):
    with closing(Journal.open(written)) as journal:
        assert (journal.last_answer, journal.answers([1, 2]), list(journal.answer_patterns())) == (0, {}, [])
        journal.write([with_answers(*ANSWERS)])
        assert journal.last_answer == 2
    entries, _ = read(written)
    assert entries[-1] == replace(with_answers(*ANSWERS), answers=())
    with closing(Journal.open(written)) as journal:
        assert journal.last_answer == 2
        assert journal.answers([*range(2000), 2]) == {one.number: one.excerpt for one in ANSWERS}
        assert [row[:2] for row in journal.answer_patterns()] == [(1, "no name"), (2, "(no text)")]


def test_of_each_timing_the_latest_is_kept_and_it_is_no_entry(written):
    def told(name: str, *seconds: float) -> KindTiming:
        timing = Timing()
        timing.service.add(list(seconds))
        return KindTiming(Kind(name, "POST", 201, ""), timing)

    entries, _ = read(written)
    with closing(Journal.open(written)) as journal:
        assert list(journal.timings()) == []
        journal.write(
            timings=[TimingsRecorded("a", (told("/", 1.0), told("/b", 2.0))), TimingsRecorded("b", (told("/"),))]
        )
        journal.write(timings=[TimingsRecorded("a", (told("/", 1.0, 3.0),))])
    with closing(Journal.open(written)) as journal:
        assert list(journal.timings()) == [("a", told("/", 1.0, 3.0)), ("a", told("/b", 2.0)), ("b", told("/"))]
    assert read(written)[0] == entries


def test_the_course_of_a_run_is_kept_and_a_member_that_another_release_added_is_ignored(written):
    course = [Sample(0.0, 0, 0, 0, 0, 12, 0), Sample(1.5, 3, 2, 1, 4, 2, 9, due=7, sent=6, p50_s=0.002)]
    with closing(Journal.open(written)) as journal:
        assert journal.samples() == []
        for one in course:
            journal.write(samples=[one])
    with closing(sqlite3.connect(written)) as database, database:
        database.execute("UPDATE sample SET body = json_set(body, '$.of_another_release', 1)")
    with closing(Journal.open(written)) as journal:
        assert journal.samples() == course
        assert len(list(journal.entries())) == 12


def test_an_answer_that_cannot_be_read_is_left_out_and_the_run_goes_on(written, caplog):
    with closing(Journal.open(written)) as journal:
        journal.write([with_answers(*ANSWERS)])
    with closing(sqlite3.connect(written)) as database, database:
        database.execute("UPDATE answer SET head = 'no JSON' WHERE number = 2")
    with closing(Journal.open(written)) as journal:
        assert journal.answers([1]) == {1: ANSWERS[0].excerpt}
        assert journal.answers([1, 2]) == {}
        assert "dead letters lack them" in caplog.text
        assert len(list(journal.entries())) == 13


def test_a_write_that_fails_keeps_no_answer(written, monkeypatch):
    with closing(Journal.open(written)) as journal:
        monkeypatch.setattr(journal_module, "_insert_metadata", _disk_is_full)
        with pytest.raises(JournalWriteError):
            journal.write([with_answers(*ANSWERS)], METADATA)
        assert (journal.last_answer, journal.answers([1, 2])) == (0, {})
        monkeypatch.undo()
        journal.write([with_answers(*ANSWERS)], METADATA)
        assert journal.last_answer == 2


def _disk_is_full(*_):
    raise sqlite3.OperationalError("the disk is full")


def test_a_journal_holds_what_was_written_in_its_order_over_several_masters(path):
    with closing(Journal.create(path, METADATA)) as journal:
        journal.write(group(0))
        journal.write(group(1), replace(METADATA, users=8))
    with closing(Journal.open(path)) as journal:
        assert journal.metadata.users == 8
        journal.write(group(2))
        journal.write()
        journal.write(metadata=replace(journal.metadata, state="stopped"))
        assert (len(list(journal.entries())), journal.metadata.state) == (12, "stopped")
    assert read(path) == ([*group(0), *group(1), *group(2)], replace(METADATA, users=8, state="stopped"))


def test_a_journal_is_its_one_file_and_removing_it_leaves_none(written):
    with closing(Journal.open(written)) as journal:
        assert all(file.stat().st_size == 0 for file in written.parent.iterdir() if file != written)
        journal.remove()
    assert list(written.parent.iterdir()) == []


WRITER = f"""
import itertools, sys
from dataclasses import replace
from pathlib import Path
from traffic.runs.journal import Journal
from unit.test_journal import METADATA, group
journal = Journal.create(Path(sys.argv[1]), METADATA)
for number in itertools.count():
    journal.write(group(number, {BIG} if number % 4 == 3 else 0), replace(METADATA, users=number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [0, 2, 3, 4, 6, 10])
def test_kill_9_in_the_midst_of_writing_loses_nothing_that_was_acknowledged(path, acknowledged):
    command = [sys.executable, "-c", WRITER, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as writer:
        assert writer.stdout
        told = [int(writer.stdout.readline()) for _ in range(acknowledged + 1)]
        writer.send_signal(signal.SIGKILL)  # wherever it is by now
        told += [int(line) for line in writer.stdout]
    entries, metadata = read(path)
    groups = metadata.users + 1
    assert groups in (told[-1] + 1, told[-1] + 2), "the last write may have been acknowledged to nobody"
    assert entries == [one for number in range(groups) for one in group(number, BIG if number % 4 == 3 else 0)]


def test_a_transaction_that_a_crash_cut_off_is_rolled_back(written, tmp_path, monkeypatch):
    before, whole = read(written), written.read_bytes()
    crashed = tmp_path / "crashed"
    insert = journal_module._insert_metadata

    def insert_and_copy(database: sqlite3.Connection, metadata: RunMetadata) -> None:
        insert(database, metadata)
        shutil.copytree(written.parent, crashed)

    monkeypatch.setattr(journal_module, "_insert_metadata", insert_and_copy)
    more = [one for number in range(3, 300) for one in group(number)]
    with closing(Journal.open(written)) as journal:
        journal._database.execute("PRAGMA cache_size = 2")  # pages; so that the file is changed before the end
        journal.write(more, replace(METADATA, users=9))
    left = crashed / written.name
    assert left.read_bytes()[: len(whole)] != whole, "the file was being changed"
    assert (crashed / f"{written.name}-journal").stat().st_size, "and it is known how it was"
    assert read(left) == before
    assert read(written) == ([*before[0], *more], replace(METADATA, users=9))


def sql(*statements: str) -> Callable[[Path], None]:
    """Change the database as another program would."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)

    return change


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def turned_to_text(path: Path) -> None:
    path.write_text("hello\n" * 1000)


def turned_to_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def turned_to_another_database(path: Path) -> None:
    path.unlink()
    sql("CREATE TABLE entry (number INTEGER PRIMARY KEY, body TEXT NOT NULL)")(path)


NO_JOURNAL, DAMAGED = "is no journal of a run", "is damaged"
SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "gone": (Path.unlink, "unable to open"),
    "empty": (emptied, NO_JOURNAL),
    "a text": (turned_to_text, "not a database"),
    "a folder": (turned_to_a_folder, "unable to open"),
    "another database": (turned_to_another_database, NO_JOURNAL),
    "another application's": (sql(f"PRAGMA application_id = {APPLICATION + 1}"), NO_JOURNAL),
    "of another version": (sql(f"PRAGMA user_version = {VERSION + 1}"), f"is of version {VERSION + 1}, and this"),
    "an entry changed": (sql("UPDATE entry SET body = replace(body, 'w1', 'w2') WHERE number = 5"), DAMAGED),
    "two entries swapped": (
        sql(
            "UPDATE entry SET number = 99 WHERE number = 2",
            "UPDATE entry SET number = 2 WHERE number = 3",
            "UPDATE entry SET number = 3 WHERE number = 99",
        ),
        DAMAGED,
    ),
    "the last entry gone": (sql("DELETE FROM entry WHERE number = 12"), DAMAGED),
    "an entry gone": (sql("DELETE FROM entry WHERE number = 5"), DAMAGED),
    "all entries gone": (sql("DELETE FROM entry"), DAMAGED),
    "an entry more": (sql("INSERT INTO entry SELECT 13, body FROM entry WHERE number = 1"), DAMAGED),
    "a reopening gone": (sql("DELETE FROM entry WHERE number = 4"), DAMAGED),
    "another reopened": (sql("UPDATE entry SET body = replace(body, '[[1,2]]', '[[1,3]]') WHERE number = 4"), DAMAGED),
    "an entry that is no JSON": (sql("UPDATE entry SET body = '{' WHERE number = 1"), DAMAGED),
    "an entry of no kind": (sql("UPDATE entry SET body = '{}' WHERE number = 1"), DAMAGED),
    "an older count": (sql("UPDATE head SET entries = 6"), DAMAGED),
    "no count": (sql("DELETE FROM head"), DAMAGED),
    "no metadata": (sql("DELETE FROM facts"), DAMAGED),
    "metadata twice": (sql("INSERT INTO facts SELECT * FROM facts"), DAMAGED),
    "other metadata": (sql("UPDATE facts SET body = replace(body, '\"seed\": 7', '\"seed\": 8')"), DAMAGED),
    "a table gone": (sql("DROP TABLE entry"), "no such table"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_not_the_journal_as_it_was_written_is_refused_with_its_name_and_a_remedy(written, kind):
    spoil, said = SPOILT[kind]
    spoil(written)
    with pytest.raises(JournalError) as caught:
        read(written)
    text = str(caught.value)
    assert str(written) in text
    assert said in text
    assert "--traffic-resume no" in text
    assert not isinstance(caught.value, JournalInUseError)


HOLDER = """
import sys
from pathlib import Path
from traffic.runs.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_a_journal_that_another_process_has_open_is_in_use_until_that_is_gone(written):
    before = read(written)
    command = [sys.executable, "-c", HOLDER, str(written)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(JournalInUseError, match="in use: another master delivers this run") as caught:
            Journal.open(written)
        holder.kill()
    assert str(written) in str(caught.value)
    assert "--traffic-state-dir" in str(caught.value)
    assert read(written) == before


def test_a_full_disk_is_told_and_takes_nothing_that_was_written(written):
    before = read(written)
    with closing(Journal.open(written)) as journal:
        (pages,) = journal._database.execute("PRAGMA page_count").fetchone()
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        for _ in range(2):
            with pytest.raises(JournalWriteError, match=FULL):
                journal.write(group(3, BIG), replace(METADATA, users=9))
        assert (list(journal.entries()), journal.metadata) == before
        journal._database.execute("PRAGMA max_page_count = 1000000")
        journal.write(group(3), replace(METADATA, users=9))
    assert read(written) == ([*before[0], *group(3)], replace(METADATA, users=9))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB, with a file on it that can be deleted to make room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*root, "mount", "-t", "tmpfs", "-o", "size=256k", "small", str(disk)]
    if not shutil.which(command[0]) or subprocess.run(command, capture_output=True, timeout=10, check=False).returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no small disk can be mounted here")
    try:
        (disk / "ballast").write_bytes(bytes(128 << 10))
        yield disk
    finally:
        subprocess.run([*root, "umount", "--lazy", str(disk)], timeout=10, check=True)


def test_a_disk_that_runs_full_keeps_what_was_written_and_is_written_again_once_there_is_room(small_disk):
    path = small_disk / "runs" / METADATA.run / "journal.sqlite"
    entries: list[Entry] = []

    def write_on(journal: Journal) -> None:
        for number in range(1000):
            journal.write(group(number, 500))
            entries.extend(group(number, 500))

    with closing(Journal.create(path, METADATA)) as journal:
        with pytest.raises(JournalWriteError, match=FULL):
            write_on(journal)
        assert entries
        assert list(journal.entries()) == entries
        (small_disk / "ballast").unlink()
        journal.write(group(1000, 500), replace(METADATA, users=3))
    assert read(path) == ([*entries, *group(1000, 500)], replace(METADATA, users=3))


def test_a_journal_for_which_there_is_no_room_is_not_begun(small_disk):
    (small_disk / "ballast").write_bytes(bytes(244 << 10))
    path = small_disk / "journal.sqlite"
    with pytest.raises(JournalWriteError, match=FULL):
        Journal.create(path, METADATA)
    assert [file.name for file in small_disk.iterdir()] == ["ballast"]


def test_a_journal_that_cannot_be_where_it_should_says_why(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(JournalWriteError, match=r"^(File exists|Not a directory)$"):
        Journal.create(tmp_path / "runs" / "run" / "journal.sqlite", METADATA)


def test_a_journal_of_version_1_is_read_and_what_is_added_is_of_the_latest(path: Path) -> None:
    """Version 1 has each dead letter by itself. A release that knows only version 1 must refuse groups of them."""
    Journal.create(path, METADATA).close()
    old = '{"booked":[[0,2]],"letters":[[4,3,5,422,"no","w1"]],"worker":"w1","attempts":7,"resent":1}'
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 1")
        database.execute("INSERT INTO entry VALUES (1, ?)", (old,))
        database.execute("UPDATE head SET entries = 1, chain = ?", (zlib.crc32(old.encode()),))
    alone = OutcomesRecorded(
        "w1", RangeSet([(0, 2)]), (letter_group(DeadLetter(4, RecordState.REJECTED, 5, 422, "no", "w1")),), 7, 1
    )
    assert read(path)[0] == [alone]
    assert version_of(path) == 1, "who only reads changes nothing"
    together = replace(alone, letters=(DeadLetterGroup(RangeSet([(5, 9)]), alone.letters[0].cause),))
    with closing(Journal.open(path)) as journal:
        journal.write([together])
    assert read(path)[0] == [alone, together]
    assert version_of(path) == VERSION


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])
