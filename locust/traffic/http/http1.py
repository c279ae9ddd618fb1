"""HTTP/1.1 as replay needs it: the bytes of a request, and what the head of an answer means (RFC 9112).

A head is parsed once and remembered by its bytes: a server sends the same head again and again, so the next one costs a
look into a dict. Nothing here opens a socket or knows the time.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from traffic.core.headers import TCHARS

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [\t \x21-\x7e\x80-\xff]*)?\Z")
_FIELD = re.compile(rb"(" + TCHARS.encode() + rb"):[ \t]*([^\x00\r\n]*?)[ \t]*\Z")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_NAME = re.compile(TCHARS + r"\Z")
# So many heads are remembered at most, so that a server that numbers its answers does not fill the memory.
REMEMBERED = 256

CHUNKED = -1
UNTIL_CLOSE = -2

_INFORMATIONAL = range(100, 200)
_SWITCHING = 101
_BODILESS = frozenset({204, 304})


class BrokenAnswerError(Exception):
    """The bytes that came are no valid HTTP/1.1 answer."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseHead:
    """The head of an answer. `length` is the body's in bytes, or CHUNKED, or UNTIL_CLOSE.

    `keep_alive`: the connection may be used again. `fields` are in their order, with names in lower case.
    """

    status: int
    length: int
    keep_alive: bool
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the first value of a field, by its name in lower case; None if it is absent."""
        return next((value for field, value in self.fields if field == name), None)

    @property
    def informational(self) -> bool:
        """Whether another head follows, so that this one is no answer yet."""
        return self.status in _INFORMATIONAL


def read_head(data: bytes, *, bodiless: bool = False) -> ResponseHead:
    """Parse a whole head, its empty line included; `bodiless`: the request was HEAD. BrokenAnswerError if not valid."""
    lines = [line.removesuffix(b"\r") for line in _FOLD.sub(b" ", data).split(b"\n")]
    found = _STATUS_LINE.match(lines[0])
    if not found:
        raise BrokenAnswerError(f"an answer begins with a status line of HTTP/1.1, not with {lines[0][:40]!r}")
    status, fields = int(found[2]), tuple(_read_field(line) for line in lines[1:] if line)
    if status == _SWITCHING:
        raise BrokenAnswerError("the answer switches to a protocol that was not asked for")
    length = 0 if bodiless else _length(status, fields)
    said = _members(fields, "connection")
    keep_alive = "close" not in said and (found[1] != b"0" or "keep-alive" in said) and length != UNTIL_CLOSE
    if length == CHUNKED and (found[1] == b"0" or _values(fields, "content-length")):
        keep_alive = False  # RFC 9112 6.1 and 6.3: what follows may be framed otherwise
    return ResponseHead(status, length, keep_alive, fields)


def _read_field(line: bytes) -> tuple[str, str]:
    found = _FIELD.match(line)
    if not found:
        raise BrokenAnswerError(f"a field of the answer's head is no name and value: {line[:40]!r}")
    return found[1].decode("ascii").lower(), found[2].decode("latin-1")


def _values(fields: Iterable[tuple[str, str]], name: str) -> list[str]:
    return [value for field, value in fields if field == name]


def _members(fields: Iterable[tuple[str, str]], name: str) -> list[str]:
    """Return the members of a list field, in lower case (RFC 9110 5.6.1)."""
    return [
        part.strip(" \t").lower() for value in _values(fields, name) for part in value.split(",") if part.strip(" \t")
    ]


def _length(status: int, fields: tuple[tuple[str, str], ...]) -> int:
    """Return the body's length, or how it ends (RFC 9112 6.3)."""
    if status in _INFORMATIONAL or status in _BODILESS:
        return 0
    codings = _members(fields, "transfer-encoding")
    if codings:
        return CHUNKED if codings[-1] == "chunked" else UNTIL_CLOSE
    lengths = {part.strip(" \t") for value in _values(fields, "content-length") for part in value.split(",")}
    if not lengths:
        return UNTIL_CLOSE
    if len(lengths) > 1 or not all(map(_LENGTH.match, lengths)):
        raise BrokenAnswerError(f"the answer's Content-Length is {', '.join(sorted(lengths)):.60}")
    return int(lengths.pop())


def request_prefix(method: str, path: str, host: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes of every request of a run, up to the record's index, which ends the last header's value.

    ValueError if a name or value cannot stand in a head.
    """
    headers = list(headers)
    for name, value in [*headers, ("method", method), ("path", path), ("host", host)]:
        if not _NAME.match(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ValueError(f"{name!r}: {value!r} cannot stand in the head of a request")
    if not _NAME.match(method) or not re.fullmatch(r"[!-~]+", path):
        raise ValueError(f"{method!r} {path!r} cannot begin a request: percent-encode what is not ASCII")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1")


def request_bytes(prefix: bytes, index: int, body: bytes, more: bytes = b"") -> bytes:
    """Return a record's request. The body is copied once, behind its head, so that one call sends both.

    `more` are fields of this request alone, each with its line break.
    """
    return b"%b%d\r\n%bContent-Length: %d\r\n\r\n%b" % (prefix, index, more, len(body), body)
