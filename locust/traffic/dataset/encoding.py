"""Reads UTF-16, as Excel and PowerShell write it, as UTF-8, piece by piece."""

import codecs
from collections.abc import Iterator

UTF_16 = "UTF-16"
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def is_utf16(head: bytes) -> bool:
    """Whether a text that begins so has the byte order mark of UTF-16."""
    return head.startswith(_MARKS) and not head.startswith(_UTF_32)


def is_no_utf8(head: bytes) -> bool:
    """Whether a text that begins so is certainly in another encoding of Unicode."""
    return b"\0" in head[:2] or head.startswith((*_MARKS, *_UTF_32))


def to_utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a text of UTF-16, with its mark, as UTF-8. UnicodeDecodeError if it is none."""
    decoder = codecs.getincrementaldecoder("utf-16")()
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()
