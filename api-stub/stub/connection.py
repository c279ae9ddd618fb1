"""One client's connection. Rule: nothing that a client does, or leaves undone, may hold memory or a place for long.

uvicorn bounds what an application has not read yet, and closes a connection that is idle after an answer. It waits for
ever for a head that does not end, keeps a head of any size, and takes connections until the process has no more
descriptors. This is what was missing.
"""

import enum
import socket
import struct
from asyncio import Transport
from http import HTTPStatus
from typing import ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stub.problem import MEDIA_TYPE, RETRY_AFTER, Problem

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for no time


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds, bytes and connections.

    `head` bytes may be passed by one read of the socket (256 KiB) before it is noticed.
    """

    connections: int = 12_000
    head: int = 64 * 1024
    head_timeout: float = 10.0
    body_timeout: float = 10.0
    idle_timeout: float = 75.0
    linger_timeout: float = 10.0  # to send the rest of a body that was refused
    write_timeout: float = 30.0  # to take an answer


class Phase(enum.Enum):
    """What is awaited from the client."""

    REQUEST = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "nothing: it awaits an answer"
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
            self._refuse(503, f"there are {self.limits.connections} connections already; try again")

    def data_received(self, data: bytes) -> None:
        """Read on, but no endless head."""
        if self._phase in (Phase.REQUEST, Phase.HEAD):
            self._head_size += len(data)
        super().data_received(data)
        if self._phase is Phase.HEAD and self._head_size > self.limits.head:
            self._refuse(431, f"a request's head may have {self.limits.head} bytes")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {"stub.connection": self}  # type: ignore[dict-item] # our own
        self._complete = False
        self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        self._head_size = 0
        self._enter(Phase.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that all of the request is here."""
        self._complete = True
        self._enter(Phase.REQUEST if self._phase is Phase.LEFTOVER else Phase.ANSWER)
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
        waited, limits = now - self._since, self.limits
        if self._stalled_since is not None and now - self._stalled_since > limits.write_timeout:
            self.transport.abort()
        elif self._phase is Phase.HEAD and waited > limits.head_timeout:
            self._refuse(408, f"the head was not complete after {limits.head_timeout:g} s")
        elif self._phase is Phase.BODY and waited > limits.body_timeout:
            self._refuse(408, f"the body was not complete after {limits.body_timeout:g} s")
        elif self._phase is Phase.LEFTOVER and waited > limits.linger_timeout:
            self.transport.abort()
        elif self._phase is Phase.REQUEST and waited > limits.idle_timeout and self._is_answered():
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

    def _refuse(self, status: int, detail: str) -> None:
        if self.transport.is_closing():
            return
        problem = Problem(status, detail)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {MEDIA_TYPE.decode()}\r\n"
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            head += f"retry-after: {RETRY_AFTER}\r\n"
        head += f"content-length: {len(problem.body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + problem.body)
        self.transport.close()


def limited(limits: ConnectionLimits) -> type[Connection]:
    """Return a protocol class with these limits; uvicorn makes the instances itself."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
