"""What connections to one API share, and what they call on their handlers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Protocol

from traffic.http.http1 import ResponseHead
from traffic.http.resolver import Resolver, Target

NEVER = float("inf")


class ResponseHandler(Protocol):
    """What a connection calls when its request has ended."""

    def answered(self, head: ResponseHead, body: int, now: float) -> None:
        """Handle a response; `body` is the length of its content in bytes, `now` the time by `now_s`."""

    def failed(self, error: Exception, *, sent: bool) -> None:
        """Handle that the request has no response. `sent` False: no byte of it left."""

    def fail_user(self, error: Exception) -> None:
        """Make the user raise an error of the locustfile's code, or of ours."""


@dataclass(slots=True)
class Endpoint:
    """What the connections to one API share. Timeouts are in seconds.

    `make_tls` makes the encryption of an https API when it is needed first; it raises OSError if a file cannot be used.
    """

    target: Target
    resolver: Resolver
    loop: Any
    connect_timeout: float
    answer_timeout: float
    make_tls: Callable[[], SSLContext] | None = None
    tls: SSLContext | None = None
    known: dict[bytes, ResponseHead] = field(default_factory=dict)

    def timeout_error(self, *, connected: bool, ready: bool) -> TimeoutError:
        """Return an error that says what did not come in time: the answer, if the connection was `ready`."""
        if ready:
            return TimeoutError(f"timed out after {self.answer_timeout:g} s; a later answer is not waited for")
        what = "TLS handshake" if connected else "connection"
        return TimeoutError(f"timed out: no {what} within {self.connect_timeout:g} s")
