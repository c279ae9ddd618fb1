"""One connection to the API, driven by the loop's watchers: one request at a time, each sent once.

Guarded here: a request is never sent again once a byte of it has left; a connection is not used after an answer whose
end is uncertain; a failure is reported later, by the loop, so that no failure calls the next.
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
from traffic.http.tls import Tls, refuses_certificate

_READ = 1
_RECEIVE = 1 << 16
# A connection that was idle for longer is checked before it is used.
_IDLE_S = 0.001


class Connection:
    """Sends requests to the API and hands the responses to its handler; connects when there is something to send.

    `due` is when a timeout ends, by `now_s`: the handler's dispatcher calls `expire` then. Of the latest request,
    `connect_s` is how long it waited for a connection, 0 if there was one, and `first_byte_at` when its answer began; 0
    if that came all at once.
    """

    __slots__ = (
        *("_any_sent", "_connector", "_endpoint", "_fresh", "_handler", "_handshake_done", "_idle_since", "_pending"),
        *("_read_watcher", "_recv", "_response_reader", "_send", "_socket", "_tls", "_unsent", "_write_watcher"),
        *("_connect_began", "busy", "connect_s", "due", "first_byte_at"),
    )

    def __init__(self, endpoint: Endpoint, handler: ResponseHandler) -> None:
        self._endpoint, self._handler = endpoint, handler
        self._response_reader = ResponseReader(endpoint.known)
        self._socket: Any = None
        self._read_watcher: Any = None
        self._write_watcher: Any = None
        self._tls: Tls | None = None
        self._send: Callable[[Any], int] | None = None  # set while requests can be sent
        self._recv: Any = None
        self._pending: bytes | None = None  # the request that waits for a connection
        self._unsent: memoryview | None = None  # what the kernel has not taken yet
        self._connector: Connector | None = None
        self._any_sent = self._fresh = self._handshake_done = self.busy = False
        self.due, self._idle_since = NEVER, 0.0
        self._connect_began = self.connect_s = self.first_byte_at = 0.0

    def request(self, data: bytes, now: float) -> None:
        """Send a request; `answered` or `failed` of the handler is called later, once."""
        assert not self.busy, "one request at a time"
        self._response_reader.bodiless = data.startswith(b"HEAD ")
        self.busy, self._any_sent, self.connect_s, self.first_byte_at = True, False, 0.0, 0.0
        if self._send is not None and now - self._idle_since > _IDLE_S:
            self._check_closed()
        if self._send is None:
            self._pending = data
            self._connect(now)
        else:
            self.due = now + self._endpoint.answer_timeout
            self._write(data)

    def keep_content(self, from_status: int, most: int) -> None:
        """Keep the beginning of the content, `most` bytes, of answers whose status is `from_status` or higher."""
        self._response_reader.keep_from, self._response_reader.most = from_status, most

    def content_of(self, head: ResponseHead) -> bytes:
        """Return what is kept of the latest answer's content; `head` is that answer's."""
        return self._response_reader.content if head.status >= self._response_reader.keep_from else b""

    def expire(self, now: float) -> None:
        """End the wait for the response, or for the connection: its timeout is over."""
        head = self._response_reader.head
        if head is not None:
            self._finish(head, now, reusable=False)
        else:
            connected, ready = self._socket is not None, self._send is not None
            self._fail(self._endpoint.timeout_error(connected=connected, ready=ready), sent=self._any_sent)

    def close(self) -> None:
        """Close the connection, whatever is under way; the handler is called no more."""
        self._pending = None
        self.busy = False
        self._shut()

    # Connecting.

    def _connect(self, now: float) -> None:
        self.due, self._connect_began = now + self._endpoint.connect_timeout, now
        if self._endpoint.tls is None and self._endpoint.make_tls is not None:
            try:
                self._endpoint.tls = self._endpoint.make_tls()
            except OSError as error:
                self._fail(error, sent=False)
                return
        self._connector = Connector(self._endpoint.resolver, self._endpoint.loop, self._on_connected)
        self._connector.begin()

    def _on_connected(self, made: Any, error: OSError | None) -> None:
        self._connector = None
        if error is not None:
            self._fail(error, sent=False)
            return
        self._socket, self._recv, self._fresh = made, made.recv, True
        self._read_watcher = self._endpoint.loop.io(made.fileno(), _READ)
        self._read_watcher.start(self._on_readable)
        if self._endpoint.tls is not None:
            self._tls, self._handshake_done = Tls(self._endpoint.tls, self._endpoint.target.name), False
            self._guard(lambda: self._handshake(b""))
        else:
            self._guard(self._send_pending)

    def _handshake(self, data: bytes) -> None:
        """Continue the TLS handshake with what the server sent."""
        assert self._tls is not None
        try:
            self._handshake_done = self._tls.handshake(data)
        except OSError as error:
            self._push(self._tls.outgoing())  # the alert that says why
            self._fail(WrongSchemeError(WRITE_HTTP) if met_plain(error) else error, sent=False)
            return
        self._push(self._tls.outgoing())
        if self._handshake_done and self.busy:
            self._send_pending()

    def _send_pending(self) -> None:
        """Send the request that waited for the connection."""
        assert self._pending is not None
        data, self._pending = self._pending, None
        self._send = self._socket.send
        now = now_s()
        self.due, self.connect_s = now + self._endpoint.answer_timeout, now - self._connect_began
        self._write(data)

    # Sending.

    def _write(self, data: bytes) -> None:
        request = data
        assert self._send is not None
        try:
            if self._tls is not None:
                data = self._tls.encrypt(data)
            count = self._send(data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._on_not_sent(request, error)
            return
        self._any_sent = count > 0
        if count < len(data):
            self._unsent = memoryview(data)[count:]
            self._await_write(self._on_writable)

    def _on_not_sent(self, request: bytes, error: OSError) -> None:
        """Handle that no byte of a request could be sent: over a connection that was used before, connect again."""
        fresh = self._fresh
        self._shut()
        if fresh:
            self._fail(error, sent=False)
        else:
            self._pending = request
            self._connect(now_s())

    def _push(self, data: bytes) -> None:
        """Send bytes of the handshake, after those that wait."""
        if not data:
            return
        self._unsent = memoryview((self._unsent.tobytes() if self._unsent is not None else b"") + data)
        self._flush()
        if self._unsent is not None:
            self._await_write(self._on_writable)

    def _flush(self) -> None:
        assert self._unsent is not None
        try:
            count = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._unsent = self._unsent[:0]  # reading will find the error, perhaps after a response that came early
            self._endpoint.loop.run_callback(self._on_readable)
            count = 0
        self._any_sent = self._any_sent or (count > 0 and self._send is not None)
        self._unsent = self._unsent[count:] or None

    def _on_writable(self) -> None:
        self._flush()
        if self._unsent is None:
            self._write_watcher.stop()

    def _await_write(self, then: Callable[[], None]) -> None:
        if self._write_watcher is None:
            self._write_watcher = self._endpoint.loop.io(self._socket.fileno(), WRITE)
        self._write_watcher.stop()
        self._write_watcher.start(self._guard, then)

    # Receiving.

    def _on_readable(self) -> None:
        try:
            self._receive()
        except Exception as error:  # noqa: BLE001 - the loop would only print it; the user must raise it
            self._handler.fail_user(error)

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - as above
            self._handler.fail_user(error)

    def _receive(self) -> None:
        if self._recv is None:
            return
        try:
            data = self._recv(_RECEIVE)
            if self._tls is not None and data:
                if not self._handshake_done:
                    self._handshake(data)
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
            self._shut()  # no request is under way, so this is no response
        else:
            self._read(data)

    def _decrypt(self, data: bytes) -> bytes | None:
        """Return what the server sent; empty if it has ended the connection, None if nothing is complete yet."""
        assert self._tls is not None
        plain = self._tls.decrypt(data)
        self._push(self._tls.outgoing())
        return plain or (b"" if self._tls.ended else None)

    def _read(self, data: bytes) -> None:
        reader = self._response_reader
        try:
            head = reader.feed(data)
        except BrokenAnswerError as error:
            if self._tls is None and begins_tls(data):
                self._fail(WrongSchemeError(WRITE_HTTPS), sent=False)
            else:
                self._lost(error)
            return
        if head is None:
            self.first_byte_at = self.first_byte_at or now_s()
        else:
            reusable = head.keep_alive and not reader.surplus and self._unsent is None
            if not reusable and self._tls is None and asks_for_tls(head.status, data):
                self._fail(WrongSchemeError(WRITE_HTTPS), sent=False)
            else:
                self._finish(head, now_s(), reusable=reusable)

    def _finish(self, head: ResponseHead, now: float, *, reusable: bool) -> None:
        body = self._response_reader.body
        self.busy, self._fresh, self.due, self._idle_since = False, False, NEVER, now
        if not reusable:
            self._shut()
        elif self._response_reader.head is not None:
            self._response_reader.begin()
        self._handler.answered(head, body, now)

    def _lost(self, error: Exception) -> None:
        """Handle the loss of the connection. A response whose head is whole counts: it says what the API did."""
        if not self.busy:
            self._shut()
        elif self._send is None:
            self._fail(error, sent=False)
        elif self._response_reader.head is not None:
            self._finish(self._response_reader.head, now_s(), reusable=False)
        else:
            self._fail(error, sent=self._any_sent and not (self._fresh and refuses_certificate(error)))

    def _check_closed(self) -> None:
        """Close the connection if the API has closed it while it was idle, which the loop may not have reported yet."""
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
            self._endpoint.loop.run_callback(lambda: self._guard(lambda: self._handler.failed(error, sent=sent)))

    def _shut(self) -> None:
        if self._connector is not None:
            self._connector.cancel()
        for watcher in (self._read_watcher, self._write_watcher):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        if self._socket is not None:
            self._socket.close()
        self._connector = self._socket = self._read_watcher = self._write_watcher = None
        self._tls = self._send = self._recv = self._unsent = None
        self._response_reader.begin()
        if self._pending is None:
            self.due = NEVER
