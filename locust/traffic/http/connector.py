"""Makes one connection: the name's addresses are asked for, and tried in their order until one takes it."""

import errno
import os
import socket as sockets
from collections.abc import Callable
from typing import Any

from gevent.monkey import get_original

from traffic.http.resolver import Address, Resolver

# The interpreter's own socket: gevent's would wait where this one is to say that it cannot go on.
_Socket: Any = get_original("socket", "socket")
WRITE = 2
# Of one address of several: this machine has nothing from where it could be reached.
_NO_WAY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Then = Callable[[Any, OSError | None], None]


class Connector:
    """One try to connect. `then` is called once: with a connected non-blocking socket, or with None and why."""

    __slots__ = ("_directory", "_loop", "_socket", "_then", "_untried", "_writer")

    def __init__(self, directory: Resolver, loop: Any, then: Then) -> None:
        self._directory, self._loop = directory, loop
        self._then: Then | None = then
        self._socket: Any = None
        self._writer: Any = None
        self._untried: list[Address] = []

    def begin(self) -> None:
        """Ask for the addresses, and try them."""
        self._directory.ask(self._on_addresses)

    def cancel(self) -> None:
        """Give up."""
        self._then = None
        self._hang_up()

    def _on_addresses(self, addresses: list[Address], error: OSError | None) -> None:
        if self._then is not None:
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
            error = self._telling(error, OSError(code, os.strerror(code)) if code > 0 else error)
            self._hang_up()
        self._directory.forget()
        self._tell(None, error)

    def _telling(self, before: OSError, now: OSError) -> OSError:
        """Which of two errors to tell: that this machine has no way to one address says less than another's answer."""
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
            self._hang_up()
            self._try_next(OSError(code, os.strerror(code)))
            return
        made, self._socket = self._socket, None
        self._hang_up()
        self._tell(made, None)

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
        if self._socket is not None:
            self._socket.close()
        self._writer = self._socket = None

    def _tell(self, made: Any, error: OSError | None) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(made, error)
