"""A run's journal: its metadata and the ledger's entries on disk, in one SQLite database in the run's folder.

Entries are written in groups: one transaction, synced to the disk, for all decisions since the last. A rollback
journal, not a write-ahead log, guards a transaction that a crash cuts off: all that is committed is in the one file,
and a file that has lost its end can be recognised. Beside SQLite's own checks, a running checksum over all entries is
stored with their count, so that an entry that was changed, or is gone, is noticed.

docs/adr/0004 says why.
"""

import logging
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from traffic.core.excerpt import Excerpt
from traffic.core.master.decisions import Entry, OutcomesRecorded, TimingsRecorded
from traffic.core.master.timeline import Sample
from traffic.core.timings import KindTiming
from traffic.core.wire import ProtocolError
from traffic.errors import RefusedError
from traffic.runs.journal_codec import (
    answer_from_row,
    answer_to_row,
    entry_from_json,
    entry_to_json,
    sample_from_row,
    sample_to_row,
    timing_from_row,
    timing_to_row,
)
from traffic.runs.run_metadata import RunMetadata

logger = logging.getLogger(__name__)

APPLICATION = int.from_bytes(b"TRAF")
# In version 1 an entry has each dead letter by itself; since version 2, those of one cause together. Since version 3
# the metadata says how the file was read, without which a run must not be resumed. Since version 4 dead letters refer
# to the answers that they keep. All are read.
# Only the latest is written; a release that does not know it refuses the journal. A new member of the metadata needs
# no new version, because a release ignores the members that it does not know.
VERSION = 4
READ = (1, 2, 3, 4)
# Listing the runs opens each journal for a millisecond or so: wait for that before a journal counts as in use.
LOCK_TIMEOUT_S = 0.5
LEAVE_RUN = "leave that run and begin a new one: --traffic-resume no (TRAFFIC_RESUME=no)"
LEAVE_IT = f"Put back a copy that is whole, or {LEAVE_RUN}"
_SCHEMA = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
    "CREATE TABLE entry (number INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE TABLE head (entries INTEGER NOT NULL, chain INTEGER NOT NULL)",
    "CREATE TABLE facts (body TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "INSERT INTO head VALUES (0, 0)",
)
# A journal of an older version gets it with the first answer. Answers are for people: no entry is checked against them.
_ANSWERS = (
    "CREATE TABLE IF NOT EXISTS answer "
    "(number INTEGER PRIMARY KEY, pattern TEXT NOT NULL, head TEXT NOT NULL, body BLOB NOT NULL)"
)
# A journal gets it with the first timings, whatever its version. They are for people; another release ignores them.
_TIMINGS = (
    "CREATE TABLE IF NOT EXISTS timing "
    "(worker TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (worker, kind)) WITHOUT ROWID"
)
# The same goes for this one: up to which batch each worker's rows are in the results, how many these are, and how long
# the file was then.
_RESULTS = (
    "CREATE TABLE IF NOT EXISTS results "
    "(worker TEXT PRIMARY KEY, number INTEGER NOT NULL, rows INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID"
)
# And the course of the run, a row for each sample that was taken.
_SAMPLES = "CREATE TABLE IF NOT EXISTS sample (number INTEGER PRIMARY KEY, body TEXT NOT NULL)"
# How many numbers one statement may name: SQLite takes 999 in its older releases.
_MOST_NUMBERS = 900
# What reading a file raises that is not as it was written. (Text that is not UTF-8 raises ValueError.)
_SPOILT = (sqlite3.Error, ValueError, KeyError, TypeError, ProtocolError)


class KeptRows(NamedTuple):
    """How many rows of a worker, up to its batch of this `number`, are in the file of results, of `size` bytes then."""

    worker: str
    number: int
    rows: int
    size: int


class JournalError(RefusedError):
    """A journal cannot be used; the text names the file, what is wrong, and a remedy."""


class JournalInUseError(JournalError):
    """Another master has the journal open."""


class JournalWriteError(Exception):
    """A write failed; the text says why. All that was written before is still in the journal."""


class Journal:
    """One run's journal, open for writing, and locked against others.

    Use it from one thread at a time. With a `lock` of threads, `answers` may be called from any, while another writes.
    """

    def __init__(self, path: Path, database: sqlite3.Connection, metadata: RunMetadata, head: tuple[int, int]) -> None:
        self.path, self.metadata = path, metadata
        self.lock: AbstractContextManager[Any] = nullcontext()
        self._database = database
        self._entries, self._chain = head
        self.last_answer = self._last_answer()

    @classmethod
    def create(cls, path: Path, metadata: RunMetadata) -> "Journal":
        """Create a run's journal; it gets its name when it is whole. JournalWriteError if it cannot be written."""
        draft = path.with_name(path.name + ".part")
        try:
            if path.exists():
                raise JournalWriteError(f"{path} is there already")
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(_connect(draft, "rwc")) as database, _transaction(database):
                for statement in _SCHEMA:
                    database.execute(statement)
                _insert_metadata(database, metadata)
            draft.replace(path)
            _sync_names(path.parent)
            return cls.open(path)
        except (OSError, sqlite3.Error, JournalError) as error:
            raise JournalWriteError(_reason(error)) from error
        finally:
            with suppress(OSError):
                _remove(draft)

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """Open a run's journal. JournalError if it is no journal, of an unknown version, damaged, or in use."""
        try:
            database = _connect(path, "rw")
        except _SPOILT as error:
            raise _unusable(path, error) from error
        try:
            _check_kind(path, database)
            return cls(path, database, *_read_head(path, database))
        except _SPOILT as error:
            database.close()
            raise _unusable(path, error) from error
        except BaseException:
            database.close()
            raise

    def entries(self) -> Iterator[Entry]:
        """Return every entry in order. JournalError, before the first, if one is gone or not as it was written."""
        try:
            self._check_entries()
            for (body,) in self._database.execute("SELECT body FROM entry ORDER BY number"):
                yield entry_from_json(body)
        except _SPOILT as error:
            raise _unusable(self.path, error) from error

    def _check_entries(self) -> None:
        damage = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise JournalError(f"the journal {self.path} is damaged ({damage}). {LEAVE_IT}.")
        count = chain = 0
        for number, body in self._database.execute("SELECT number, body FROM entry ORDER BY number"):
            if number != count + 1 or not isinstance(body, str):
                break
            count, chain = number, zlib.crc32(body.encode(), chain)
        there = self._database.execute("SELECT count(*) FROM entry").fetchone()[0]
        if (count, chain) != (self._entries, self._chain) or there != count:
            what = f"{there} of its {self._entries} entries are there, and not each is as it was written"
            raise JournalError(f"the journal {self.path} is damaged ({what}). {LEAVE_IT}.")

    def write(
        self,
        entries: Iterable[Entry] = (),
        metadata: RunMetadata | None = None,
        timings: Iterable[TimingsRecorded] = (),
        results: Iterable[KeptRows] = (),
        samples: Iterable[Sample] = (),
    ) -> None:
        """Add entries and samples; replace the metadata if given, what is known of each timing, and of a worker's rows.

        Either all of it is on disk then, or none and JournalWriteError says why.
        """
        count, chain = self._entries, self._chain
        rows, answers = [], []
        for entry in entries:
            body = entry_to_json(entry)
            count, chain = count + 1, zlib.crc32(body.encode(), chain)
            rows.append((count, body))
            if isinstance(entry, OutcomesRecorded):
                answers += [(one.number, one.pattern, *answer_to_row(one.excerpt)) for one in entry.answers]
        kept = [(one.worker, one.number, one.rows, one.size) for one in results]
        sampled = [(sample_to_row(one),) for one in samples]
        measured = [timing_to_row(recorded.worker, one) for recorded in timings for one in recorded.timings]
        try:
            with self.lock, _transaction(self._database):
                if measured:
                    self._database.execute(_TIMINGS)
                    self._database.executemany("INSERT OR REPLACE INTO timing VALUES (?, ?, ?)", measured)
                if kept:
                    self._database.execute(_RESULTS)
                    self._database.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", kept)
                if sampled:
                    self._database.execute(_SAMPLES)
                    self._database.executemany("INSERT INTO sample (body) VALUES (?)", sampled)
                if answers:
                    self._database.execute(_ANSWERS)
                    self._database.executemany("INSERT INTO answer VALUES (?, ?, ?, ?)", answers)
                if rows:
                    self._database.execute(f"PRAGMA user_version = {VERSION}")
                    self._database.executemany("INSERT INTO entry VALUES (?, ?)", rows)
                self._database.execute("UPDATE head SET entries = ?, chain = ?", (count, chain))
                if metadata is not None:
                    _insert_metadata(self._database, metadata)
        except sqlite3.Error as error:
            raise JournalWriteError(_reason(error)) from error
        self._entries, self._chain = count, chain
        self.metadata = metadata or self.metadata
        self.last_answer = max([self.last_answer, *(number for number, *_ in answers)])

    def answers(self, numbers: Sequence[int]) -> dict[int, Excerpt]:
        """Return the answers of these numbers that the journal has; those that it cannot read are left out, and logged.

        So a dead letter may be without its answer, and a report is made nevertheless.
        """
        found: dict[int, Excerpt] = {}
        if not self.last_answer:
            return found
        try:
            for low in range(0, len(numbers), _MOST_NUMBERS):
                some = numbers[low : low + _MOST_NUMBERS]
                asked = f"SELECT number, head, body FROM answer WHERE number IN ({','.join('?' * len(some))})"  # noqa: S608 - it has no values but numbers
                with self.lock:
                    rows = self._database.execute(asked, some).fetchall()
                found |= {number: answer_from_row(head, body) for number, head, body in rows}
        except _SPOILT as error:
            logger.warning("answers in the journal %s cannot be read (%s): dead letters lack them", self.path, error)
        return found

    def answer_patterns(self) -> Iterator[tuple[int, str, int]]:
        """Return number, pattern and size of each answer, by their numbers. JournalError if that cannot be read."""
        try:
            if self.last_answer:
                asked = "SELECT number, pattern, length(head) + length(body) FROM answer ORDER BY number"
                yield from self._database.execute(asked)
        except _SPOILT as error:
            raise _unusable(self.path, error) from error

    def timings(self) -> Iterator[tuple[str, KindTiming]]:
        """Return what each worker has measured of each kind of attempt. JournalError if that cannot be read."""
        try:
            if self._has_table("timing"):
                for worker, kind, body in self._database.execute("SELECT worker, kind, body FROM timing"):
                    yield worker, timing_from_row(kind, body)
        except _SPOILT as error:
            raise _unusable(self.path, error) from error

    def results(self) -> list[KeptRows]:
        """Return which rows of each worker are kept. JournalError if that cannot be read."""
        try:
            if not self._has_table("results"):
                return []
            asked = "SELECT worker, number, rows, size FROM results ORDER BY worker"
            return [KeptRows(*row) for row in self._database.execute(asked)]
        except _SPOILT as error:
            raise _unusable(self.path, error) from error

    def samples(self) -> list[Sample]:
        """Return the course of the run up to now. JournalError if that cannot be read."""
        try:
            if not self._has_table("sample"):
                return []
            asked = "SELECT body FROM sample ORDER BY number"
            return [sample_from_row(body) for (body,) in self._database.execute(asked)]
        except _SPOILT as error:
            raise _unusable(self.path, error) from error

    def _has_table(self, name: str) -> bool:
        found = self._database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", [name])
        return found.fetchone() is not None

    def _last_answer(self) -> int:
        if not self._has_table("answer"):
            return 0
        return int(self._database.execute("SELECT coalesce(max(number), 0) FROM answer").fetchone()[0])

    def close(self) -> None:
        """Close the file; another process may open it then."""
        self._database.close()

    def remove(self) -> None:
        """Close and delete the journal. OSError if it cannot be deleted."""
        self.close()
        _remove(self.path)


def _insert_metadata(database: sqlite3.Connection, metadata: RunMetadata) -> None:
    body = metadata.to_json()
    database.execute("DELETE FROM facts")
    database.execute("INSERT INTO facts VALUES (?, ?)", (body, zlib.crc32(body.encode())))


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            database.execute("ROLLBACK")
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database ("rw"), or create one ("rwc"), and lock it for as long as it is open."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = TRUNCATE")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def _remove(path: Path) -> None:
    """Delete a closed database, and what SQLite keeps beside it."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)


def _check_kind(path: Path, database: sqlite3.Connection) -> None:
    application, version = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != APPLICATION:
        raise JournalError(f"{path} is no journal of a run. {LEAVE_IT}.")
    if version not in READ:
        what = f"the journal {path} is of version {version}, and this release knows versions {READ[0]} to {READ[-1]}"
        raise JournalError(f"{what}. Finish that run with the release that began it, or {LEAVE_RUN}.")


def _read_head(path: Path, database: sqlite3.Connection) -> tuple[RunMetadata, tuple[int, int]]:
    heads = database.execute("SELECT entries, chain FROM head").fetchall()
    metadata = database.execute("SELECT body, checksum FROM facts").fetchall()
    body, checksum = metadata[0] if len(metadata) == len(heads) == 1 else (None, None)
    if not isinstance(body, str) or zlib.crc32(body.encode()) != checksum:
        raise JournalError(f"the journal {path} is damaged (what the run is does not stand in it). {LEAVE_IT}.")
    return RunMetadata.from_json(body), heads[0]


def _unusable(path: Path, error: Exception) -> JournalError:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
        remedy = "Stop that one first, or give this one a state folder of its own with --traffic-state-dir."
        return JournalInUseError(f"the journal {path} is in use: another master delivers this run. {remedy}")
    return JournalError(f"the journal {path} is damaged or cannot be read ({_reason(error)}). {LEAVE_IT}.")


def _reason(error: Exception) -> str:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        return "the disk is full"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _sync_names(folder: Path) -> None:
    """Sync the folder, and those above it, so that the file's name is on disk, too."""
    for one in (folder, folder.parent, folder.parent.parent):
        handle = os.open(one, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def mark_reported(path: Path) -> None:
    """Record in the journal of a run that has ended that its master has reported it."""
    with closing(Journal.open(path)) as journal:
        journal.write(metadata=replace(journal.metadata, told=True))
