"""Reads the answers that come in over one connection, in whatever pieces they come.

Guarded here: the end of an answer is known to the byte, or the connection is not used again. The beginning of its
content is kept, where somebody may want to read it, and no more than was asked for.
"""

import re
from typing import TYPE_CHECKING

from traffic.core.excerpt import MOST_BODY
from traffic.core.headers import TCHARS
from traffic.http.http1 import CHUNKED, REMEMBERED, UNTIL_CLOSE, BrokenAnswerError, ResponseHead, read_head

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_HEAD = 1 << 16
# From this status on an answer is kept for a dead letter: what is successful is nothing to be explained.
KEPT_FROM = 300
_MOST_LINE = 4096
_HEAD_END = re.compile(rb"\n\r?\n")
_BEGINNING = b"HTTP/1."
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\Z")
_TRAILER = re.compile(TCHARS.encode() + rb":[^\x00\r\n]*\Z")


class ResponseReader:
    """Reads one connection's answers. `known` has heads by their bytes; connections to one server share it.

    `bodiless`: the answer is to a HEAD, which has no content whatever its head says (RFC 9112 6.3); such heads are not
    remembered. Set it before an answer begins.

    `head` is the head of the present answer, once it is whole; `body` is how many bytes of content have come;
    `surplus` is whether more came than the answer. `content` is the beginning of its content: `most` bytes of it, if
    its status is `keep_from` or higher. It stays until the next answer begins.
    """

    __slots__ = (
        *("_buffer", "_known", "_remaining", "_searched", "_step", "bodiless", "body", "content", "head", "keep_from"),
        *("most", "surplus"),
    )

    def __init__(self, known: dict[bytes, ResponseHead]) -> None:
        self._known = known
        self.bodiless = False
        self.keep_from, self.most = KEPT_FROM, MOST_BODY
        self.content = b""
        self.begin()

    def begin(self) -> None:
        """Expect another answer."""
        self._step: Callable[[], bool] | None = None
        self._buffer = bytearray()
        self._searched = self._remaining = self.body = 0
        self.head: ResponseHead | None = None
        self.surplus = False

    def feed(self, data: bytes) -> ResponseHead | None:
        """Read what came in; return the answer's head once the answer is whole. BrokenAnswerError if it is not valid.

        After a whole answer, call `begin` before the next, unless `feed` was given that answer in one piece.
        """
        if self._step is None and self.bodiless:
            self._step = self._read_head
        elif self._step is None:
            end = data.find(b"\r\n\r\n") + 4
            head = self._known.get(data[:end])
            if head is not None and len(data) - end == head.length:
                self.body = head.length
                if head.status >= self.keep_from:
                    self.content = data[end : end + self.most]
                return head
            self._step = self._read_head
        self._buffer += data
        while self._step():
            if self._step == self._end:
                self.surplus = bool(self._buffer)
                return self.head
        return None

    # Each step consumes what it can of the buffer; it returns False if it needs more.

    def _end(self) -> bool:
        return False

    def _read_head(self) -> bool:
        if not self._buffer.startswith(_BEGINNING[: len(self._buffer)]):
            raise BrokenAnswerError(f"an answer begins with HTTP/1.1, not with {bytes(self._buffer[:40])!r}")
        found = _HEAD_END.search(self._buffer, max(0, self._searched - 2))
        self._searched = len(self._buffer)
        if (found.end() if found else self._searched) > MOST_HEAD:
            raise BrokenAnswerError(f"the answer's head is longer than {MOST_HEAD} bytes")
        if not found:
            return False
        head = self._remember(bytes(self._buffer[: found.end()]))
        del self._buffer[: found.end()]
        self._searched = 0
        if head.informational:
            return bool(self._buffer)
        self.content = b""
        self.body = 0  # an answer that came in one piece leaves its own
        self.head, self._remaining = head, head.length
        self._step = {CHUNKED: self._read_size, UNTIL_CLOSE: self._read_all}.get(head.length, self._read_body)
        return True

    def _remember(self, data: bytes) -> ResponseHead:
        if self.bodiless:
            return read_head(data, bodiless=True)
        head = self._known.get(data)
        if head is None:
            head = read_head(data)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            if not head.informational:
                self._known[data] = head
        return head

    def _skip(self) -> None:
        """Drop and count the content that has come."""
        taken = min(self._remaining, len(self._buffer))
        self._keep(taken)
        del self._buffer[:taken]
        self.body += taken
        self._remaining -= taken

    def _keep(self, taken: int) -> None:
        """Keep what the content's beginning lacks, of the next `taken` bytes."""
        assert self.head is not None
        if self.head.status >= self.keep_from and len(self.content) < self.most:
            self.content += bytes(self._buffer[: min(taken, self.most - len(self.content))])

    def _read_body(self) -> bool:
        self._skip()
        if self._remaining:
            return False
        self._step = self._end
        return True

    def _read_all(self) -> bool:
        self._keep(len(self._buffer))
        self.body += len(self._buffer)
        self._buffer.clear()
        return False

    def _line(self) -> bytes | None:
        """Return the next line; None if it is not whole yet."""
        end = self._buffer.find(b"\n", self._searched, _MOST_LINE)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched >= _MOST_LINE:
                raise BrokenAnswerError(f"a line between the answer's chunks is longer than {_MOST_LINE} bytes")
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        if not line.endswith(b"\r\n"):
            raise BrokenAnswerError(f"a line between the answer's chunks does not end in CR LF: {line[:40]!r}")
        return line[:-2]

    def _read_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        found = _CHUNK_SIZE.match(line)
        if not found:
            raise BrokenAnswerError(f"a chunk of the answer has no size: {line[:40]!r}")
        self._remaining = int(found[1], 16)
        self._step = self._read_chunk if self._remaining else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._skip()
        if self._remaining:
            return False
        self._step = self._read_chunk_end
        return True

    def _read_chunk_end(self) -> bool:
        if not b"\r\n".startswith(self._buffer[:2]):
            raise BrokenAnswerError("a chunk of the answer is longer than it says")
        if len(self._buffer) < 2:  # noqa: PLR2004 - CR LF
            return False
        del self._buffer[:2]
        self._step = self._read_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._step = self._end
        elif not _TRAILER.match(line):
            raise BrokenAnswerError(f"a field of the answer's trailer is no name and value: {line[:40]!r}")
        else:
            self._remaining += len(line)
            if self._remaining > MOST_HEAD:
                raise BrokenAnswerError(f"the answer's trailer is longer than {MOST_HEAD} bytes")
        return True
