"""The interface of a store of messages. Rule: `write` returns when the batch is durable, or raises."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from stub.documents import Audit, Indexes, Summary
from stub.message import Message, WriteResult


class StoreDownError(Exception):
    """The store did not answer as it should; a batch that was being written may or may not be stored."""


class RunTotals(msgspec.Struct, frozen=True):
    """The sums over those messages of a run that one server stored for one worker."""

    server: str
    worker: str | None
    stored: int
    replayed: int
    conflicts: int
    highest: int


class Store(Protocol):
    """Keeps messages. Every method but `close` raises StoreDownError when the store does not answer.

    Several tasks may call `write` at once. It returns a result for each message of the batch, in order. It counts a
    replay or a conflict with the message first stored under that key, and that count is durable, too. So an audit is
    right for any number of stubs on one store, even if some of them were killed.
    """

    async def open(self) -> None:
        """Connect, and create the tables or indexes that are missing. After a StoreDownError, try again."""

    async def close(self) -> None:
        """Close files and connections."""

    async def ping(self) -> None:
        """Return if the store can accept a write now."""

    async def write(self, batch: Sequence[Message]) -> list[WriteResult]:
        """Store the messages whose keys are new; durable on return."""
        ...

    async def newest(self, limit: int, before: str | None = None) -> list[Summary]:
        """Return the newest messages first; with `before`, only those with a lower id."""
        ...

    async def count(self) -> int:
        """Return how many messages are stored, of all runs."""
        ...

    async def by_id(self, message_id: str) -> Message | None:
        """Return one message."""
        ...

    async def by_key(self, key: str) -> Message | None:
        """Return the message stored under an idempotency key."""
        ...

    async def audit(self, run: str) -> Audit:
        """Audit a run."""
        ...


def sum_up(run: str, totals: Sequence[RunTotals], gaps: Sequence[int]) -> Audit:
    """Add up a run's totals."""
    by_server: dict[str, int] = {}
    by_worker: dict[str, int] = {}
    for total in totals:
        by_server[total.server] = by_server.get(total.server, 0) + total.stored
        worker = total.worker or "(none)"
        by_worker[worker] = by_worker.get(worker, 0) + total.stored
    stored = sum(t.stored for t in totals)
    replayed = sum(t.replayed for t in totals)
    conflicts = sum(t.conflicts for t in totals)
    return Audit(
        run=run,
        stored=stored,
        posts=stored + replayed + conflicts,
        replayed=replayed,
        conflicts=conflicts,
        by_server=dict(sorted(by_server.items())),
        by_worker=dict(sorted(by_worker.items())),
        indexes=Indexes(max=highest(totals), missing=missing(totals), missing_below_max=list(gaps)),
    )


def highest(totals: Sequence[RunTotals]) -> int | None:
    """Return the highest stored index."""
    return max((t.highest for t in totals), default=None)


def missing(totals: Sequence[RunTotals]) -> int:
    """Return how many indexes below the highest are not stored. Keys are unique, so no index is stored twice."""
    top = highest(totals)
    return 0 if top is None else top + 1 - sum(t.stored for t in totals)
