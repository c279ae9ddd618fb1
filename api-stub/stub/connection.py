"""One client's connection. Rule: no client can hold memory or a connection for long, whatever it sends or omits.

uvicorn bounds the data that an application has not read, and closes a connection that is idle after an answer. But it
waits for ever for the end of a head, keeps a head of any size, and accepts connections until the process has no
descriptors left. `Connection` adds the missing bounds.

Second rule: each answer reaches its client, in order. uvicorn closes as soon as it has written the last answer. If the
client is still sending, that resets the connection, and the answer is lost. So the stub lingers, as nginx does: it ends
its own half, discards what still comes, and closes when the client does, or after a time. uvicorn also writes a 400
before answers that are due earlier; the stub writes its refusals after them.
"""

import enum
import socket
import struct
from asyncio import Transport
from http import HTTPStatus
from typing import ClassVar

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from stub.problem import MEDIA_TYPE, Problem, unavailable
from stub.upgrade import make_parser, without_upgrade

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for no time
_LINGERING_EXCESS = 50  # so many of the excess connections get time to read their refusal


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds, bytes and connections.

    A head may exceed `head` by one read of the socket (256 KiB) before that is noticed.
    """

    connections: int = 12_000
    head: int = 64 * 1024
    head_timeout: float = 10.0
    body_timeout: float = 10.0
    idle_timeout: float = 75.0
    linger_timeout: float = 10.0  # for the client to send the rest of a refused body, and to read the last answer
    write_timeout: float = 30.0  # for the client to read an answer


class Phase(enum.Enum):
    """What the connection waits for."""

    REQUEST = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "the application's answer"
    LEFTOVER = "the rest of a body whose answer was sent before its end; it is discarded"
    REFUSED = "the answers that are due before a refusal; what the client sends is ignored"
    END = "the client's end, after the last answer; what it still sends is discarded"


_NOT_READING = (Phase.REFUSED, Phase.END)


class _LingeringTransport:
    """A transport for a request's answer, whose `close` lingers."""

    def __init__(self, connection: "Connection", transport: Transport) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = connection.linger


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits, and with the closes and resets that faults ask for."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    _phase = Phase.REQUEST
    _since = 0.0
    _head_size = 0
    _stalled_since: float | None = None
    _complete = True
    _unanswered = 0  # requests that the application has not answered yet
    _ignores_upgrade = False
    _refusal = b""
    _stopping = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Accept a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self._lingering = _LingeringTransport(self, transport)
        self._enter(Phase.REQUEST)
        excess = len(self.connections) - self.limits.connections
        if excess > 0:
            self._refuse(unavailable(f"there are {self.limits.connections} connections already; try again"))
        if excess > _LINGERING_EXCESS:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent. Refuses a head that is too large before it is complete."""
        self._unset_keepalive_if_required()
        if self._phase in _NOT_READING:
            return
        if self._phase in (Phase.REQUEST, Phase.HEAD):
            self._head_size += len(data)
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError as e:
            self._refuse(_parse_problem(e))
        if self._phase is Phase.HEAD and self._head_size > self.limits.head:
            self._refuse(self._head_too_large())

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {"stub.connection": self}  # type: ignore[dict-item] # our own
        self._complete = False
        self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Pass the request to the application. Raises Problem if its head is too large, or for CONNECT."""
        if self._head_size > self.limits.head and self._size_of_head() > self.limits.head:
            raise self._head_too_large()
        self._ignores_upgrade = self.parser.should_upgrade()
        if self._ignores_upgrade:
            if self.parser.get_method() == b"CONNECT":
                raise Problem(501, "CONNECT needs a proxy, and the stub is none")
            return
        super().on_headers_complete()
        self.cycle.transport = self._lingering  # type: ignore[assignment] # has all that the cycle uses of a transport
        self._unanswered += 1
        self._head_size = 0
        self._enter(Phase.BODY)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        if self._ignores_upgrade:  # a new parser reads the request again
            return
        self._complete = True
        self._enter(Phase.REQUEST if self._phase is Phase.LEFTOVER else Phase.ANSWER)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of the one just answered; or send a refusal that is due."""
        self._unanswered -= 1
        super().on_response_complete()
        if self._phase is Phase.REFUSED:
            self._end_if_answered()
        elif self._phase in (Phase.BODY, Phase.ANSWER) and self._is_answered():
            self._enter(Phase.REQUEST if self._complete else Phase.LEFTOVER)
        elif self._phase in (Phase.HEAD, Phase.BODY):
            self._enter(self._phase)  # it was not read while others were answered: its time begins now

    def pause_writing(self) -> None:
        """Note since when the client reads no more."""
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._stalled_since = None

    def check(self, now: float) -> None:
        """Refuse or end the connection if its client is too slow. Called about once a second."""
        waited, limits = now - self._since, self.limits
        if self._stalled_since is not None and now - self._stalled_since > limits.write_timeout:
            self.transport.abort()
        elif self._phase is Phase.HEAD and waited > limits.head_timeout and not self.flow.read_paused:
            self._refuse(Problem(408, f"the head was not complete after {limits.head_timeout:g} s"))
        elif self._phase is Phase.BODY and waited > limits.body_timeout and not self.flow.read_paused:
            self._refuse(Problem(408, f"the body was not complete after {limits.body_timeout:g} s"))
        elif self._phase in (Phase.LEFTOVER, Phase.END) and waited > self._time_to_end():
            self.transport.abort()
        elif self._phase is Phase.REQUEST and waited > limits.idle_timeout and self._is_answered():
            self.transport.close()

    def shutdown(self) -> None:
        """Close the connection when its request is answered. Called when the stub stops."""
        self._stopping = True
        if self._phase is Phase.END:
            self.transport.close()
        else:
            super().shutdown()

    def reset(self) -> None:
        """Reset the connection: the client gets a RST."""
        found: socket.socket = self.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def close(self) -> None:
        """Close the connection in order, after what has been written."""
        self.transport.close()

    def linger(self) -> None:
        """End this half of the connection, and leave the client time to send the rest and to read the answers."""
        if self._phase is Phase.END or self.transport.is_closing():
            return
        if self._stopping and self._complete:
            self.transport.close()
            return
        self._enter(Phase.END)
        self.pipeline.clear()
        self.flow.resume_reading()
        self.transport.write_eof()

    def _parse(self, data: memoryview) -> None:
        """Feed the parser. If a head asks for an upgrade, feed it to a new parser without that."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as e:
                data = data[e.args[0] :]
                head = without_upgrade(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
                self.parser = make_parser(self)
                self.parser.feed_data(head)
            else:
                return

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self.loop.time()

    def _time_to_end(self) -> float:
        unread = self._phase is Phase.END and self.transport.get_write_buffer_size()
        return self.limits.write_timeout if unread else self.limits.linger_timeout

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _head_too_large(self) -> Problem:
        most = self.limits.head
        if len(self.url) > most:
            return Problem(414, f"a request's target may have at most {most} bytes")
        return Problem(431, f"a request's head may have at most {most} bytes")

    def _refuse(self, problem: Problem) -> None:
        """Answer instead of the application, after all answers that are due earlier, and read no more requests."""
        if self._phase in _NOT_READING or self.transport.is_closing():
            return
        self._refusal = b"" if self._phase is Phase.LEFTOVER else self._encode(problem)
        if self._phase is Phase.BODY:
            self._drop(self.cycle)
        self._enter(Phase.REFUSED)
        self._end_if_answered()

    def _drop(self, cycle: RequestResponseCycle) -> None:
        """Take a request away from the application, because its body will not come."""
        self._unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            return
        if cycle.response_started:
            self._refusal = b""  # one request has one answer
        cycle.disconnected = True
        cycle.message_event.set()

    def _end_if_answered(self) -> None:
        if self._unanswered == 0:
            self.transport.write(self._refusal)
            self.linger()

    def _encode(self, problem: Problem) -> bytes:
        headers = [
            *self.server_state.default_headers,
            *problem.headers,
            (b"content-type", MEDIA_TYPE),
            (b"content-length", str(len(problem.body)).encode()),
            (b"connection", b"close"),
        ]
        lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + problem.body


def _parse_problem(error: httptools.HttpParserError) -> Problem:
    """Return the Problem that a callback raised, or one made of the parser's error."""
    if isinstance(error.__context__, Problem):
        return error.__context__
    unread = isinstance(error, httptools.HttpParserCallbackError)  # raised by uvicorn, which splits the target
    return Problem(400, f"not a request of HTTP/1.1: {'its target cannot be read' if unread else error}")


def connection_class(limits: ConnectionLimits) -> type[Connection]:
    """Return a Connection class with these limits; uvicorn makes the instances."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
