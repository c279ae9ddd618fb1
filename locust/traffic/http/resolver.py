"""Where the API is: a URL, taken apart once, and the addresses that its name stands for, looked up again in time."""

import contextlib
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

# So long an answer of the name service is used.
FRESH_S = 30.0

# Family and address, as a socket takes them.
Address = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """An API by its URL: http://, https://, or http+unix:// with the socket's path percent-encoded as the host.

    `host` is what stands in the Host field, `base` what every path begins with, `credentials` an Authorization.
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
        """The target of a URL. ValueError where it has no usable scheme or host."""
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
        """The addresses where none needs to be looked up: of a Unix socket or a number; else None."""
        if self.unix is not None:
            return [(socket.AF_UNIX, self.unix)]
        try:
            return _addresses(self.name, self.port, socket.AI_NUMERICHOST)
        except socket.gaierror:
            return None

    def look_up(self) -> list[Address]:
        """Ask the name service. socket.gaierror where it knows none."""
        return _addresses(self.name, self.port, 0)


def _addresses(name: str, port: int, flags: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"no name of a host: {error}") from error
    return [(int(family), address) for family, _, _, _, address in found]


def tls_context(*, insecure: bool, ca_file: str | None, certificate: str | tuple[str, str] | None) -> ssl.SSLContext:
    """How the users of a class verify the API and show who they are. OSError, naming it, where a file is no good."""
    with _naming("ca_file", ca_file):
        context = ssl.create_default_context(cafile=ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        with _naming("client_certificate", certificate):
            # Without a function that knows a password, OpenSSL would ask for it at the terminal.
            file, key = (certificate, None) if isinstance(certificate, str) else certificate
            context.load_cert_chain(file, key, password=_no_password)
    return context


@contextlib.contextmanager
def _naming(attribute: str, value: object) -> Iterator[None]:
    """Say of an error which file it is about: OpenSSL does not."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OSError(f"{attribute} {value!r} cannot be used: {error}") from error


def _no_password() -> str:
    raise ValueError("its key is encrypted: write it without a password (openssl pkey)")


class Resolver:
    """The addresses of one target. `spawn` runs a function beside the caller; `clock` is in seconds.

    `ask` calls back at once where the addresses are known and fresh.
    """

    def __init__(
        self, target: Target, spawn: Callable[[Callable[[], None]], object], clock: Callable[[], float]
    ) -> None:
        self._target, self._spawn, self._clock = target, spawn, clock
        self._known = target.literal()
        self._until = float("inf") if self._known is not None else 0.0
        self._waiting: list[Callable[[list[Address], OSError | None], None]] = []

    def ask(self, then: Callable[[list[Address], OSError | None], None]) -> None:
        """Call `then` with the addresses, or with none and why."""
        if self._known is not None and self._clock() < self._until:
            then(self._known, None)
            return
        self._waiting.append(then)
        if len(self._waiting) == 1:
            self._spawn(self._look_up)

    def forget(self) -> None:
        """Look up anew at the next time: none of the addresses answered."""
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
        for then in waiting:
            then(self._known or [], error)
