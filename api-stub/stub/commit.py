"""Group commit: what arrives while a batch is being written is the next batch. Rule: none waits on a timer.

A durable write costs a disk flush, however many messages it holds. One flush for all that are waiting makes
the rate grow with the load, and a lone message is written at once (as a database's own group commit does;
DeWitt et al., "Implementation techniques for main memory database systems", 1984).
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from stub.message import Message, Written
from stub.metrics import Metrics
from stub.store import Store, StoreDownError

logger = logging.getLogger(__name__)


class OverloadedError(Exception):
    """As many messages are waiting to be written as are allowed to."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the queue and of a batch: in messages, and in bytes of memory."""

    waiting: int = 10_000
    waiting_size: int = 128 * 1024 * 1024
    batch: int = 1_000
    batch_size: int = 16 * 1024 * 1024
    writers: int = 1  # batches on their way to the store at once


class GroupCommit:
    """Gathers the messages of all requests into batches, and hands each request its own answer."""

    def __init__(self, store: Store, limits: Limits, metrics: Metrics | None = None) -> None:
        self._store = store
        self._limits = limits
        self._metrics = metrics or Metrics()
        self._store_up = True
        self._waiting: deque[tuple[Message, asyncio.Future[Written]]] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._writers: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """How many messages wait for a writer."""
        return len(self._waiting)

    @property
    def store_up(self) -> bool:
        """Whether the last write succeeded."""
        return self._store_up and bool(self._writers)

    def start(self) -> None:
        """Begin to write."""
        self._writers = [asyncio.create_task(self._write_on()) for _ in range(self._limits.writers)]

    async def put(self, message: Message) -> Written:
        """Store a message; durable on return. Raises OverloadedError or StoreDownError."""
        if not self._writers:
            raise StoreDownError("the store has not been opened yet")
        size = _memory(message)
        if len(self._waiting) >= self._limits.waiting or self._size + size > self._limits.waiting_size:
            raise OverloadedError(f"{len(self._waiting)} messages are waiting to be written")
        if self._closing:
            raise OverloadedError("the stub is stopping")
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, answer))
        self._size += size
        self._arrived.set()
        return await answer

    async def close(self) -> None:
        """Write what is waiting, take no more, and return when all is written."""
        self._closing = True
        self._arrived.set()
        await asyncio.gather(*self._writers)

    async def _write_on(self) -> None:
        while True:
            while not self._waiting:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            await self._write(self._take())

    def _take(self) -> list[tuple[Message, asyncio.Future[Written]]]:
        batch: list[tuple[Message, asyncio.Future[Written]]] = []
        room = self._limits.batch_size
        while self._waiting and len(batch) < self._limits.batch and room > 0:
            message, answer = self._waiting.popleft()
            size = _memory(message)
            self._size -= size
            room -= size
            batch.append((message, answer))
        return batch

    async def _write(self, batch: Sequence[tuple[Message, asyncio.Future[Written]]]) -> None:
        started = time.monotonic()
        try:
            written = await self._store.write([message for message, _ in batch])
        except StoreDownError as e:
            self._note(False, str(e))
            self._refuse(batch, e)
            self._refuse(self._take_all(), e)  # these would only wait for the same failure
        except Exception as e:  # noqa: BLE001 - the writer must outlive a batch; each request reports the error
            self._refuse(batch, e)
        else:
            self._note(True, f"wrote {len(batch)} messages")
            self._metrics.write_seconds.add(time.monotonic() - started)
            self._metrics.batch_messages.add(len(batch))
            for (_, answer), result in zip(batch, written, strict=True):
                if not answer.done():  # its request was given up
                    answer.set_result(result)

    def _note(self, up: bool, why: str) -> None:
        if up is not self._store_up:
            logger.warning("store %s: %s", "is back" if up else "is down", why)
        self._store_up = up

    def _take_all(self) -> list[tuple[Message, asyncio.Future[Written]]]:
        everything = list(self._waiting)
        self._waiting.clear()
        self._size = 0
        return everything

    @staticmethod
    def _refuse(batch: Sequence[tuple[Message, asyncio.Future[Written]]], error: Exception) -> None:
        for _, answer in batch:
            if not answer.done():
                answer.set_exception(error)


def _memory(message: Message) -> int:
    """Bytes that a message's text takes: its payload, and about as much again for what was read out of it."""
    return 2 * sys.getsizeof(message.payload)
