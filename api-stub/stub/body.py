"""Reads bodies. Rule: one body, and all incomplete bodies together, have a bound in memory.

The connection bounds the time that a body may take (see `connection`).
"""

from starlette.types import Message as Event
from starlette.types import Receive

from stub.problem import Problem, unavailable

ALL_BODIES = 64 * 1024 * 1024  # bytes of bodies that are not complete


class ClientGoneError(Exception):
    """The client disconnected before its request was complete; nobody waits for an answer."""


class BodyReader:
    """Reads the bodies of all requests of a stub: `most` bytes for one, `together` for all that are incomplete."""

    def __init__(self, most: int, together: int = ALL_BODIES) -> None:
        self._most = most
        self._together = together
        self._incomplete = 0

    async def read(self, length: bytes | None, receive: Receive) -> bytes:
        """Return a complete body. Raises Problem if it, or all incomplete bodies together, are too large.

        `length` is the request's Content-Length, if there is one. Raises ClientGoneError.
        """
        if length is not None and int(length) > self._most:
            raise self._too_large()
        event = await receive()
        body = _part(event)
        if event.get("more_body"):
            return await self._read_rest(body, receive)
        if len(body) > self._most:
            raise self._too_large()
        return body

    async def _read_rest(self, first: bytes, receive: Receive) -> bytes:
        body = bytearray()
        part, more = first, True
        try:
            while True:
                body += part
                self._incomplete += len(part)
                if len(body) > self._most:
                    raise self._too_large()
                if self._incomplete > self._together:
                    raise unavailable("not stored: too many bodies are incomplete; send it again")
                if not more:
                    return bytes(body)
                event = await receive()
                part, more = _part(event), event.get("more_body", False)
        finally:
            self._incomplete -= len(body)

    def _too_large(self) -> Problem:
        return Problem(413, f"the body must be at most {self._most} bytes")


def _part(event: Event) -> bytes:
    if event["type"] == "http.disconnect":
        raise ClientGoneError
    part: bytes = event.get("body", b"")
    return part
