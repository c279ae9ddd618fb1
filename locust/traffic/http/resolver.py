"""Where the API is: a URL, parsed once, and the addresses of its name, looked up again after `FRESH_S`."""

import contextlib
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

# How long an answer of the name service is used.
FRESH_S = 30.0

# Family and address, as a socket takes them.
Address = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """An API by its URL: http://, https://, or http+unix:// with the socket's path percent-encoded as the host.

    `host` is the value of the Host field, `base` the beginning of every path, `credentials` that of Authorization.
    """

    tls: bool
    name: str
    port: int
    host: str
    base: str
    credentials: str | None
    unix: str | None

    @classmethod
    def of(cls, url: str) -> "Target":
        """Return the target of a URL. ValueError if it has no usable scheme or host."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "http+unix") or not parts.netloc:
            raise ValueError(f"the host must be a URL such as https://staging.example, not {url!r}")
        place = parts.netloc.rpartition("@")[2]
        base = parts.path.rstrip("/")
        credentials = None
        if parts.username is not None and parts.password is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password)}"
            credentials = "Basic " + b64encode(pair.encode()).decode("ascii")
        if parts.scheme == "http+unix":
            return cls(False, "", 0, "localhost", base, credentials, unquote(place))
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        return cls(tls, parts.hostname or "", port, place, base, credentials, None)

    def literal(self) -> list[Address] | None:
        """Return the addresses of a Unix socket or a number, which need no look-up; None for a name."""
        if self.unix is not None:
            return [(socket.AF_UNIX, self.unix)]
        try:
            return _addresses(self.name, self.port, socket.AI_NUMERICHOST)
        except socket.gaierror:
            return None

    def look_up(self) -> list[Address]:
        """Ask the name service for the addresses. socket.gaierror if it knows none."""
        return _addresses(self.name, self.port, 0)


def _addresses(name: str, port: int, flags: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"no name of a host: {error}") from error
    return [(int(family), address) for family, _, _, _, address in found]


def tls_context(*, insecure: bool, ca_file: str | None, certificate: str | tuple[str, str] | None) -> ssl.SSLContext:
    """Return how a class's users verify the API and authenticate. OSError, naming the file, if one cannot be used."""
    with _naming("ca_file", ca_file):
        context = ssl.create_default_context(cafile=ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        with _naming("client_certificate", certificate):
            # Without a function for the password, OpenSSL would ask for one at the terminal.
            file, key = (certificate, None) if isinstance(certificate, str) else certificate
            context.load_cert_chain(file, key, password=_no_password)
    return context


@contextlib.contextmanager
def _naming(attribute: str, value: object) -> Iterator[None]:
    """Add the file to an error: OpenSSL does not name it."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OSError(f"{attribute} {value!r} cannot be used: {error}") from error


def _no_password() -> str:
    raise ValueError("its key is encrypted: write it without a password (openssl pkey)")


class Resolver:
    """The addresses of one target. `spawn` runs a function concurrently; `clock` is in seconds.

    `resolve` calls back at once if the addresses are known and fresh.
    """

    def __init__(
        self, target: Target, spawn: Callable[[Callable[[], None]], object], clock: Callable[[], float]
    ) -> None:
        self._target, self._spawn, self._clock = target, spawn, clock
        self._known = target.literal()
        self._until = float("inf") if self._known is not None else 0.0
        self._waiting: list[Callable[[list[Address], OSError | None], None]] = []

    def resolve(self, on_done: Callable[[list[Address], OSError | None], None]) -> None:
        """Call `on_done` with the addresses, or with an empty list and why."""
        if self._known is not None and self._clock() < self._until:
            on_done(self._known, None)
            return
        self._waiting.append(on_done)
        if len(self._waiting) == 1:
            self._spawn(self._look_up)

    def forget(self) -> None:
        """Look the name up again next time: none of the addresses answered."""
        if self._until != float("inf"):
            self._until = 0.0

    def _look_up(self) -> None:
        error: OSError | None = None
        try:
            self._known = self._target.look_up()
            self._until = self._clock() + FRESH_S
        except OSError as caught:
            self._known, error = None, caught
        waiting, self._waiting = self._waiting, []
        for on_done in waiting:
            on_done(self._known or [], error)
