"""An answer before it is sent. Rule: it is complete before its first byte is sent, so that a fault can replace it."""

import msgspec
from starlette.types import Send

from stub.message import WriteOutcome, WriteResult, encode_message
from stub.problem import MEDIA_TYPE, Headers, Problem


class PreparedAnswer(msgspec.Struct, frozen=True):
    """A status, headers and a body."""

    status: int
    headers: Headers
    body: bytes

    async def start(self, send: Send) -> None:
        """Send the head."""
        headers = [*self.headers, (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})

    async def send(self, send: Send) -> None:
        """Send all of it."""
        await self.start(send)
        await send({"type": "http.response.body", "body": self.body})


def created(written: WriteResult) -> PreparedAnswer:
    """Return a 201: stored, now or earlier."""
    location = f"/messages/{written.stored.id}".encode()
    headers = [(b"content-type", b"application/json"), (b"location", location)]
    if written.outcome is WriteOutcome.REPLAYED:
        headers.append((b"idempotency-replayed", b"true"))
    return PreparedAnswer(201, headers, encode_message(written.stored))


def refused(problem: Problem) -> PreparedAnswer:
    """Return a problem as an answer."""
    return PreparedAnswer(problem.status, [(b"content-type", MEDIA_TYPE), *problem.headers], problem.body)
