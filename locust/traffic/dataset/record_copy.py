"""Makes the copy that a traffic file needs if it is compressed, in UTF-16, or of a format that has to be converted.

A run asks for records in any order, which a compressed stream cannot answer, and memory must not grow with the file.
So the file is decompressed once, to disk; docs/adr/0005 has the alternatives.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from traffic.core.reading import Reading
from traffic.dataset.compression import Compression
from traffic.dataset.decompress import ERRORS, PIECE, gunzip, unzstd
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.encoding import UTF_16, is_utf16, to_utf8
from traffic.dataset.facts import FileFacts
from traffic.dataset.formats import FormatReader, detect_format
from traffic.dataset.head import read_head
from traffic.dataset.memory_budget import Budget
from traffic.dataset.record_writer import CopyFile, RecordWriter
from traffic.dataset.scan import TO_UTF8, Progress
from traffic.dataset.source import Source

_WHOLE = "Is the copy whole? Compress the file again."
# Below the first, frames of any level but the highest would be refused; the second is zstd's own limit (RFC 8878).
_WINDOW_LOGS = 23, 27
_TOO_LARGE_WINDOW = "too much memory"
# The length of the longest byte order mark.
_MARK = 4


class RecordCopy:
    """The copy of a file. `format` is the file's, `digest` the SHA-256 of the file as it was given.

    `writer` says where the records stand in the copy if the format was converted; None: the copy has to be scanned.
    """

    def __init__(
        self,
        file: Path,
        handle: int,
        kind: Compression,
        out: Path,
        reading: Reading,
        progress: Progress,
        budget: Budget | None = None,
    ) -> None:
        """Make `out` of `file`. DatasetError if that fails, or if the `budget` is too small."""
        self.file, self._source, self._reading, self._progress = file, Source(file, handle, budget), reading, progress
        self._budget, self._hash = self._source.budget, hashlib.sha256()
        self.writer: RecordWriter | None = None
        self.facts = FileFacts()
        try:
            self.format = self._make(kind, out)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        self.digest = self._hash.hexdigest()

    def _make(self, kind: Compression, out: Path) -> FormatReader:
        first, content = _peeked(self._decompressed(kind))
        utf16 = is_utf16(first)
        if kind is Compression.NONE and not utf16:
            for _ in content:  # for the digest
                pass
            return self._convert(self._source, out)
        with CopyFile(self.file, out, self._budget) as file:
            for piece in self._in_utf8(content) if utf16 else content:
                file.write(piece)
        handle = os.open(out, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unpacked = Source(self.file, handle, self._budget)
            if not unpacked.size:
                raise DatasetError(self.file, "the file is empty, once it is unpacked", "Name another file.")
            converted = out.with_name(out.name + ".rows.part")
            reader = self._convert(unpacked, converted)
            if reader.convert is not None:
                converted.replace(out)
        finally:
            os.close(handle)
        self.facts = replace(self.facts, compression=kind.value, encoding=UTF_16 if utf16 else "")
        return reader

    def _convert(self, source: Source, out: Path) -> FormatReader:
        """Detect the format of a file, and make `out` of it if the format has to be converted."""
        reader = detect_format(self.file, read_head(self.file, source.handle), self._reading)
        if reader.convert is None:
            return reader
        try:
            with CopyFile(self.file, out, self._budget) as file:
                self.writer = RecordWriter(self.file, file, self._budget)
                self.facts = reader.convert(source, self._reading, self.writer, self._progress)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        return reader

    def _decompressed(self, kind: Compression) -> Iterator[bytes]:
        """Yield the file's content. DatasetError if it cannot be decompressed."""
        try:
            if kind is Compression.NONE:
                yield from self._pieces()
            elif kind is Compression.GZIP:
                yield from gunzip(self._pieces())
            else:
                yield from unzstd(self._pieces(), self._window_log())
        except ERRORS as error:
            if _TOO_LARGE_WINDOW in str(error):
                what = f"the file needs more memory to be unpacked than {1 << self._window_log():,} bytes"
                raise DatasetError(self.file, what, "Compress it without --long or --ultra.") from error
            raise DatasetError(self.file, f"the file cannot be unpacked by {kind.value} ({error})", _WHOLE) from error
        except EOFError as error:
            what = f"the file ends before its {kind.value} data does"
            raise DatasetError(self.file, what, _WHOLE) from error

    def _in_utf8(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """Yield a content in UTF-16 as UTF-8. DatasetError, with the place, if it is not UTF-16."""
        line, column = 1, 1
        try:
            for piece in to_utf8(content):
                line, column = _behind(piece, line, column)
                yield piece
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(error.encoding, "replace").removeprefix("\ufeff")
            line, column = _behind(before.encode(), line, column)
            what = f"the file is in UTF-16 by its first bytes, and holds others ({error.reason})"
            raise DatasetError(self.file, what, TO_UTF8, None, line, column) from error

    def _window_log(self) -> int:
        """Return the largest window that a zstd file may need, as a power of two."""
        spare = self._budget.spare_memory()
        most = _WINDOW_LOGS[1] if spare is None else spare.bit_length() - 1
        return min(max(most, _WINDOW_LOGS[0]), _WINDOW_LOGS[1])

    def _pieces(self) -> Iterator[bytes]:
        """Yield the file as it was given."""
        at = 0
        while piece := self._source.read(at, PIECE):
            self._hash.update(piece)
            at += len(piece)
            yield piece
            self._progress(at, self._source.size)


def _peeked(content: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes of a content, and all of it."""
    first = b""
    for piece in content:
        first += piece
        if len(first) >= _MARK:
            break
    return first, chain((first,), content)


def _behind(piece: bytes, line: int, column: int) -> tuple[int, int]:
    """Return the place behind a piece of UTF-8 that begins at a line and column."""
    breaks = piece.count(b"\n")
    return line + breaks, len(piece[piece.rfind(b"\n") + 1 :].decode()) + (1 if breaks else column)


def digest_of(handle: int, progress: Progress) -> str:
    """Return the SHA-256 of an open file, in hexadecimal. OSError if it cannot be read."""
    made, at, size = hashlib.sha256(), 0, os.fstat(handle).st_size
    while piece := os.pread(handle, PIECE, at):
        made.update(piece)
        at += len(piece)
        progress(at, size)
    return made.hexdigest()
