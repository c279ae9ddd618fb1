"""Makes the record of one recorded request: which of its fields are sent again, under which name it is counted.

The rule that this module guards: a record is one request, to the run's own host. Nothing in a file can make it two, or
send it elsewhere.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from traffic.core import request_record
from traffic.core.headers import USER_AGENT, Field, has_field, recorded
from traffic.core.reading import Reading
from traffic.core.request_record import REFUSED_METHODS, Names, check_method

_NOT_ASCII = re.compile(r"[\x80-\xff]")
# What stays as it is in a path: what is encoded, and all that may stand there by itself.
_SAFE = "%/:?@!$&'()*+,;=-._~[]|\"<>\\^`{}"


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as its file has it. `time_ns` is when it was sent, in nanoseconds since 1970; None: nobody says."""

    method: str
    url: str
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    time_ns: int | None = None
    name: str = ""


class LeftOutError(Exception):
    """A request that is not sent: `reasons` say so of several and of one, to follow a number."""

    def __init__(self, many: str, one: str) -> None:
        super().__init__(one)
        self.reasons = many, one


class RequestBuilder:
    """Makes records as the `reading` says. `allowed` are the methods that a format sends if the reading names none.

    `because` says why, to follow "requests are POST".
    """

    def __init__(self, reading: Reading, allowed: Iterable[str] = (), because: str = "") -> None:
        self._methods, self._because = frozenset(reading.methods or allowed), "" if reading.methods else because
        self._keep_host, self._names = reading.keep_host, Names()
        self.left_out: Counter[tuple[str, str]] = Counter()

    def record(self, request: RecordedRequest) -> bytes:
        """Return a request's record. LeftOutError if it is not sent; ValueError, for "record 7 ...", if it is none."""
        method = request.method.upper() if request.method.isascii() else request.method
        check_method(method)
        if method in REFUSED_METHODS:
            raise _of_method(method, "")
        if self._methods and method not in self._methods:
            raise _of_method(method, self._because)
        path = path_of(request.url)
        fields = recorded(request.fields, keep_host=self._keep_host)
        if not has_field(fields, "user-agent"):
            fields.append(USER_AGENT)
        # The host comes first, if it is sent at all: there the sender looks for it.
        fields.sort(key=lambda field: field[0].lower() != "host")
        fields = [("Host" if name.lower() == "host" else name, value) for name, value in fields]
        name = self._names.name(method, request.name or request_record.template_of(path))
        return request_record.pack(name, method, path, fields, request.body)

    def leave_out(self, error: LeftOutError) -> None:
        """Count a request that is not sent."""
        self.left_out[error.reasons] += 1


def _of_method(method: str, because: str) -> LeftOutError:
    what = f"{method[:20]}{because}, and left out"
    return LeftOutError(f"requests are {what}", f"request is {what}")


def of_bytes(url: str) -> str:
    """Return a URL, in which each character is one byte, with those that are not ASCII percent-encoded."""
    return _NOT_ASCII.sub(lambda found: f"%{ord(found[0]):02X}", url)


def path_of(url: str) -> str:
    """Return the path and query of a URL, percent-encoded; its host, if it has one, is left out. ValueError if none."""
    if any(char in url for char in "\r\n\0"):
        raise ValueError("has a line break or NUL in its URL")
    url = url.partition("#")[0]
    path, mark, query = url.partition("?")
    if not url.startswith("/") or url.startswith("//"):
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ValueError(f"has the URL {url[:80]!r}, which is none ({error})") from error
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
            raise ValueError(f"has the URL {url[:80]!r}: it must begin with /, http:// or https://")
        path, query = parts.path or "/", parts.query
    return quote(path, safe=_SAFE) + mark + quote(query, safe=_SAFE)
