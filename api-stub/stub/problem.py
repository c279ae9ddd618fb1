"""Errors in the form of RFC 9457. Rule: each names the rule that was broken, the value seen, and the remedy."""

from http import HTTPStatus

import msgspec

from stub.documents import ProblemDetails

MEDIA_TYPE = b"application/problem+json"
RETRY_AFTER = 1  # seconds

Headers = list[tuple[bytes, bytes]]


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer that is an error: a status, a sentence for people, and headers."""

    def __init__(self, status: int, detail: str, headers: Headers | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or []

    @property
    def body(self) -> bytes:
        """The problem document. It has no `type`, which means `about:blank`: the status says enough."""
        known = self.status in HTTPStatus._value2member_map_
        title = HTTPStatus(self.status).phrase if known else "Error"
        return msgspec.json.encode(ProblemDetails(title=title, status=self.status, detail=self.detail))


def unavailable(detail: str) -> Problem:
    """Return a 503: try again in a moment, with the same key."""
    return Problem(503, detail, [(b"retry-after", str(RETRY_AFTER).encode())])
