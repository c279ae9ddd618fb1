"""GoReplay's files (.gor): requests as they were on the wire, each behind a line that says what and when.

    1 <id> <nanoseconds since 1970> LF <request> LF 🐵🙈🙉 LF

1 is a request, 2 and 3 are answers. The line between two messages may stand in a body as well, so a body ends where its
own framing says so.
"""

import re
from collections.abc import Iterator

from traffic.core.headers import Field
from traffic.dataset.from_requests.builder import LeftOutError, RecordedRequest, of_bytes
from traffic.dataset.from_requests.convert import Found, Place
from traffic.dataset.scan import MAX_RECORD
from traffic.dataset.source import Source

SEPARATOR = "\n🐵🙈🙉\n".encode()
META = re.compile(rb"([123]) ([0-9a-fA-F]+) (\d{1,19})(?: -?\d+)?\n")
META_TEXT = re.compile(META.pattern.decode())
_LINE = re.compile(r"([!-~]+) ([^ ]+) HTTP/\d(?:\.\d)?")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_PIECE = 1 << 20
_REQUEST = b"1"
_CUT = (
    "requests were cut off as they were recorded, and left out",
    "request was cut off as it was recorded, and left out",
)


def parse(source: Source) -> Iterator[Found]:
    """Yield the requests."""
    for line, done, message in _messages(source):
        meta = META.match(message)
        if meta is None:
            yield Place(line, done), ValueError("does not begin with a line of GoReplay's, such as 1 ID TIME")
        elif meta[1] == _REQUEST:
            try:
                yield Place(line, done), _request(message[meta.end() :], int(meta[3]))
            except (ValueError, LeftOutError) as error:
                yield Place(line, done), error


def _messages(source: Source) -> Iterator[tuple[int, int, bytes]]:
    """Yield each message with the line that it begins at, and where the file was read up to."""
    at, line, rest = 0, 1, b""
    while piece := source.read(at, _PIECE):
        at += len(piece)
        rest += piece
        last = at >= source.size
        begin = 0
        while (end := _end(rest, begin, last=last)) is not None:
            if rest[begin:end].strip():
                yield line, at, rest[begin:end]
            line += rest.count(b"\n", begin, min(end + len(SEPARATOR), len(rest)))
            begin = min(end + len(SEPARATOR), len(rest))
            if begin >= len(rest):
                break
        rest = rest[begin:]


def _end(data: bytes, begin: int, *, last: bool) -> int | None:
    """Return where the message ends that begins there; None if that is not known before more is read."""
    end = data.find(SEPARATOR, begin)
    if end < 0:
        return len(data) if last or len(data) - begin > 2 * MAX_RECORD else None
    head_end = data.find(b"\r\n\r\n", begin, end)
    length = re.search(rb"(?i)\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", data[begin : head_end + 2])
    if head_end < 0 or not length:
        return end
    whole = head_end + 4 + int(length[1])
    if whole <= end:
        return end
    if not last and len(data) < whole + len(SEPARATOR) and whole - begin <= 2 * MAX_RECORD:
        return None
    # The separator stood in the body, if there is one where the body ends.
    return whole if data.startswith(SEPARATOR, whole) or (last and whole == len(data)) else end


def _request(raw: bytes, time_ns: int) -> RecordedRequest:
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end:
        raise LeftOutError(*_CUT)
    lines = head.decode("latin-1").split("\r\n")
    first = _LINE.fullmatch(lines[0])
    if not first:
        raise ValueError(f"has {lines[0][:60]!r} as its first line, which is none of HTTP")
    fields = [_field(line) for line in lines[1:]]
    coding = ",".join(value for name, value in fields if name.lower() == "transfer-encoding").lower()
    lengths = {value for name, value in fields if name.lower() == "content-length"}
    if "chunked" in coding:
        body = _dechunked(body)
    elif lengths:
        if len(lengths) > 1 or not (said := lengths.pop()).isascii() or not said.isdigit():
            raise ValueError("has several lengths, or one that is no number")
        if len(body) < int(said):
            raise LeftOutError(*_CUT)
        body = body[: int(said)]
    else:
        body = b""
    return RecordedRequest(first[1], of_bytes(first[2]), tuple(fields), body, time_ns)


def _field(line: str) -> Field:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError(f"has {line[:60]!r} among its headers")
    return name, value.strip(" \t")


def _dechunked(data: bytes) -> bytes:
    """Return a body that was sent in chunks (RFC 9112 7.1)."""
    made, at = list[bytes](), 0
    while size := _SIZE.match(data, at):
        length = int(size[1], 16)
        if not length:
            return b"".join(made)
        chunk = data[size.end() : size.end() + length]
        if len(chunk) < length:
            raise LeftOutError(*_CUT)
        made.append(chunk)
        at = size.end() + length + 2
    if at >= len(data):
        raise LeftOutError(*_CUT)
    raise ValueError("has a chunk without a size in its body")
