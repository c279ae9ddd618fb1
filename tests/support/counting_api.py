"""An API that takes many thousand POSTs a second and keeps a digest of each body, by the record's index."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from hashlib import blake2b
from typing import cast

import uvloop

_CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def digest(body: bytes) -> bytes:
    """What is kept of a body."""
    return blake2b(body, digest_size=8).digest()


class CountingApi:
    """`bodies` has the digest of each body that came, by index; `posts` counts them all. It speaks plain HTTP/1.1."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.posts = 0
        self.url = ""
        self.connections: set[asyncio.Transport] = set()

    def take(self, head: bytes, body: bytes) -> bytes:
        """One request; the answer."""
        if not head.startswith(b"POST"):
            return _NOT_FOUND
        key = _field(head, b"idempotency-key")
        self.posts += 1
        self.bodies[int(key.rpartition(b"-")[2])] = digest(body)
        return _CREATED


def _field(head: bytes, name: bytes) -> bytes:
    return next(line.partition(b":")[2].strip() for line in head.split(b"\r\n") if line.lower().startswith(name))


class _Connection(asyncio.Protocol):
    def __init__(self, api: CountingApi) -> None:
        self._api, self._data = api, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self._api.connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._api.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, rest = self._data.partition(b"\r\n\r\n")
            length = int(_field(head, b"content-length")) if b"ontent-" in head else 0
            if len(rest) < length:
                return
            self._data = rest[length:]
            self._transport.write(self._api.take(head, rest[:length]))


@contextlib.contextmanager
def counting_api() -> Iterator[CountingApi]:
    """Run one in a thread for the length of a block."""
    api, loop = CountingApi(), uvloop.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: _Connection(api), "127.0.0.1", 0, backlog=256))
    api.url = f"http://127.0.0.1:{cast('asyncio.Server', server).sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield api
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for transport in list(api.connections):
            transport.abort()
        loop.run_until_complete(server.wait_closed())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
