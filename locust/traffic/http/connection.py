"""One connection to the API, driven by the loop's own watchers: one request at a time, and never one twice.

The rules that this module guards: a request of which a byte left is never sent again from here; a connection is not
used after an answer whose end is uncertain; what fails is told later, by the loop, so that no failure calls the next.
"""

from collections.abc import Callable
from typing import Any

from geventhttpclient.response import HTTPConnectionClosed

from traffic.clock import now_s
from traffic.http.connector import WRITE, Connector
from traffic.http.endpoint import NEVER, Endpoint, ResponseHandler
from traffic.http.http1 import BrokenAnswerError, ResponseHead
from traffic.http.response_reader import ResponseReader
from traffic.http.scheme_mismatch import WRITE_HTTP, WRITE_HTTPS, WrongSchemeError, asks_for_tls, begins_tls, met_plain
from traffic.http.tls import Tls, refused_us

_READ = 1
_RECEIVE = 1 << 16
# A connection that was at rest for longer is looked at before it is used.
_RESTED_S = 0.001


class Connection:
    """Sends requests to the API and hands answers to its owner; connects when there is something to send.

    `due` is when its patience ends, by `now_s`: whoever owns it calls `expire` then.
    """

    __slots__ = (
        *("_answers", "_dial", "_fresh", "_left", "_out", "_owner", "_pending", "_reader", "_recv", "_rested"),
        *("_route", "_send", "_shaken", "_socket", "_tls", "_writer", "busy", "due"),
    )

    def __init__(self, route: Endpoint, owner: ResponseHandler) -> None:
        self._route, self._owner = route, owner
        self._answers = ResponseReader(route.known)
        self._socket: Any = None
        self._reader: Any = None
        self._writer: Any = None
        self._tls: Tls | None = None
        self._send: Callable[[Any], int] | None = None  # set while requests can be sent
        self._recv: Any = None
        self._pending: bytes | None = None  # the request that waits for a connection
        self._out: memoryview | None = None  # what the kernel has not taken yet
        self._dial: Connector | None = None
        self._left = self._fresh = self._shaken = self.busy = False
        self.due, self._rested = NEVER, 0.0

    def request(self, data: bytes, now: float) -> None:
        """Send a request; `answered` or `failed` of the owner is called later, once."""
        assert not self.busy, "one request at a time"
        self.busy, self._left = True, False
        if self._send is not None and now - self._rested > _RESTED_S:
            self._look_for_an_end()
        if self._send is None:
            self._pending = data
            self._connect(now)
        else:
            self.due = now + self._route.answer_timeout
            self._write(data)

    def expire(self, now: float) -> None:
        """Give up what is awaited."""
        head = self._answers.head
        if head is not None:
            self._finish(head, now, reusable=False)
        else:
            late = self._route.late(connected=self._socket is not None, ready=self._send is not None)
            self._fail(late, sent=self._left)

    def close(self) -> None:
        """Close the connection, whatever is under way; the owner hears no more of it."""
        self._pending = None
        self.busy = False
        self._shut()

    # Connecting.

    def _connect(self, now: float) -> None:
        self.due = now + self._route.connect_timeout
        self._dial = Connector(self._route.directory, self._route.loop, self._on_connected)
        self._dial.begin()

    def _on_connected(self, made: Any, error: OSError | None) -> None:
        self._dial = None
        if error is not None:
            self._fail(error, sent=False)
            return
        self._socket, self._recv, self._fresh = made, made.recv, True
        self._reader = self._route.loop.io(made.fileno(), _READ)
        self._reader.start(self._on_readable)
        if self._route.tls is not None:
            self._tls, self._shaken = Tls(self._route.tls, self._route.target.name), False
            self._guard(lambda: self._shake(b""))
        else:
            self._guard(self._begin)

    def _shake(self, data: bytes) -> None:
        """Go on with the TLS handshake."""
        assert self._tls is not None
        try:
            self._shaken = self._tls.handshake(data)
        except OSError as error:
            self._push(self._tls.outgoing())  # the alert, which says why
            self._fail(WrongSchemeError(WRITE_HTTP) if met_plain(error) else error, sent=False)
            return
        self._push(self._tls.outgoing())
        if self._shaken and self.busy:
            self._begin()

    def _begin(self) -> None:
        """Send the request that waited for the connection."""
        assert self._pending is not None
        data, self._pending = self._pending, None
        self._send = self._socket.send
        self.due = now_s() + self._route.answer_timeout
        self._write(data)

    # Sending.

    def _write(self, data: bytes) -> None:
        plain = data
        assert self._send is not None
        try:
            if self._tls is not None:
                data = self._tls.encrypt(data)
            count = self._send(data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._refused(plain, error)
            return
        self._left = count > 0
        if count < len(data):
            self._out = memoryview(data)[count:]
            self._await_write(self._on_writable)

    def _refused(self, plain: bytes, error: OSError) -> None:
        """No byte of a request could be sent. Over a used connection that is its end's news; another is made."""
        fresh = self._fresh
        self._shut()
        if fresh:
            self._fail(error, sent=False)
        else:
            self._pending = plain
            self._connect(now_s())

    def _push(self, data: bytes) -> None:
        """Send bytes of the handshake, behind what waits."""
        if not data:
            return
        self._out = memoryview((self._out.tobytes() if self._out is not None else b"") + data)
        self._flush()
        if self._out is not None:
            self._await_write(self._on_writable)

    def _flush(self) -> None:
        assert self._out is not None
        try:
            count = self._socket.send(self._out)
        except BlockingIOError:
            return
        except OSError:
            self._out = self._out[:0]  # the reader will tell, perhaps after an answer that came early
            self._route.loop.run_callback(self._on_readable)
            count = 0
        self._left = self._left or (count > 0 and self._send is not None)
        self._out = self._out[count:] or None

    def _on_writable(self) -> None:
        self._flush()
        if self._out is None:
            self._writer.stop()

    def _await_write(self, then: Callable[[], None]) -> None:
        if self._writer is None:
            self._writer = self._route.loop.io(self._socket.fileno(), WRITE)
        self._writer.stop()
        self._writer.start(self._guard, then)

    # Receiving.

    def _on_readable(self) -> None:
        try:
            self._receive()
        except Exception as error:  # noqa: BLE001 - the loop would print it and go on; the owner is to know
            self._owner.fail_user(error)

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - as above
            self._owner.fail_user(error)

    def _receive(self) -> None:
        if self._recv is None:
            return
        try:
            data = self._recv(_RECEIVE)
            if self._tls is not None and data:
                if not self._shaken:
                    self._shake(data)
                    return
                data = self._decrypt(data)
                if data is None:
                    return
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)
            return
        if not data:
            self._lost(HTTPConnectionClosed("connection closed."))
        elif not self.busy:
            self._shut()  # nothing was asked: whatever it says, it is not for us
        else:
            self._read(data)

    def _decrypt(self, data: bytes) -> bytes | None:
        """What the server said; empty where it said its last word, None where nothing yet."""
        assert self._tls is not None
        plain = self._tls.decrypt(data)
        self._push(self._tls.outgoing())
        return plain or (b"" if self._tls.ended else None)

    def _read(self, data: bytes) -> None:
        answers = self._answers
        try:
            head = answers.feed(data)
        except BrokenAnswerError as error:
            if self._tls is None and begins_tls(data):
                self._fail(WrongSchemeError(WRITE_HTTPS), sent=False)
            else:
                self._lost(error)
            return
        if head is not None:
            reusable = head.keep_alive and not answers.surplus and self._out is None
            if not reusable and self._tls is None and asks_for_tls(head.status, data):
                self._fail(WrongSchemeError(WRITE_HTTPS), sent=False)
            else:
                self._finish(head, now_s(), reusable=reusable)

    def _finish(self, head: ResponseHead, now: float, *, reusable: bool) -> None:
        body = self._answers.body
        self.busy, self._fresh, self.due, self._rested = False, False, NEVER, now
        if not reusable:
            self._shut()
        elif self._answers.head is not None:
            self._answers.begin()
        self._owner.answered(head, body, now)

    def _lost(self, error: Exception) -> None:
        """The connection is no good any more. An answer whose head was whole has said what there is to say."""
        if not self.busy:
            self._shut()
        elif self._send is None:
            self._fail(error, sent=False)
        elif self._answers.head is not None:
            self._finish(self._answers.head, now_s(), reusable=False)
        else:
            self._fail(error, sent=self._left and not (self._fresh and refused_us(error)))

    def _look_for_an_end(self) -> None:
        """A connection that has rested may have been closed, and the loop not have told yet."""
        try:
            self._recv(1)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._shut()

    def _fail(self, error: Exception, *, sent: bool) -> None:
        self._pending = None
        self._shut()
        if self.busy:
            self.busy = False
            self._route.loop.run_callback(lambda: self._guard(lambda: self._owner.failed(error, sent=sent)))

    def _shut(self) -> None:
        if self._dial is not None:
            self._dial.cancel()
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        if self._socket is not None:
            self._socket.close()
        self._dial = self._socket = self._reader = self._writer = self._tls = self._send = self._recv = self._out = None
        self._answers.begin()
        if self._pending is None:
            self.due = NEVER
