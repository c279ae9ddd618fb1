"""A record that is a whole request: its name, its first line without the version, its fields, and its body.

These are its bytes, in the cache and in leases, so that nobody has to parse more than line ends to send it:

    <name> CR LF <method> SP <path> CR LF { <field> ": " <value> CR LF } CR LF <body>

What only the sender knows (the host, the key, the body's length) is put in between.
"""

import re
from collections.abc import Iterable

from traffic.core.headers import TCHARS, Field, fault

_METHOD = re.compile(TCHARS)
_PATH = re.compile(r"/[!-~]*")
# Methods that make no request of an origin server that could be sent again (RFC 9110 9.3.6, 9.3.8).
REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})
OTHER = "(other)"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_VARIABLE = re.compile(rf"{_UUID}|[0-9]+|[0-9a-fA-F]{{16,}}|[0-9A-HJKMNP-TV-Z]{{26}}")


def check_method(method: str) -> None:
    """Raise ValueError, to follow "record 7", if this is no method of HTTP."""
    if not _METHOD.fullmatch(method):
        raise ValueError(f"has the method {method[:40]!r}, which is no token of HTTP")


def pack(name: str, method: str, path: str, fields: Iterable[Field], body: bytes) -> bytes:
    """Return a request's record. ValueError, to follow "record 7", if it could not be sent as one request."""
    check_method(method)
    if not _PATH.fullmatch(path):
        raise ValueError(f"has the path {path[:80]!r}: it must begin with /, and be percent-encoded")
    lines = [f"{method} {path}"]
    for field, value in fields:
        if why := fault(field, value):
            raise ValueError(f"cannot be sent: {why}")
        lines.append(f"{field}: {value}")
    head = "\r\n".join([re.sub(r"[\x00-\x1f\x7f]", " ", name).encode("utf-8").decode("latin-1"), *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def split(record: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return a record's name, its first line, its fields, each with its line break, and its body."""
    name, _, rest = record.partition(b"\r\n")
    head, _, body = rest.partition(b"\r\n\r\n")
    line, _, fields = head.partition(b"\r\n")
    return name, line, fields + b"\r\n" if fields else b"", body


def body_of(record: bytes) -> bytes:
    """Return a record's body."""
    return record.partition(b"\r\n\r\n")[2]


def method_and_path(line: bytes) -> tuple[str, str]:
    """Return what a record's first line says."""
    method, _, path = line.decode("latin-1").partition(" ")
    return method, path


def fields_of(fields: bytes) -> list[Field]:
    """Return a head's fields as pairs."""
    lines = fields.decode("latin-1").split("\r\n")
    return [(name, value.strip(" ")) for name, _, value in (line.partition(":") for line in lines if line)]


def template_of(path: str) -> str:
    """Return a path without its query, and with {id} for every part that is a number, a UUID or a long code."""
    parts = path.partition("?")[0].split("/")
    return "/".join("{id}" if _VARIABLE.fullmatch(part) else part for part in parts)


class Names:
    """The names under which a file's requests are counted: the first `most` of them, and `OTHER` for the rest."""

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._known: set[str] = set()

    def name(self, method: str, wanted: str) -> str:
        """Return the name for a request of this method that is wanted under a name."""
        key = f"{method} {wanted}"
        if key not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(key)
        return wanted
