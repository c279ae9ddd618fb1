"""What connections to one API share, and what they expect of whoever owns them."""

from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Protocol

from traffic.http.http1 import ResponseHead
from traffic.http.resolver import Resolver, Target

NEVER = float("inf")


class ResponseHandler(Protocol):
    """Whom a connection serves."""

    def answered(self, head: ResponseHead, body: int, now: float) -> None:
        """The request was answered; `body` is the content's bytes."""

    def failed(self, error: Exception, *, sent: bool) -> None:
        """The request has no answer. `sent` False: no byte of it left."""

    def fail_user(self, error: Exception) -> None:
        """The owner's own code raised."""


@dataclass(slots=True)
class Endpoint:
    """What the connections to one API share. Timeouts are in seconds."""

    target: Target
    directory: Resolver
    loop: Any
    connect_timeout: float
    answer_timeout: float
    tls: SSLContext | None = None
    known: dict[bytes, ResponseHead] = field(default_factory=dict)

    def late(self, *, connected: bool, ready: bool) -> TimeoutError:
        """What was waited for in vain, and for how long: an answer if the connection was `ready` for requests."""
        if ready:
            return TimeoutError(f"timed out after {self.answer_timeout:g} s; a later answer is not waited for")
        what = "TLS handshake" if connected else "connection"
        return TimeoutError(f"timed out: no {what} within {self.connect_timeout:g} s")
