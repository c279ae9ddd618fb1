"""Access logs: Combined, as nginx and Apache write it, of AWS's Application Load Balancer, and of CloudFront.

A log has no bodies, so only GET and HEAD are sent unless a person names other methods. What its time means differs:
Apache's is when a request began; nginx writes when it ended, so `request_time` is taken off if the line has it; the
load balancer has both; CloudFront's is the end, and the line has how long it took.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from urllib.parse import unquote

from traffic.core.headers import TCHARS, Field
from traffic.dataset.from_requests.builder import LeftOutError, RecordedRequest, of_bytes
from traffic.dataset.from_requests.convert import Found, Place
from traffic.dataset.source import Source
from traffic.dataset.timestamps import iso, nanoseconds

SENT = ("GET", "HEAD")
BECAUSE = " (a log has no bodies)"
COMBINED = re.compile(
    r"(?P<client>\S+) \S+ (?P<user>.*?) \[(?P<time>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}|-)(?: \S+)?'
    r'(?: "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?(?P<rest>.*)'
)
ALB = re.compile(r"(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT[\d:.]+Z app/\S+ ")
CLOUDFRONT = "#Version:"
# As the logs have them, whatever the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_REQUEST = re.compile(rf"({TCHARS}) (\S+)(?: HTTP/\d(?:\.\d)?)?")
_TOOK = re.compile(r'\b(?:rt|request_time|urt)[=:]"?(\d+\.\d+)')
_ESCAPE = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_NONE = ("lines have no request (a broken or a late one), and are left out", "line has no request, and is left out")
_ALB_REQUEST, _ALB_AGENT, _ALB_CREATED, _ALB_TIME = 12, 13, 21, 1
_MOST = 1 << 20
_CLOUDFRONT_FIELDS = (("Referer", "cs(Referer)"), ("User-Agent", "cs(User-Agent)"), ("Cookie", "cs(Cookie)"))

Read = Callable[[str], RecordedRequest]


def parse_combined(source: Source) -> Iterator[Found]:
    """Yield the request of each line of a Combined, or Common, log."""
    for number, done, line in source.lines(_MOST):
        if line.strip():
            yield Place(number, done), _found(_combined, line)


def parse_alb(source: Source) -> Iterator[Found]:
    """Yield the request of each line of a load balancer's log."""
    for number, done, line in source.lines(_MOST):
        if line.strip():
            yield Place(number, done), _found(_alb, line)


def parse_cloudfront(source: Source) -> Iterator[Found]:
    """Yield the request of each line of CloudFront's standard log; its comment says which fields the lines have."""
    names: list[str] = []
    for number, done, line in source.lines(_MOST):
        text = line.decode("latin-1")
        if text.startswith("#"):
            if text.startswith("#Fields:"):
                names = text.removeprefix("#Fields:").split()
            continue
        if text.strip():
            yield Place(number, done), _found(partial(_cloudfront, names), line)


def _found(read: Read, line: bytes) -> RecordedRequest | Exception:
    try:
        return read(line.decode("latin-1"))
    except (ValueError, LeftOutError) as error:
        return error


def _combined(line: str) -> RecordedRequest:
    found = COMBINED.fullmatch(line)
    if not found:
        raise ValueError(f"is no line of an access log: {line[:60]!r}")
    asked = _asked(_unescaped(found["request"]))
    fields = _fields(("Referer", found["referer"]), ("User-Agent", found["agent"]))
    took = _TOOK.search(found["rest"])
    time_ns = _log_time(found["time"]) - (round(float(took[1]) * 1e9) if took else 0)
    return RecordedRequest(*asked, fields, b"", time_ns)


def _alb(line: str) -> RecordedRequest:
    parts = [quoted or plain for quoted, plain in _PART.findall(line)]
    if len(parts) <= _ALB_AGENT:
        raise ValueError(f"is no line of a load balancer's log: {line[:60]!r}")
    method, url = _asked(_unescaped(parts[_ALB_REQUEST]))
    if url.startswith("-") or "://-" in url:
        raise LeftOutError(*_NONE)
    created = parts[_ALB_CREATED] if len(parts) > _ALB_CREATED and parts[_ALB_CREATED] != "-" else parts[_ALB_TIME]
    return RecordedRequest(method, url, _fields(("User-Agent", parts[_ALB_AGENT])), b"", iso(created))


def _cloudfront(names: list[str], line: str) -> RecordedRequest:
    if not names:
        raise ValueError("stands before the line #Fields:, which names the columns")
    values = line.split("\t")
    if len(values) != len(names):
        raise ValueError(f"has {len(values)} columns, and #Fields: names {len(names)}")
    row = dict(zip(names, values, strict=True))
    try:
        at = datetime.fromisoformat(f"{row['date']}T{row['time']}").replace(tzinfo=UTC)
        took = float(row.get("time-taken") or 0)
        method, path, query = row["cs-method"], unquote(row["cs-uri-stem"], "latin-1"), row["cs-uri-query"]
    except KeyError as error:
        raise ValueError(f"is of a log without the column {error.args[0]!r}") from error
    given = [(name, row.get(column, "-")) for name, column in _CLOUDFRONT_FIELDS]
    fields = _fields(*((name, unquote(value)) for name, value in given))
    url = path if query == "-" else f"{path}?{unquote(query, 'latin-1')}"
    return RecordedRequest(method, of_bytes(url), fields, b"", nanoseconds(at) - round(took * 1e9))


def _asked(request: str) -> tuple[str, str]:
    """Return the method and the URL of a request's first line. LeftOutError if it is none."""
    found = _REQUEST.fullmatch(request)
    if not found or not (found[2].startswith("/") or "://" in found[2]):
        raise LeftOutError(*_NONE)
    return found[1], of_bytes(found[2])


def _fields(*given: tuple[str, str | None]) -> tuple[Field, ...]:
    return tuple((name, _unescaped(value)) for name, value in given if value and value != "-")


def _unescaped(text: str) -> str:
    """Return a value without the escapes of nginx and Apache; it is Latin-1: one character for each byte."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def _log_time(text: str) -> int:
    """Return `10/Oct/2000:13:55:36 -0700` in nanoseconds since 1970."""
    day, month, rest = text.split("/")
    year, hour, minute, second = rest[:4], rest[5:7], rest[8:10], rest[11:13]
    if month not in _MONTHS:
        raise ValueError(f"has the time {text!r}, which is none")
    zone = rest[14:]
    return iso(f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{hour}:{minute}:{second}{zone[:3]}:{zone[3:]}")
