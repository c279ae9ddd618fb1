"""TCP proxies in a thread: one before the master for each worker, so that it can be cut off; one before the API, which
notes every POST.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from chaos.history import Attempt
from support.deadlines import stretched

T = TypeVar("T")
_PIECE = 1 << 16
_AT_ONCE = struct.pack("ii", 1, 0)
# In a ZMTP READY command: a property's name, the length of its value in four bytes, the value.
_IDENTITY = re.compile(rb"Identity(.{4})", re.DOTALL)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def stop_accepting(self, listener: socket.socket) -> None:
        """Take no more connections from a listening socket. In the loop's thread only."""
        self._loop.remove_reader(listener.fileno())

    def close(self) -> None:
        """End every task, then the loop."""
        self.call(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(stretched(10))
        self._loop.close()

    async def _end_tasks(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports say goodbye in the turns that follow


class Proxy:
    """Listens on a port of its own and passes bytes to `target` and back."""

    def __init__(self, loop: Loop, target: int) -> None:
        self.loop, self.target, self.port = loop, target, 0
        self._server: asyncio.Server | None = None
        self._refusing = False
        # Each connection's near end, and its far end once there is one.
        self._pairs: dict[asyncio.StreamWriter, asyncio.StreamWriter | None] = {}
        # Far ends that are not to learn that the near end is gone.
        self._kept: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        loop.call(self._listen())

    def close(self) -> None:
        """Let go of every connection."""
        self.loop.call(self._close())

    def cut(self) -> None:
        """Reset what is connected and refuse what comes."""
        self.loop.call(self._cut())

    def half(self) -> None:
        """Reset and refuse on the near side; the far side does not notice, as when a router dies."""
        self.loop.call(self._cut(near_only=True))

    def hole(self) -> None:
        """Drop every byte silently, in both directions."""
        self.loop.call(self._set(flowing=False))

    def heal(self) -> None:
        """Take connections again, and pass on what was held back."""
        self.loop.call(self._heal())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        await self._cut()
        for far in self._kept:
            _reset(far)

    async def _cut(self, *, near_only: bool = False) -> None:
        self._refusing = True
        if self._server is not None:
            server, self._server = self._server, None
            # asyncio drops, unclosed, a connection accepted of a server that is closed before the next turn.
            for listener in server.sockets:
                self.loop.stop_accepting(listener)
            await asyncio.sleep(0)
            server.close()
        for near, far in list(self._pairs.items()):
            if near_only and far is not None:
                self._kept.add(far)
            elif far is not None:
                _reset(far)
            _reset(near)

    async def _set(self, *, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _heal(self) -> None:
        self._flowing.set()
        self._refusing = False
        if self._server is None:
            await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._refusing:  # accepted in the turn in which it was cut
            _reset(near)
            return
        self._pairs[near] = None
        try:
            await self._flowing.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
            self._pairs[near] = far
            if near.is_closing():  # cut off meanwhile
                return
            there, back = self._watch()
            await asyncio.gather(self._pass(reader, far, there), self._pass(far_reader, near, back))
        except OSError:
            _reset(near)
        except asyncio.CancelledError:
            pass  # the loop is being closed, and asyncio's own callback would print this as a fault
        finally:
            far_end = self._pairs.pop(near)
            near.close()
            if far_end is not None and far_end not in self._kept:
                far_end.close()

    def _watch(self) -> "tuple[Watch, Watch]":
        return Watch(), Watch()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watch: "Watch") -> None:
        try:
            while data := await reader.read(_PIECE):
                await self._flowing.wait()
                watch.seen(data)
                writer.write(data)
                await writer.drain()
            watch.ended()
            if writer not in self._kept:
                writer.close()
        except OSError:
            watch.ended()
            if writer not in self._kept:
                _reset(writer)


class Watch:
    """Looks at one direction of a connection."""

    def seen(self, data: bytes) -> None:
        """Take what is about to be passed on."""

    def ended(self) -> None:
        """The sender of this direction has hung up."""


class _NodeId(Watch):
    def __init__(self, proxy: "WorkerProxy") -> None:
        self.proxy = proxy

    def seen(self, data: bytes) -> None:
        if not self.proxy.node_id and (found := _IDENTITY.search(data)):
            name = data[found.end() : found.end() + int.from_bytes(found[1])]
            self.proxy.node_id = name.decode()


class WorkerProxy(Proxy):
    """One worker's way to the master; learns by which id Locust knows the worker."""

    def __init__(self, loop: Loop, target: int) -> None:
        self.node_id = ""
        super().__init__(loop, target)

    def _watch(self) -> tuple[Watch, Watch]:
        return _NodeId(self), Watch()


class Tap(Proxy):
    """The workers' way to the API; notes every POST. (One request at a time on a connection, as in HTTP/1.1.)"""

    def __init__(self, loop: Loop, target: int) -> None:
        self.attempts: list[Attempt] = []
        super().__init__(loop, target)

    def _watch(self) -> tuple[Watch, Watch]:
        exchange = _Exchange(self.attempts)
        return _Requests(exchange), _Answers(exchange)


class _Exchange:
    """The POST that a connection awaits the answer of."""

    def __init__(self, attempts: list[Attempt]) -> None:
        self.attempts = attempts
        self.open: Attempt | None = None

    def begin(self, head: bytes) -> None:
        self.open = None
        if head.startswith(b"POST"):
            headers = _headers(head)
            key, worker = headers.get("idempotency-key", ""), headers.get("traffic-worker", "")
            self.open = Attempt(key, worker, time.monotonic())
            self.attempts.append(self.open)

    def settle(self, status: int = 0, lost_by: str = "") -> None:
        if self.open is not None:
            self.open.status, self.open.lost_by, self.open.ended = status, lost_by, time.monotonic()
            self.open = None


class _Http(Watch):
    """Cuts one direction into messages: heads, and bodies of Content-Length."""

    def __init__(self, exchange: _Exchange) -> None:
        self.exchange = exchange
        self._buffer, self._body = b"", -1
        self._head = b""

    def seen(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            if self._body < 0:
                head, mark, rest = self._buffer.partition(b"\r\n\r\n")
                if not mark:
                    return
                self._head, self._buffer = head, rest
                self._body = int(_headers(head).get("content-length", "0"))
                self.started(head)
            taken = min(self._body, len(self._buffer))
            self._buffer, self._body = self._buffer[taken:], self._body - taken
            if self._body > 0:
                return
            self._body = -1
            self.whole(self._head)

    def started(self, head: bytes) -> None:
        """A head has been read."""

    def whole(self, head: bytes) -> None:
        """The message has been read to its end."""


class _Requests(_Http):
    def started(self, head: bytes) -> None:
        self.exchange.begin(head)

    def ended(self) -> None:
        self.exchange.settle(lost_by="worker")


class _Answers(_Http):
    def whole(self, head: bytes) -> None:
        self.exchange.settle(status=int(head.split(b" ", 2)[1]))

    def ended(self) -> None:
        self.exchange.settle(lost_by="api")


def _headers(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


def _reset(end: asyncio.StreamWriter) -> None:
    """Hang up with a RST, as a host that is gone does."""
    with contextlib.suppress(OSError):
        sock = end.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    end.transport.abort()
