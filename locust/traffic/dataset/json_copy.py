"""Makes the JSON copy of a traffic file that is compressed, or whose format has to be converted.

A run asks for records in any order, which a compressed stream cannot answer, and memory must not grow with the file.
So the file is decompressed once, to disk; docs/adr/0005 has the alternatives.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NoReturn

from traffic.dataset.compression import Compression
from traffic.dataset.decompress import ERRORS, PIECE, gunzip, unzstd
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.formats import FormatReader, detect_format
from traffic.dataset.head import read_head
from traffic.dataset.memory_budget import Budget
from traffic.dataset.scan import Progress

_WHOLE = "Is the copy whole? Compress the file again."
# Below the first, frames of any level but the highest would be refused; the second is zstd's own limit (RFC 8878).
_WINDOW_LOGS = 23, 27
_TOO_LARGE_WINDOW = "too much memory"


class JsonCopy:
    """The copy of a file. `format` is the file's, and `digest` the SHA-256 of the file as it was given."""

    def __init__(
        self, file: Path, handle: int, kind: Compression, out: Path, progress: Progress, budget: Budget | None = None
    ) -> None:
        """Make `out` of `file`: JSON, decompressed. DatasetError if that fails, or if the `budget` is too small."""
        self.file, self._handle, self._progress, self._budget = file, handle, progress, budget or Budget()
        self._size, self._hash = os.fstat(handle).st_size, hashlib.sha256()
        try:
            self.format = self._make(kind, out)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        self.digest = self._hash.hexdigest()

    def _make(self, kind: Compression, out: Path) -> FormatReader:
        if kind is Compression.NONE:
            for _ in self._pieces():  # for the digest
                pass
            return self._convert(self._handle, out)
        with self._written(out) as file:
            content = gunzip(self._pieces()) if kind is Compression.GZIP else unzstd(self._pieces(), self._window_log())
            self._save(content, kind, file)
        handle = os.open(out, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not os.fstat(handle).st_size:
                raise DatasetError(self.file, "the file is empty, once it is unpacked", "Name another file.")
            converted = out.with_name(out.name + ".rows.part")
            reader = self._convert(handle, converted)
            if reader.convert is not None:
                converted.replace(out)
            return reader
        finally:
            os.close(handle)

    def _convert(self, handle: int, out: Path) -> FormatReader:
        """Detect the format of a file, and make `out` of it if the format has to be converted."""
        reader = detect_format(self.file, read_head(self.file, handle))
        if reader.convert is None:
            return reader
        try:
            with self._written(out) as file:
                reader.convert(self.file, handle, self._writer(file), self._progress, self._budget)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        return reader

    def _save(self, content: Iterator[bytes], kind: Compression, file: IO[bytes]) -> None:
        write = self._writer(file)
        try:
            for piece in content:
                write(piece)
        except ERRORS as error:
            if _TOO_LARGE_WINDOW in str(error):
                what = f"the file needs more memory to be unpacked than {1 << self._window_log():,} bytes"
                raise DatasetError(self.file, what, "Compress it without --long or --ultra.") from error
            raise DatasetError(self.file, f"the file cannot be unpacked by {kind.value} ({error})", _WHOLE) from error
        except EOFError as error:
            what = f"the file ends before its {kind.value} data does"
            raise DatasetError(self.file, what, _WHOLE) from error

    def _written(self, out: Path) -> IO[bytes]:
        try:
            return out.open("wb")
        except OSError as error:
            self._fail_writing(error)

    def _writer(self, file: IO[bytes]) -> Callable[[bytes], None]:
        made = 0

        def write(piece: bytes) -> None:
            nonlocal made
            self._budget.check_disk(self.file, made, len(piece))
            made += len(piece)
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                self._fail_writing(error)

        return write

    def _window_log(self) -> int:
        """Return the largest window that a zstd file may need, as a power of two."""
        spare = self._budget.spare_memory()
        most = _WINDOW_LOGS[1] if spare is None else spare.bit_length() - 1
        return min(max(most, _WINDOW_LOGS[0]), _WINDOW_LOGS[1])

    def _fail_writing(self, error: OSError) -> NoReturn:
        what = f"the file cannot be unpacked into the state folder ({error.strerror})"
        remedy = "Make room there, name another with --traffic-state-dir, or unpack the file yourself."
        raise DatasetError(self.file, what, remedy) from error

    def _pieces(self) -> Iterator[bytes]:
        """Yield the file as it was given."""
        at = 0
        while at < self._size:
            try:
                piece = os.pread(self._handle, min(PIECE, self._size - at), at)
            except OSError as error:
                what = f"the file cannot be read ({error.strerror})"
                raise DatasetError(self.file, what, "Copy it to a disk that can be read.") from error
            if not piece:
                remedy = "Start again when nothing writes to it any more."
                raise DatasetError(self.file, "the file became shorter while it was being read", remedy)
            self._hash.update(piece)
            at += len(piece)
            yield piece
            self._progress(at, self._size)


def digest_of(handle: int, progress: Progress) -> str:
    """Return the SHA-256 of an open file, in hexadecimal. OSError if it cannot be read."""
    made, at, size = hashlib.sha256(), 0, os.fstat(handle).st_size
    while piece := os.pread(handle, PIECE, at):
        made.update(piece)
        at += len(piece)
        progress(at, size)
    return made.hexdigest()
