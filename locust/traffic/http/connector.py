"""Makes one connection: resolves the name, and tries its addresses in their order until one accepts."""

import errno
import os
import socket as sockets
from collections.abc import Callable
from typing import Any

from gevent.monkey import get_original

from traffic.http.resolver import Address, Resolver

# The interpreter's own socket: gevent's would wait instead of raising BlockingIOError.
_Socket: Any = get_original("socket", "socket")
WRITE = 2
# This machine has no address from which this one of several could be reached.
_NO_WAY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

OnDone = Callable[[Any, OSError | None], None]


class Connector:
    """One attempt to connect. `on_done` is called once: with a connected non-blocking socket, or with None and why."""

    __slots__ = ("_loop", "_on_done", "_resolver", "_socket", "_untried", "_writer")

    def __init__(self, resolver: Resolver, loop: Any, on_done: OnDone) -> None:
        self._resolver, self._loop = resolver, loop
        self._on_done: OnDone | None = on_done
        self._socket: Any = None
        self._writer: Any = None
        self._untried: list[Address] = []

    def begin(self) -> None:
        """Resolve the name, and try the addresses."""
        self._resolver.resolve(self._on_addresses)

    def cancel(self) -> None:
        """Stop; `on_done` is not called."""
        self._on_done = None
        self._close()

    def _on_addresses(self, addresses: list[Address], error: OSError | None) -> None:
        if self._on_done is not None:
            self._untried = addresses.copy()
            self._try_next(error or OSError("the name has no address"))

    def _try_next(self, error: OSError) -> None:
        while self._untried:
            family, address = self._untried.pop(0)
            try:
                code = self._open(family).connect_ex(address)
            except OSError as caught:
                error, code = caught, -1
            if code in (0, errno.EINPROGRESS):
                self._writer = self._loop.io(self._socket.fileno(), WRITE)
                self._writer.start(self._on_writable)
                return
            error = self._more_telling(error, OSError(code, os.strerror(code)) if code > 0 else error)
            self._close()
        self._resolver.forget()
        self._finish(None, error)

    def _more_telling(self, before: OSError, now: OSError) -> OSError:
        """Return the error to report: "no way to this address" says less than what another address answered."""
        return before if now.errno in _NO_WAY and before.errno not in (None, *_NO_WAY) else now

    def _open(self, family: int) -> Any:
        self._socket = _Socket(family, sockets.SOCK_STREAM)
        self._socket.setblocking(False)
        if family != sockets.AF_UNIX:
            self._socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        return self._socket

    def _on_writable(self) -> None:
        code = self._socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if code:
            self._close()
            self._try_next(OSError(code, os.strerror(code)))
            return
        made, self._socket = self._socket, None
        self._close()
        self._finish(made, None)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
        if self._socket is not None:
            self._socket.close()
        self._writer = self._socket = None

    def _finish(self, made: Any, error: OSError | None) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(made, error)
