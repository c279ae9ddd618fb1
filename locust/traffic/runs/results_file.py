"""The file of a run's results: CSV in zstd (RFC 8878), to which the workers' batches are added as they come.

Guarded here: the file has whole batches up to `size`, whatever a crash left behind them; and what is no batch of so
many rows is never added. While a run goes, each batch is a frame of its own. At its end the file becomes one frame,
because a reader may stop after the first, as many do that decompress one frame at a time.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from traffic.core.results import BATCH_BYTES, header_of
from traffic.dataset.decompress import unzstd
from traffic.zstd import zstd

# A batch holds one row more than fits, and a row may have an answer of a MiB, three times as long if it is escaped.
_MOST_PLAIN = BATCH_BYTES + (4 << 20)
_LEVEL = 3
_PIECE = 1 << 20
_WINDOW_LOG = 27


DamagedError = zstd.ZstdError


class BadBatchError(Exception):
    """What a worker sent is no batch of rows; the text says why."""


def compress(rows: bytes) -> bytes:
    """Return rows as one frame."""
    return zstd.compress(rows, _LEVEL)


def check_batch(data: bytes, rows: int) -> None:
    """Raise BadBatchError unless `data` is one frame of so many lines."""
    stream = zstd.ZstdDecompressor()
    try:
        plain = stream.decompress(data, _MOST_PLAIN)
    except (zstd.ZstdError, EOFError) as error:
        raise BadBatchError(f"no zstd frame: {error}") from error
    if not stream.eof or stream.unused_data or not plain.endswith(b"\r\n") or plain.count(b"\r\n") < rows:
        raise BadBatchError(f"no frame of {rows} rows")


class ResultsFile:
    """One run's file, open to be added to. `size` is how many bytes of it are whole. OSError if the disk refuses.

    `begun_anew`: it should have been there, and was not, or was shorter.
    """

    def __init__(self, path: Path, columns: Sequence[str], size: int = 0) -> None:
        self.path, self.size = path, size
        self.begun_anew = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if size and path.exists() else "w+b")
        if not size or os.fstat(self._file.fileno()).st_size < size:
            self.begun_anew = bool(size)
            self._file.truncate(0)
            self.size = self._append(0, compress(header_of(columns)))

    def add(self, frames: Sequence[bytes]) -> int:
        """Write frames behind what is whole; return the size of the file then. They count once `size` says so."""
        return self._append(self.size, b"".join(frames))

    def _append(self, at: int, data: bytes) -> int:
        self._file.seek(at)
        self._file.truncate()
        self._file.write(data)
        self._file.flush()
        return at + len(data)

    def close(self) -> None:
        """Cut off what is not whole, and close the file, unless it is closed."""
        if not self._file.closed:
            with self._file as file:
                file.truncate(self.size)

    def finish(self) -> None:
        """Close the file, and make it one frame."""
        self.close()
        draft = self.path.with_name(self.path.name + ".part")
        try:
            with draft.open("wb") as file:
                made = zstd.ZstdCompressor(level=_LEVEL)
                for piece in read_rows(self.path):
                    file.write(made.compress(piece))
                file.write(made.flush())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise


def read_rows(path: Path) -> Iterator[bytes]:
    """Return a file of results as CSV, in pieces; a frame that is not whole ends it.

    OSError if it cannot be read, DamagedError if it is not as it was written.
    """
    with path.open("rb") as file, suppress(EOFError):
        yield from unzstd(iter(lambda: file.read(_PIECE), b""), _WINDOW_LOG)
