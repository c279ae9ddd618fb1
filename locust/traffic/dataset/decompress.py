"""Unpacks a compressed traffic file to another file, piece by piece, and turns CSV into JSON Lines.

A run asks for records in any order, which a compressed stream cannot answer, and memory is not to grow with the file.
So it is unpacked once, to disk; docs/adr/0005 says what else was thought of.
"""

import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from traffic.dataset.csv_to_jsonl import CsvToJsonl
from traffic.dataset.dataset import DatasetError, tell_file
from traffic.dataset.formats import Compression, Format
from traffic.dataset.memory_budget import Room
from traffic.dataset.scan import Progress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 20
_WHOLE = "Is the copy whole? Compress the file again."
# Below the first, frames of any level but the highest would be refused; the second is zstd's own limit (RFC 8878).
_WINDOW_LOGS = 23, 27
_TOO_LARGE_WINDOW = "too much memory"
# A member or a frame is begun with little of what is there, since what lies behind its end is copied.
_FIRST_PIECE = 1 << 12
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Unpacked:
    """What came of a file: `format` of its records, and `digest`, the SHA-256 of the file as it was given."""

    def __init__(
        self, file: Path, handle: int, kind: Compression, out: Path, progress: Progress, room: Room | None = None
    ) -> None:
        """Make `out` of `file`: JSON, unpacked. DatasetError where that cannot be done, or `room` has too little."""
        self.file, self._handle, self._progress, self._room = file, handle, progress, room or Room()
        self._size, self._hash = os.fstat(handle).st_size, hashlib.sha256()
        try:
            self.format = self._make(kind, out)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        self.digest = self._hash.hexdigest()

    def _make(self, kind: Compression, out: Path) -> Format:
        if kind is Compression.NONE:
            for _ in self._pieces():  # for the digest
                pass
            self._convert(self._handle, out)
            return Format.CSV
        with self._written(out) as file:
            unpacked = (
                _gunzip(self._pieces()) if kind is Compression.GZIP else _unzstd(self._pieces(), self._window_log())
            )
            self._save(unpacked, kind, file)
        handle = os.open(out, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not os.fstat(handle).st_size:
                raise DatasetError(self.file, "the file is empty, once it is unpacked", "Name another file.")
            format_ = tell_file(self.file, handle)
            if format_ is Format.CSV:
                rows = out.with_name(out.name + ".rows.part")
                self._convert(handle, rows)
                rows.replace(out)
            return format_
        finally:
            os.close(handle)

    def _convert(self, handle: int, out: Path) -> None:
        try:
            with self._written(out) as file:
                CsvToJsonl(self.file, handle, self._writer(file), self._progress, self._room).run()
        except BaseException:
            out.unlink(missing_ok=True)
            raise

    def _save(self, unpacked: Iterator[bytes], kind: Compression, file: IO[bytes]) -> None:
        write = self._writer(file)
        try:
            for piece in unpacked:
                write(piece)
        except (zlib.error, zstd.ZstdError) as error:
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
            self._room.check_disk(self.file, made, len(piece))
            made += len(piece)
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                self._fail_writing(error)

        return write

    def _window_log(self) -> int:
        """The largest window, as a power of two, that a zstd file may ask for."""
        spare = self._room.spare_memory()
        most = _WINDOW_LOGS[1] if spare is None else spare.bit_length() - 1
        return min(max(most, _WINDOW_LOGS[0]), _WINDOW_LOGS[1])

    def _fail_writing(self, error: OSError) -> NoReturn:
        what = f"the file cannot be unpacked into the state folder ({error.strerror})"
        remedy = "Make room there, name another with --traffic-state-dir, or unpack the file yourself."
        raise DatasetError(self.file, what, remedy) from error

    def _pieces(self) -> Iterator[bytes]:
        """The file as it was given."""
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
    """The SHA-256 of an open file, in hexadecimal. OSError where it cannot be read."""
    made, at, size = hashlib.sha256(), 0, os.fstat(handle).st_size
    while piece := os.pread(handle, PIECE, at):
        made.update(piece)
        at += len(piece)
        progress(at, size)
    return made.hexdigest()


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The members of a gzip file (RFC 1952), one after the other; zeros behind the last are padding.

    zlib.error where it is damaged, EOFError where it ends too early.
    """
    stream: Any = None
    step = _FIRST_PIECE
    for given in pieces:
        at = 0
        while at < len(given):
            piece = given[at : at + step]
            if stream is None:
                padding = len(piece) - len(piece.lstrip(b"\0"))
                at += padding
                stream = zlib.decompressobj(_GZIP_WINDOW) if padding < len(piece) else None
                continue
            yield from _inflate(stream, piece)
            at += len(piece) - len(stream.unused_data)
            stream, step = (None, _FIRST_PIECE) if stream.eof else (stream, min(2 * step, PIECE))
    if stream is not None:
        raise EOFError


def _inflate(stream: Any, piece: bytes) -> Iterator[bytes]:
    while True:
        made = stream.decompress(piece, PIECE)
        if made:
            yield made
        piece = stream.unconsumed_tail
        if stream.eof or (not piece and len(made) < PIECE):
            return


def _unzstd(pieces: Iterator[bytes], window_log: int) -> Iterator[bytes]:
    """The frames of a zstd file (RFC 8878), one after the other; zstd.ZstdError and EOFError as for `_gunzip`.

    A frame may ask for a window of 2^`window_log` bytes.
    """
    stream: Any = None
    step = _FIRST_PIECE
    for given in pieces:
        at = 0
        while at < len(given):
            piece = given[at : at + step]
            stream = stream or zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window_log})
            at += len(piece)
            while True:
                made = stream.decompress(piece, PIECE)
                if made:
                    yield made
                piece = b""
                if stream.eof or stream.needs_input:
                    break
            step = min(2 * step, PIECE)
            if stream.eof:
                at -= len(stream.unused_data)
                stream, step = None, _FIRST_PIECE
    if stream is not None:
        raise EOFError
