"""A traffic file, opened by index: where each record begins and how long it is, never the records themselves.

The file is checked from its first byte to its last before a single record is sent. A record leaves as the very
bytes that stand in the file: nothing on its way decodes and encodes it.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from traffic.core.order import Indexes
from traffic.dataset.array_scan import ArrayScan
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.formats import HEAD, Format, tell
from traffic.dataset.lines_scan import LinesScan
from traffic.dataset.memory_budget import Room
from traffic.dataset.scan import FastPath, Progress, Scan, line_and_column

__all__ = ["Dataset", "DatasetError"]

LEAVE_IT = "Leave the file as it is while a run reads it."


@dataclass(frozen=True, slots=True)
class Stamp:
    """What shows that a file is still the one that it was, with the same bytes, as far as a look at it can."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, seen: os.stat_result) -> "Stamp":
        """The stamp of a file of which this is known."""
        return cls(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Index:
    """Where each record of a file stands: `starts` and `lengths` have shape (records,). `digest` is the file's."""

    format: Format
    digest: str
    starts: Indexes
    lengths: npt.NDArray[np.uint32]


class Dataset:
    """N records of a file, by index.

    `file` is the path as given, `name` the same as text, `records` is N, `digest` the SHA-256 of the file's bytes in
    hexadecimal. Memory: 12 bytes a record. Open a file of JSON with `Dataset.open`; close it when no more records will
    be asked for. `stamp` is the file's, as it was before it was read. `handle` is of the file itself, or of what was
    made of it.
    """

    def __init__(self, file: Path, handle: int, index: Index, stamp: Stamp) -> None:
        self.file, self.name, self.digest, self.format = file, str(file), index.digest, index.format
        self.records = len(index.starts)
        self._handle, self._index, self._stamp = handle, index, stamp
        self._served = Stamp.of(os.fstat(handle))
        self.check_unchanged()

    @classmethod
    def open(cls, file: Path, quick: FastPath | None = None) -> "Dataset":
        """Check a file that is a JSON array or JSON Lines, and index it.

        DatasetError where it is missing, unreadable, or not what it should be.
        """
        handle = open_file(file)
        try:
            stamp = Stamp.of(os.fstat(handle))
            return cls(file, handle, index(file, handle, quick), stamp)
        except BaseException:
            os.close(handle)
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def lengths(self, indexes: Indexes) -> npt.NDArray[np.uint32]:
        """The records' lengths in bytes, same shape as `indexes`."""
        return self._index.lengths[indexes]

    def place(self, index: int) -> tuple[int, int]:
        """The line and column, in characters, from 1, where a record begins."""
        return line_and_column(lambda at, length: os.pread(self._handle, length, at), int(self._index.starts[index]))

    def bodies(self, indexes: Indexes) -> list[bytes]:
        """The records' bytes as they stand in the file, in the order of `indexes`.

        DatasetError where they cannot be read any more, or the file is not the one, or as it was, when it was opened.
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

    def check_unchanged(self) -> None:
        """DatasetError where the file is not there any more, or is another, or was written to."""
        try:
            there = Stamp.of(os.stat(self.file))
        except OSError as error:
            what = f"the file is not there any more ({error.strerror})"
            raise DatasetError(self.file, what, LEAVE_IT) from error
        if there.inode != self._stamp.inode or there.device != self._stamp.device:
            raise DatasetError(self.file, "the file has been replaced by another since it was opened", LEAVE_IT)
        if there.size < self._stamp.size:
            what = f"the file has been cut short since it was opened, from {self._stamp.size} to {there.size} bytes"
            raise DatasetError(self.file, what, LEAVE_IT)
        if there != self._stamp or Stamp.of(os.fstat(self._handle)) != self._served:
            raise DatasetError(self.file, "the file has been written to since it was opened", LEAVE_IT)

    def _fail_reading(self, index: int, reason: str, error: Exception | None) -> NoReturn:
        what = f"can no longer be read: {reason}"
        raise DatasetError(self.file, what, LEAVE_IT, record=index) from error


def index(
    name: Path,
    handle: int,
    quick: FastPath | None = None,
    progress: Progress | None = None,
    known: Format | None = None,
    room: Room | None = None,
) -> Index:
    """Check the JSON of `handle` and index it, as what it is `known` to be or looks like; `name` is what it is called.

    DatasetError where it is not good, or where its index might not fit into the memory of `room`.
    """
    format_ = known or tell_file(name, handle)
    kind: type[Scan] = LinesScan if format_ is Format.LINES else ArrayScan
    scan = kind(name, handle, quick, progress, room)
    scan.run()
    starts, lengths = np.frombuffer(scan.starts, np.uint64), np.frombuffer(scan.lengths, np.uint32)
    return Index(format_, scan.digest.hexdigest(), starts, lengths)


def head(file: Path, handle: int) -> bytes:
    """The first bytes of a file, by which it is told what it is. DatasetError where there are none."""
    try:
        read = os.pread(handle, HEAD, 0)
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        raise DatasetError(file, what, "Copy it to a disk that can be read.") from error
    if not read:
        raise DatasetError(file, "the file is empty", "Put at least one record into it, or name another file.")
    return read


def tell_file(name: Path, handle: int) -> Format:
    """What kind of text an open file is."""
    return tell(name, head(name, handle))


def open_file(file: Path) -> int:
    """A handle of a regular file. DatasetError where there is none to be had."""
    another = "or name another file with --traffic-file"
    try:
        # Not blocking: else the open of a pipe waits for its writer.
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
