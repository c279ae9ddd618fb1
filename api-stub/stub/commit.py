"""Group commit: messages that arrive during a write are the next batch. Rule: no message waits for a timer.

A durable write costs a disk flush, however many messages it holds. With one flush for all waiting messages the rate
grows with the load, and a lone message is written at once. Databases do the same (DeWitt et al., "Implementation
techniques for main memory database systems", 1984).
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from stub.message import Message, WriteResult
from stub.metrics import Metrics
from stub.store import Store, StoreDownError

logger = logging.getLogger(__name__)


class OverloadedError(Exception):
    """The queue is full, or the stub is stopping."""


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the queue and of a batch, in messages and in bytes of memory."""

    waiting: int = 10_000
    waiting_size: int = 128 * 1024 * 1024
    batch: int = 1_000
    batch_size: int = 16 * 1024 * 1024
    writers: int = 1  # batches on their way to the store at once


class GroupCommit:
    """Gathers the messages of all requests into batches, and returns to each request its own result."""

    def __init__(self, store: Store, limits: QueueLimits, metrics: Metrics | None = None) -> None:
        self._store = store
        self._limits = limits
        self._metrics = metrics or Metrics()
        self._store_up = True
        self._waiting: deque[tuple[Message, asyncio.Future[WriteResult]]] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._writers: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """The number of messages that wait for a writer."""
        return len(self._waiting)

    @property
    def store_up(self) -> bool:
        """Whether the store is open and its last write succeeded."""
        return self._store_up and bool(self._writers)

    def start(self) -> None:
        """Start the writers."""
        self._writers = [asyncio.create_task(self._run_writer()) for _ in range(self._limits.writers)]

    async def put(self, message: Message) -> WriteResult:
        """Store a message; it is durable on return. Raises OverloadedError or StoreDownError."""
        if not self._writers:
            raise StoreDownError("the store has not been opened yet")
        size = _memory(message)
        if len(self._waiting) >= self._limits.waiting or self._size + size > self._limits.waiting_size:
            raise OverloadedError(f"{len(self._waiting)} messages are waiting to be written")
        if self._closing:
            raise OverloadedError("the stub is stopping")
        answer: asyncio.Future[WriteResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, answer))
        self._size += size
        self._arrived.set()
        return await answer

    async def close(self) -> None:
        """Refuse further messages, and return when all that wait are written."""
        self._closing = True
        self._arrived.set()
        await asyncio.gather(*self._writers)

    async def _run_writer(self) -> None:
        while True:
            while not self._waiting:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            await self._write(self._next_batch())

    def _next_batch(self) -> list[tuple[Message, asyncio.Future[WriteResult]]]:
        batch: list[tuple[Message, asyncio.Future[WriteResult]]] = []
        room = self._limits.batch_size
        while self._waiting and len(batch) < self._limits.batch and room > 0:
            message, answer = self._waiting.popleft()
            size = _memory(message)
            self._size -= size
            room -= size
            batch.append((message, answer))
        return batch

    async def _write(self, batch: Sequence[tuple[Message, asyncio.Future[WriteResult]]]) -> None:
        started = time.monotonic()
        try:
            written = await self._store.write([message for message, _ in batch])
        except StoreDownError as e:
            self._note_store(False, str(e))
            self._fail(batch, e)
            self._fail(self._take_all(), e)  # they would only wait for the same failure
        except Exception as e:  # noqa: BLE001 - the writer must outlive a batch; each request reports the error
            self._fail(batch, e)
        else:
            self._note_store(True, f"wrote {len(batch)} messages")
            self._metrics.write_seconds.add(time.monotonic() - started)
            self._metrics.batch_messages.add(len(batch))
            for (_, answer), result in zip(batch, written, strict=True):
                if not answer.done():  # its request was cancelled
                    answer.set_result(result)

    def _note_store(self, up: bool, why: str) -> None:
        if up is not self._store_up:
            logger.warning("store %s: %s", "is back" if up else "is down", why)
        self._store_up = up

    def _take_all(self) -> list[tuple[Message, asyncio.Future[WriteResult]]]:
        everything = list(self._waiting)
        self._waiting.clear()
        self._size = 0
        return everything

    @staticmethod
    def _fail(batch: Sequence[tuple[Message, asyncio.Future[WriteResult]]], error: Exception) -> None:
        for _, answer in batch:
            if not answer.done():
                answer.set_exception(error)


def _memory(message: Message) -> int:
    """Return the bytes that a message takes: its payload, and about as much again for its name and msg."""
    return 2 * sys.getsizeof(message.payload)
