"""Writes the records that are made of a file into its copy, and notes where each stands."""

import errno
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.memory_budget import STEP, Budget

# The time of a record that has none.
UNTIMED = -(2**63)
_UNPACK = "Make room there, name another with --traffic-state-dir, or unpack the file yourself."


class CopyFile:
    """A file in the state folder that is made of the traffic file `name`. DatasetError if it cannot be written."""

    def __init__(self, name: Path, path: Path, budget: Budget) -> None:
        self._name, self._path, self._budget = name, path, budget
        self.written = 0
        try:
            self._file: IO[bytes] = path.open("wb")
        except OSError as error:
            self._fail(error)

    def __enter__(self) -> "CopyFile":
        """Return the file, which is closed at the block's end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def write(self, piece: bytes) -> None:
        """Add bytes. DatasetError if the `budget` of the disk is used up, or the disk is full."""
        self._budget.check_disk(self._name, self.written, len(piece))
        try:
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            self._fail(error)
        self.written += len(piece)

    def _fail(self, error: OSError) -> NoReturn:
        reason = error.strerror or os.strerror(error.errno or errno.EIO)
        what = f"the file cannot be unpacked into the state folder ({reason})"
        raise DatasetError(self._name, what, _UNPACK) from error


class RecordWriter:
    """Writes records one behind the other, a line break behind each. `starts` and `lengths` say where each stands.

    `times` is when each was recorded, in nanoseconds since 1970, UNTIMED if nobody says; empty if no record has one.
    """

    def __init__(self, name: Path, out: CopyFile, budget: Budget) -> None:
        self._name, self._out, self._budget = name, out, budget
        self.starts, self.lengths, self.times = array("Q"), array("I"), array("q")
        self._checked_for = STEP

    def add(self, records: Sequence[bytes], done: int, size: int, times: Sequence[int | None] | None = None) -> None:
        """Add records, perhaps with their times, after `done` of the `size` bytes that they are made of.

        DatasetError if they, or the index of those that follow, do not fit onto the disk or into memory.
        """
        if self.times or (times is not None and any(one is not None for one in times)):
            self.times.extend([UNTIMED] * (len(self.starts) - len(self.times)))
            self.times.extend(UNTIMED if one is None else one for one in times or [None] * len(records))
        at = self._out.written
        for record in records:
            self.starts.append(at)
            self.lengths.append(len(record))
            at += len(record) + 1
        if records:
            self._out.write(b"\n".join(records) + b"\n")
        if len(self.starts) >= self._checked_for:
            self._checked_for = self._budget.check_records(self._name, len(self.starts), done, size)
