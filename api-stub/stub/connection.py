"""One client's connection. Rule: nothing that a client does, or leaves undone, may hold memory or a place for long.

uvicorn bounds what an application has not read yet, and closes a connection that is idle after an answer. It waits for
ever for a head that does not end, keeps a head of any size, and takes connections until the process has no more
descriptors. This is what was missing.
"""

import enum
import socket
import struct
from asyncio import Transport
from typing import ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for no time


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds, bytes and connections.

    `head` bytes may be passed by one read of the socket (256 KiB) before it is noticed.
    """

    connections: int = 12_000
    head: int = 64 * 1024
    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    linger_timeout: float = 10.0  # to send the rest of a body that was refused
    write_timeout: float = 30.0  # to take an answer


class Phase(enum.Enum):
    """What is awaited from the client."""

    REQUEST = "a request"
    HEAD = "the rest of a head"
    ANSWER = "nothing: it awaits an answer, and its body has its own deadline"
    LEFTOVER = "the rest of a body that nobody wants"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits, and with ways to let the client down."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    _phase = Phase.REQUEST
    _since = 0.0
    _head_size = 0
    _stalled_since: float | None = None
    _complete = True

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self._enter(Phase.REQUEST)
        if len(self.connections) > self.limits.connections:
            self._refuse("503 Service Unavailable", "too many connections")

    def data_received(self, data: bytes) -> None:
        """Read on, but no endless head."""
        if self._phase in (Phase.REQUEST, Phase.HEAD):
            self._head_size += len(data)
        super().data_received(data)
        if self._phase is Phase.HEAD and self._head_size > self.limits.head:
            self._refuse("431 Request Header Fields Too Large", f"a head may have {self.limits.head} bytes")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {"stub.connection": self}  # type: ignore[dict-item] # our own
        self._complete = False
        self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        self._head_size = 0
        self._enter(Phase.ANSWER)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that all of the request is here."""
        self._complete = True
        if self._phase is Phase.LEFTOVER:
            self._enter(Phase.REQUEST)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Await the next request, or the rest of the one just answered."""
        super().on_response_complete()
        self._enter(Phase.REQUEST if self._complete else Phase.LEFTOVER)

    def pause_writing(self) -> None:
        """Note since when the client takes no more."""
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client takes again."""
        super().resume_writing()
        self._stalled_since = None

    def check(self, now: float) -> None:
        """Close the connection if its client is too slow. Called about once a second."""
        waited = now - self._since
        if self._stalled_since is not None and now - self._stalled_since > self.limits.write_timeout:
            self.transport.abort()
        elif self._phase is Phase.HEAD and waited > self.limits.head_timeout:
            self._refuse("408 Request Timeout", f"the head was not complete after {self.limits.head_timeout:g} s")
        elif self._phase is Phase.LEFTOVER and waited > self.limits.linger_timeout:
            self.transport.abort()
        elif self._phase is Phase.REQUEST and waited > self.limits.idle_timeout and self._is_answered():
            self.transport.close()

    def reset(self) -> None:
        """Reset the connection: the client gets a RST."""
        found: socket.socket = self.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def close(self) -> None:
        """Close the connection in order, after what is written already."""
        self.transport.close()

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self.loop.time()

    def _refuse(self, status: str, why: str) -> None:
        if self.transport.is_closing():
            return
        head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(why)}\r\nconnection: close"
        self.transport.write(f"{head}\r\n\r\n{why}".encode())
        self.transport.close()


def limited(limits: ConnectionLimits) -> type[Connection]:
    """Return a protocol class with these limits; uvicorn makes the instances itself."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
