"""A traffic file, opened: where each record begins and how long it is, never the records themselves.

The file is checked from its first byte to its last before a single record is sent. A record is sent as the bytes that
stand in the file: they are never decoded and encoded again.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from traffic.core.order import Indexes
from traffic.core.reading import PLAIN, Reading
from traffic.core.request_record import body_of
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.facts import NO_FACTS, FileFacts
from traffic.dataset.fingerprint import FileFingerprint
from traffic.dataset.formats import ARRAY, FormatReader, detect_format
from traffic.dataset.head import read_head
from traffic.dataset.memory_budget import Budget
from traffic.dataset.scan import FastPath, Progress, line_and_column

__all__ = ["Dataset", "DatasetError"]

# So many records are read at once, at most, and records of so many bytes, unless one is larger.
BATCH, BATCH_BYTES = 4096, 1 << 20
LEAVE_IT = "Leave the file as it is while a run reads it."


@dataclass(frozen=True, slots=True)
class Index:
    """Where each record of a file stands: `starts` and `lengths` have shape (records,). `digest` is the file's."""

    format: FormatReader
    digest: str
    starts: Indexes
    lengths: npt.NDArray[np.uint32]
    facts: FileFacts = NO_FACTS
    # Whether the records stand in the file itself, or its copy, as the file has them: then they have a line there.
    placed: bool = True
    # When each record was recorded, in nanoseconds since 1970 (UNTIMED: nobody says); None if no record has a time.
    times: npt.NDArray[np.int64] | None = None


class Dataset:
    """N records of a file, by index.

    `file` is the path as given, `name` the same as text, `records` is N, `digest` the SHA-256 of the file's bytes in
    hexadecimal. Memory: 12 bytes a record. Open a file of JSON with `Dataset.open`; close it when no more records will
    be asked for. `fingerprint` is the file's from before it was read. `handle` is of the file itself, or of its copy.
    `reading` is how the file was read, `facts` what was found out, and `label` its format for people.
    """

    def __init__(
        self, file: Path, handle: int, index: Index, fingerprint: FileFingerprint, reading: Reading = PLAIN
    ) -> None:
        self.file, self.name, self.digest, self.format = file, str(file), index.digest, index.format
        self.reading, self.facts, self.label = reading, index.facts, index.facts.describe(index.format.label)
        self.records = len(index.starts)
        self._handle, self._index, self._fingerprint = handle, index, fingerprint
        self._of_handle = FileFingerprint.of(os.fstat(handle))
        self.check_unchanged()

    @classmethod
    def open(cls, file: Path, fast_path: FastPath | None = None) -> "Dataset":
        """Check a file that is a JSON array or JSON Lines, and index it.

        DatasetError if it is missing, unreadable, or not good.
        """
        handle = open_file(file)
        try:
            fingerprint = FileFingerprint.of(os.fstat(handle))
            reader = detect_format(file, read_head(file, handle))
            # A file that is no JSON is read as an array, whose scan reports what is wrong with it.
            reader = reader if reader.convert is None else ARRAY
            return cls(file, handle, build_index(file, handle, reader, fast_path), fingerprint)
        except BaseException:
            os.close(handle)
            raise

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def lengths(self, indexes: Indexes) -> npt.NDArray[np.uint32]:
        """Return the records' lengths in bytes, same shape as `indexes`."""
        return self._index.lengths[indexes]

    def place(self, index: int) -> tuple[int, int] | tuple[None, None]:
        """Return the line and column, in characters from 1, where a record begins; None if it was converted."""
        if not self._index.placed:
            return None, None
        return line_and_column(lambda at, length: os.pread(self._handle, length, at), int(self._index.starts[index]))

    def fault(self, index: int, what: str, remedy: str, *, placed: bool = True) -> DatasetError:
        """Return the error that a record is not good. Its place is searched for in the file if it is to be `placed`."""
        line, column = self.place(index) if placed else (None, None)
        return DatasetError(self.file, what, remedy, index, line, column)

    def batches(self, first: int = 0, count: int | None = None) -> Iterator[Indexes]:
        """Yield `count` indexes from `first` on, as many at a time as have few bytes together; at least one."""
        end = self.records if count is None else first + count
        while first < end:
            indexes = np.arange(first, min(first + BATCH, end), dtype=np.uint64)
            sizes = np.cumsum(self.lengths(indexes), dtype=np.uint64)
            indexes = indexes[: max(1, int(np.searchsorted(sizes, BATCH_BYTES, side="right")))]
            yield indexes
            first += len(indexes)

    def bodies(self, indexes: Indexes) -> list[bytes]:
        """Return the records' bytes as they stand in the file, in the order of `indexes`.

        DatasetError if they cannot be read any more, or if the file was replaced or changed since it was opened.
        """
        self.check_unchanged()
        made = []
        starts, lengths = self._index.starts[indexes].tolist(), self._index.lengths[indexes].tolist()
        for index, start, length in zip(indexes.tolist(), starts, lengths, strict=True):
            try:
                body = os.pread(self._handle, length, start)
            except OSError as error:
                self._fail_reading(index, error.strerror or "no reason given", error)
            if len(body) != length:
                self._fail_reading(index, f"the file ends at byte {start + len(body)}", None)
            made.append(body)
        return made

    def contents(self, indexes: Indexes) -> list[bytes]:
        """Return the records' bodies: the records themselves, or without their heads if they are whole requests."""
        records = self.bodies(indexes)
        return [body_of(record) for record in records] if self.reading.makes_requests else records

    @property
    def times(self) -> npt.NDArray[np.int64] | None:
        """When each record was recorded, in nanoseconds since 1970, if its format says so; UNTIMED if it does not."""
        return self._index.times

    def check_unchanged(self) -> None:
        """Raise DatasetError if the file is not there any more, or is another, or was written to."""
        try:
            there = FileFingerprint.of(os.stat(self.file))
        except OSError as error:
            what = f"the file is not there any more ({error.strerror})"
            raise DatasetError(self.file, what, LEAVE_IT) from error
        if there.inode != self._fingerprint.inode or there.device != self._fingerprint.device:
            raise DatasetError(self.file, "the file has been replaced by another since it was opened", LEAVE_IT)
        if there.size < self._fingerprint.size:
            sizes = f"from {self._fingerprint.size} to {there.size} bytes"
            raise DatasetError(self.file, f"the file has been cut short since it was opened, {sizes}", LEAVE_IT)
        if there != self._fingerprint or FileFingerprint.of(os.fstat(self._handle)) != self._of_handle:
            raise DatasetError(self.file, "the file has been written to since it was opened", LEAVE_IT)

    def _fail_reading(self, index: int, reason: str, error: Exception | None) -> NoReturn:
        what = f"can no longer be read: {reason}"
        raise DatasetError(self.file, what, LEAVE_IT, record=index) from error


def build_index(
    name: Path,
    handle: int,
    reader: FormatReader,
    fast_path: FastPath | None = None,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> Index:
    """Check the JSON of `handle`, which people know as `name`, and index it.

    DatasetError if it is not good, or if its index might not fit into the memory of `budget`.
    """
    assert reader.scan is not None, "a file that is converted is not scanned"
    scan = reader.scan(name, handle, fast_path, progress, budget)
    scan.run()
    starts, lengths = np.frombuffer(scan.starts, np.uint64), np.frombuffer(scan.lengths, np.uint32)
    return Index(reader, scan.digest.hexdigest(), starts, lengths)


def open_file(file: Path) -> int:
    """Open a regular file, and return its handle. DatasetError if there is none, or it cannot be opened."""
    another = "or name another file with --traffic-file"
    try:
        # Non-blocking: to open a pipe would wait for its writer.
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        remedy = f"Put the records there, {another} (looked for: {file.absolute()})."
        raise DatasetError(file, "there is no such file", remedy) from error
    except PermissionError as error:
        what = "this user may not read the file"
        raise DatasetError(file, what, f"Give this user the right to read it, {another}.") from error
    except (OSError, ValueError) as error:
        what = f"the file cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise DatasetError(file, what, "Name another with --traffic-file.") from error
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise DatasetError(file, "this is a folder", "Name a file in it with --traffic-file.")
    raise DatasetError(file, "this is no regular file", "Name one that can be read again from any place in it.")
