"""The one interface to what keeps the messages. Rule: `write` returns on a durable batch, or raises."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from stub.documents import Audit, Indexes, Summary
from stub.message import Message, Written


class StoreDownError(Exception):
    """The store did not answer as it should; what was being written may or may not be stored."""


class RunTotals(msgspec.Struct, frozen=True):
    """The sums over a run's messages that one server took from one worker."""

    server: str
    worker: str | None
    stored: int
    replayed: int
    conflicts: int
    highest: int


class Store(Protocol):
    """Keeps messages. Every method but `close` raises StoreDownError when the store does not answer.

    `write` may be called by several tasks at once. It answers for each message of the batch, in order. It
    counts a replay or a conflict with the message first stored under that key, and that count is durable,
    too: so an audit is right for any number of stubs on one store, whichever of them was killed.
    """

    async def open(self) -> None:
        """Connect, and make the tables or indexes that are missing. Raises StoreDownError: try again."""

    async def close(self) -> None:
        """Let go of files and connections."""

    async def ping(self) -> None:
        """Return if the store can take a write now."""

    async def write(self, batch: Sequence[Message]) -> list[Written]:
        """Store the messages whose keys are new; durable on return."""
        ...

    async def newest(self, limit: int, before: str | None = None) -> list[Summary]:
        """Return the newest first, those with an id lower than `before`."""
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
        """Sum up a run."""
        ...


def total(run: str, tallies: Sequence[RunTotals], gaps: Sequence[int]) -> Audit:
    """Add up a run's tallies."""
    by_server: dict[str, int] = {}
    by_worker: dict[str, int] = {}
    for tally in tallies:
        by_server[tally.server] = by_server.get(tally.server, 0) + tally.stored
        worker = tally.worker or "(none)"
        by_worker[worker] = by_worker.get(worker, 0) + tally.stored
    stored = sum(t.stored for t in tallies)
    replayed = sum(t.replayed for t in tallies)
    conflicts = sum(t.conflicts for t in tallies)
    return Audit(
        run=run,
        stored=stored,
        posts=stored + replayed + conflicts,
        replayed=replayed,
        conflicts=conflicts,
        by_server=dict(sorted(by_server.items())),
        by_worker=dict(sorted(by_worker.items())),
        indexes=Indexes(max=highest(tallies), missing=missing(tallies), missing_below_max=list(gaps)),
    )


def highest(tallies: Sequence[RunTotals]) -> int | None:
    """Return the highest index stored."""
    return max((t.highest for t in tallies), default=None)


def missing(tallies: Sequence[RunTotals]) -> int:
    """Return how many indexes below the highest are not stored; a key is unique, so each is stored once."""
    top = highest(tallies)
    return 0 if top is None else top + 1 - sum(t.stored for t in tallies)
