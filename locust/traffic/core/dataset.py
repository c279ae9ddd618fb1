"""A traffic file, opened by index: where each record begins and how long it is, never the records themselves.

The file is checked from its first byte to its last before a single record is sent. A record leaves as the very
bytes that stand in the file: nothing on its way decodes and encodes it.
"""

import os
import stat
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from .faults import DatasetError
from .order import Indexes
from .scan import Scan

__all__ = ["Dataset", "DatasetError"]


class Dataset:
    """N records of a JSON file (RFC 8259) that is one array of objects, by index.

    `file` is the path as given, `records` is N, `digest` the SHA-256 of the file's bytes in hexadecimal. Memory:
    12 bytes a record. Open it with `Dataset.open`; close it when no more records will be asked for.
    """

    def __init__(self, file: Path, handle: int, starts: Indexes, lengths: npt.NDArray[np.uint32], digest: str) -> None:
        self.file, self.digest = file, digest
        self.records = len(starts)
        self._handle, self._starts, self._lengths = handle, starts, lengths

    @classmethod
    def open(cls, file: Path) -> "Dataset":
        """Check `file` and index it. DatasetError where it is missing, unreadable, or not what it should be."""
        handle = _open(file)
        try:
            scan = Scan(file, handle)
            scan.run()
        except BaseException:
            os.close(handle)
            raise
        starts = np.frombuffer(scan.starts, np.uint64)
        return cls(file, handle, starts, np.frombuffer(scan.lengths, np.uint32), scan.digest.hexdigest())

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def lengths(self, indexes: Indexes) -> npt.NDArray[np.uint32]:
        """The records' lengths in bytes, same shape as `indexes`."""
        return self._lengths[indexes]

    def bodies(self, indexes: Indexes) -> list[bytes]:
        """The records' bytes as they stand in the file, in the order of `indexes`.

        DatasetError where they cannot be read any more, or the file has been cut short since it was opened.
        """
        made = []
        starts, lengths = self._starts[indexes].tolist(), self._lengths[indexes].tolist()
        for index, start, length in zip(indexes.tolist(), starts, lengths, strict=True):
            try:
                body = os.pread(self._handle, length, start)
            except OSError as error:
                self._fail_reading(index, error.strerror or "no reason given", error)
            if len(body) != length:
                self._fail_reading(index, f"the file ends at byte {start + len(body)}", None)
            made.append(body)
        return made

    def _fail_reading(self, index: int, reason: str, error: Exception | None) -> NoReturn:
        what = f"can no longer be read: {reason}"
        raise DatasetError(self.file, what, "Leave the file as it is while a run reads it.", record=index) from error


def _open(file: Path) -> int:
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
