"""Messages in one SQLite file. Rule: one thread writes, another reads, and a commit is on disk (synchronous=FULL)."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from stub import gaps
from stub.documents import MAX_SHOWN, Audit, Summary
from stub.message import Message, WriteOutcome, WriteResult, compare, first, iso
from stub.store import RunTotals, StoreDownError, highest, missing, sum_up

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, msg TEXT NOT NULL, received INTEGER NOT NULL,
    server TEXT NOT NULL, worker TEXT, key TEXT UNIQUE, run TEXT, "index" INTEGER, payload TEXT NOT NULL,
    replayed INTEGER NOT NULL DEFAULT 0, conflicts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS by_run ON messages (run, "index", server, worker, replayed, conflicts)
    WHERE run IS NOT NULL;
"""
_FIELDS = 'id, name, msg, received, server, worker, key, run, "index", payload'
_ROW = "(?,?,?,?,?,?,?,?,?,?)"
_ROWS_AT_ONCE = 128  # a power of two; with ten values a row, far below SQLite's limit of variables
_BY_KEY = f"SELECT {_FIELDS} FROM messages WHERE key = ?"  # noqa: S608 - as above
_BY_ID = f"SELECT {_FIELDS} FROM messages WHERE id = ?"  # noqa: S608 - as above
_COUNT_AGAIN = {
    WriteOutcome.REPLAYED: "UPDATE messages SET replayed = replayed + 1 WHERE key = ?",
    WriteOutcome.CONFLICT: "UPDATE messages SET conflicts = conflicts + 1 WHERE key = ?",
}
_RUN_TOTALS = """
SELECT server, worker, count(*), sum(replayed), sum(conflicts), max("index") FROM messages
WHERE run = ? GROUP BY server, worker
"""
_LAST_ROW = "SELECT coalesce(max(rowid), 0) FROM messages"  # counting would read a whole index
_HOW_MANY = 'SELECT count(*) FROM messages WHERE run = ? AND "index" >= ? AND "index" < ?'
_WHICH = 'SELECT "index" FROM messages WHERE run = ? AND "index" >= ? AND "index" < ?'
_NEWEST = """
SELECT id, substr(name, 1, :cut), substr(msg, 1, :cut), max(length(name), length(msg)) > :cut, received,
server, worker, key FROM messages WHERE id < :before ORDER BY id DESC LIMIT :limit
"""


class SqliteStore:
    """A store in the file at `path`; several stubs of one machine may share it."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._path = path
        self._timeout = timeout
        self._writer = _Thread("sqlite-writer")
        self._reader = _Thread("sqlite-reader")

    async def open(self) -> None:
        """Open the file; create it if it is missing. Raises sqlite3.OperationalError if it cannot be written."""
        await self._writer.open(lambda: _connect(self._path, self._timeout, "PRAGMA synchronous = FULL"))
        await self._reader.open(lambda: _connect(self._path, self._timeout, "PRAGMA query_only = ON"))

    async def close(self) -> None:
        """Close the file."""
        await self._reader.close()
        await self._writer.close()

    async def ping(self) -> None:
        """Begin a transaction on the writer's connection, so that a lock which blocks writes is noticed."""
        await self._writer.run(_touch)

    async def write(self, batch: Sequence[Message]) -> list[WriteResult]:
        """Store a batch in one transaction."""
        return await self._writer.run(lambda db: _write(db, batch))

    async def newest(self, limit: int, before: str | None = None) -> list[Summary]:
        """Return the newest messages first."""
        arguments = {"cut": MAX_SHOWN, "before": before or "~", "limit": limit}
        return await self._reader.run(lambda db: [_summary(row) for row in db.execute(_NEWEST, arguments)])

    async def count(self) -> int:
        """Return how many messages are stored: the last row's number, because the stub never deletes one."""
        return await self._reader.run(lambda db: int(db.execute(_LAST_ROW).fetchone()[0]))

    async def by_id(self, message_id: str) -> Message | None:
        """Return one message."""
        return await self._reader.run(lambda db: _find(db, _BY_ID, message_id))

    async def by_key(self, key: str) -> Message | None:
        """Return the message stored under a key."""
        return await self._reader.run(lambda db: _find(db, _BY_KEY, key))

    async def audit(self, run: str) -> Audit:
        """Audit a run, from one snapshot."""
        return await self._reader.run(lambda db: _audit(db, run))


class _Thread:
    """One thread with one connection: SQLite's connections are not shared, and its calls block."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._db: sqlite3.Connection | None = None

    async def open(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._db = await asyncio.get_running_loop().run_in_executor(self._pool, connect)

    async def close(self) -> None:
        if self._db is not None:
            await self.run(sqlite3.Connection.close)
        self._pool.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db is None:
            raise StoreDownError("the SQLite file is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, self._db)
        except sqlite3.Error as e:
            raise StoreDownError(f"SQLite: {e}") from e


def _connect(path: Path, timeout: float, pragma: str) -> sqlite3.Connection:
    # Closed by the thread that opened it; the check would only forbid the executor's clean-up.
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(_SCHEMA)
    db.execute(pragma)
    return db


def _touch(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute("ROLLBACK")


def _write(db: sqlite3.Connection, batch: Sequence[Message]) -> list[WriteResult]:
    db.execute("BEGIN IMMEDIATE")
    try:
        fresh = _insert(db, batch)
        written = [first(m) for m in batch] if fresh == len(batch) else _compare_known(db, batch)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return written


def _insert(db: sqlite3.Connection, batch: Sequence[Message]) -> int:
    """Insert the messages whose keys are new. Returns how many.

    One statement inserts many rows, because each statement releases Python's lock and then waits for it while the
    event loop is busy. The number of rows is a power of two, so that a few prepared statements serve all batches.
    """
    inserted, rest = 0, list(batch)
    while rest:
        rows = min(_ROWS_AT_ONCE, 1 << (len(rest).bit_length() - 1))
        values = ",".join([_ROW] * rows)
        statement = f"INSERT INTO messages ({_FIELDS}) VALUES {values} ON CONFLICT (key) DO NOTHING"  # noqa: S608 - no text of a caller
        inserted += db.execute(statement, [v for m in rest[:rows] for v in _row(m)]).rowcount
        del rest[:rows]
    return inserted


def _compare_known(db: sqlite3.Connection, batch: Sequence[Message]) -> list[WriteResult]:
    return [first(m) if m.key is None else _compare_known_one(db, m) for m in batch]


def _compare_known_one(db: sqlite3.Connection, message: Message) -> WriteResult:
    stored = _find(db, _BY_KEY, message.key)
    if stored is None:
        raise StoreDownError(f"SQLite refused key {message.key} and does not hold it")
    if stored.id == message.id:
        return first(message)
    written = compare(message, stored)
    db.execute(_COUNT_AGAIN[written.outcome], (message.key,))
    return written


def _row(m: Message) -> tuple[object, ...]:
    received = int(m.received.timestamp() * 1000)
    return (m.id, m.name, m.msg, received, m.server, m.worker, m.key, m.run, m.index, m.payload)


def _find(db: sqlite3.Connection, query: str, value: str | None) -> Message | None:
    row = db.execute(query, (value,)).fetchone()
    if row is None:
        return None
    fields: dict[str, Any] = dict(zip(Message.__struct_fields__, row, strict=True))
    return Message(**(fields | {"received": _moment(fields["received"])}))


def _summary(row: Sequence[object]) -> Summary:
    fields: dict[str, Any] = dict(zip(Summary.__struct_fields__, row, strict=True))
    fields["clipped"] = bool(fields["clipped"])
    fields["received"] = iso(_moment(fields["received"]))
    return Summary(**fields)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)


def _audit(db: sqlite3.Connection, run: str) -> Audit:
    db.execute("BEGIN")
    try:
        totals = [RunTotals(*row) for row in db.execute(_RUN_TOTALS, (run,))]
        found = _gaps(db, run, highest(totals) or 0) if missing(totals) else []
    finally:
        db.execute("ROLLBACK")
    return sum_up(run, totals, found)


def _gaps(db: sqlite3.Connection, run: str, top: int) -> list[int]:
    search = gaps.search(top)
    query = next(search)
    while True:
        arguments = (run, query.first, query.end)
        try:
            if query.listing:
                query = search.send([index for (index,) in db.execute(_WHICH, arguments)])
            else:
                query = search.send(db.execute(_HOW_MANY, arguments).fetchone()[0])
        except StopIteration as found:
            return list(found.value)
