"""What a dead letter keeps of the API's answer: the beginning of its body, and the fields that explain it.

Guarded here: an excerpt is small, whatever the API answers, and holds no credentials: only fields of `KEPT_FIELDS`.
"""

import base64
import codecs
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from traffic.core import wire
from traffic.core.headers import Field

# So much of a body is kept, in bytes: an error's words, and not a page of HTML with its style.
MOST_BODY = 2048
# Of one field's value, in characters; a request id has some dozens.
MOST_VALUE = 256
# Fields by which people find out what went wrong: where to go instead, when to come back, which credentials are wanted
# (RFC 9110), and by what name the API's own log has the request (W3C Trace Context; usage of proxies and clouds).
KEPT_FIELDS = frozenset(
    {
        *("location", "retry-after", "www-authenticate", "allow", "traceparent"),
        *("x-request-id", "request-id", "x-correlation-id", "correlation-id", "x-trace-id", "x-amzn-requestid"),
        *("x-amz-request-id", "x-amzn-trace-id", "x-ms-request-id", "x-github-request-id", "x-cloud-trace-context"),
        "cf-ray",
    }
)
# RFC 9110 8.4.1; x-gzip is its older name.
_GZIP = frozenset({"gzip", "x-gzip"})
_ANY_HEADER = 32 + zlib.MAX_WBITS
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([\w.:-]{1,40})', re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of an answer's `body`, of `length` bytes in all; its content type, and the fields that matter."""

    content_type: str
    fields: tuple[Field, ...]
    body: bytes
    length: int

    @classmethod
    def of(cls, fields: Iterable[Field], body: bytes, length: int) -> "Excerpt":
        """Make the excerpt of an answer from its fields (names in any case) and the beginning of its content.

        `length` counts the content as it came; if that was compressed, the excerpt has it decompressed.
        """
        named = [(name.lower(), value[:MOST_VALUE]) for name, value in fields]
        first = dict(reversed(named))
        if first.get("content-encoding", "").lower() in _GZIP:
            body = _decompressed(body)
        kept = tuple(field for field in named if field[0] in KEPT_FIELDS)
        return cls(first.get("content-type", ""), kept, body[:MOST_BODY], length)

    @property
    def text(self) -> str | None:
        """The body as text, in the charset that its content type names, or in UTF-8; None if it is no text."""
        charset = _CHARSET.search(self.content_type)
        return text_of(self.body, charset[1] if charset else "utf-8", cut=self.cut)

    @property
    def cut(self) -> bool:
        """Whether the answer had more than the excerpt has."""
        return self.length > len(self.body)

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        return len(self.body) + len(self.content_type) + sum(len(name) + len(value) for name, value in self.fields)

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [self.content_type, [list(field) for field in self.fields], self.body, self.length]

    @classmethod
    def from_wire(cls, data: Any) -> Self | None:
        """Read the fields in their order, None is no excerpt; what is too long is cut. ProtocolError for others."""
        if data is None:
            return None
        content_type, fields, body, length = wire.many(data)
        pairs = [wire.many(pair) for pair in wire.many(fields)][: len(KEPT_FIELDS)]
        read = tuple((wire.text(name)[:MOST_VALUE], wire.text(value)[:MOST_VALUE]) for name, value in pairs)
        return cls(wire.text(content_type)[:MOST_VALUE], read, wire.raw(body)[:MOST_BODY], wire.whole(length))

    def to_json(self) -> dict[str, Any]:
        """Return it as a dead letter has it: `text`, or `base64` if it is none."""
        text = self.text
        shown = {"text": text} if text is not None else {"base64": base64.b64encode(self.body).decode()}
        return {"content_type": self.content_type, "fields": dict(self.fields), **shown, "bytes": self.length}


def text_of(content: bytes, coding: str = "utf-8", *, cut: bool) -> str | None:
    """Return content as text; None if it is none. `cut`: there is more of it, so its last character may be a part."""
    try:
        b"".decode(coding)  # LookupError if it is no text's, such as base64
        text = codecs.getincrementaldecoder(coding)().decode(content, final=not cut)
    except (LookupError, ValueError):
        return None
    return None if _CONTROL.search(text) else text


def _decompressed(body: bytes) -> bytes:
    """Return the beginning of what was compressed; the body itself if it was not."""
    try:
        return zlib.decompressobj(_ANY_HEADER).decompress(body, MOST_BODY)
    except zlib.error:
        return body
