"""Reads a traffic file once, from its first byte to its last: checks it, and notes where each record stands.

The rule that this module guards: every byte that was read is in the digest, and a fault is reported with its place.
`array_scan` and `lines_scan` say what a record is, and what stands between two records.
"""

import gc
import hashlib
import json
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from traffic.dataset import diagnosis
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.fault_list import FaultList
from traffic.dataset.memory_budget import SMALL, STEP, Budget
from traffic.dataset.source import Source
from traffic.dataset.utf8 import not_utf8

# The C library reuses memory of this size and of twice it; a larger block would be new pages each time.
WINDOW = 1 << 19
MAX_RECORD = 16 << 20
# Of so many bytes at its beginning the format of a file is detected.
HEAD = 1 << 20
# The decoder's own limit depends on the Python release and on the caller's stack; this one does not.
MAX_DEPTH = 500
# An error nearer than this to a window's end may be due to the cut: no escape or literal is longer.
LONGEST_TOKEN = 16
_LONGEST_CHARACTER = 4

BOM = b"\xef\xbb\xbf"
_CONTINUATION, _CONTINUATION_MASK = 0x80, 0xC0
EXAMPLE = '{"name": "Ana", "msg": "Hola"}'
TO_UTF8 = "Open the file in an editor and save it as UTF-8."

FastPath = Callable[[bytes], list[int] | None]
"""Gets what may be a JSON array, without white space before and after its elements. Returns the elements' lengths in
bytes if it is certainly an array (RFC 8259, but for UTF-8 within strings); None if it is not, or in doubt."""
Progress = Callable[[int, int], None]
"""Called with how many bytes have been read, and with how many there are."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# The values are thrown away, so numbers are left as their text: no limit on digits, no rounding.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)


def decoded_end(text: str, at: int) -> int:
    """Return where the JSON value ends that begins at `at`. ValueError or RecursionError if it is none.

    The collector of cycles is off meanwhile: it would go through all parts of a large value again and again.
    """
    if len(text) - at <= SMALL or not gc.isenabled():
        return DECODER.raw_decode(text, at)[1]
    gc.disable()
    try:
        return DECODER.raw_decode(text, at)[1]
    finally:
        gc.enable()


class Scan:
    """One pass over the file, a window at a time.

    A window is decoded as Latin-1, in which every byte is one character, so that the decoder's places are byte
    offsets; JSON's own characters are ASCII, and that strings are UTF-8 is checked separately.
    `data` is the window, `base` its place in the file, `at` the place in the window up to which it has been read.
    `name` is the file as people know it; if it was decompressed or converted, `handle` is of the result.

    Reading record by record is slow. `fast_path`, if there is one, may report that many records at once are good;
    everything else is read record by record. `budget` limits how much memory the index may take.
    """

    def __init__(
        self,
        name: Path,
        handle: int,
        fast_path: FastPath | None = None,
        progress: Progress | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.file, self._source = name, Source(name, handle, budget)
        self.size, self.budget = self._source.size, self._source.budget
        self.starts, self.lengths = array("Q"), array("I")
        self.digest = hashlib.sha256()
        self.data, self.base, self.at = b"", 0, 0
        self.window = WINDOW
        self.faults = FaultList()
        # Whether the scan cannot go on after the fault that was just raised.
        self.fatal = False
        self._text: str | None = None
        self._fast_path, self._progress = fast_path, progress
        # There was memory for an index of so many records.
        self._checked_for = STEP

    def run(self) -> None:
        """Read the file. DatasetError if it is not good."""
        try:
            self._load(0)
            self._read_records()
        except DatasetError as error:
            self.faults.add(error)
        self.faults.raise_any()

    def _read_records(self) -> None:
        """Read the file from its first byte on. Add faults after which it can go on to `faults`; raise the others."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The window, one character for each byte."""
        if self._text is None:
            self._text = self.data.decode("latin-1")
        return self._text

    @property
    def to_the_end(self) -> bool:
        """Whether the window reaches the file's end."""
        return self.base + len(self.data) >= self.size

    def fail(self, what: str, remedy: str, at: int | None = None, record: int | None = None) -> NoReturn:
        """Raise DatasetError for the character at `at`, counted from the window's start (default: `self.at`)."""
        at = self.at if at is None else at
        # Read from the file, because the place may lie behind the window.
        bad = not_utf8(self._read(self.base, max(at, 0) + _LONGEST_CHARACTER), final=False)
        if bad is not None and bad.start <= at:
            self._fail_utf8(bad, record)
        self._fail_at(self.base + at, what, remedy, record)

    def _fail_utf8(self, bad: UnicodeDecodeError, record: int | None) -> NoReturn:
        """Raise DatasetError for bytes of the window that are not UTF-8; `record` begins where the scan stands."""
        self.fatal = True
        offset = self.base + bad.start
        if bad.start < self.at:
            record = int(np.searchsorted(np.array(self.starts, np.uint64), offset, side="right")) - 1
            record = None if record < 0 else record
        subject = "the file holds" if record is None else "holds"
        what = f"{subject} bytes that are not UTF-8 (0x{bad.object[bad.start]:02x}: {bad.reason})"
        self._fail_at(offset, what, TO_UTF8, record)

    def _fail_at(self, offset: int, what: str, remedy: str, record: int | None) -> NoReturn:
        if self.faults.full:
            raise DatasetError(self.file, what, remedy, record)
        line, column = line_and_column(self._read, offset)
        raise DatasetError(self.file, what, remedy, record, line, column)

    def _read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes of the file, or those up to the end that it had when it was opened."""
        try:
            return self._source.read(offset, length)
        except DatasetError:
            self.fatal = True
            raise

    def _peek(self, at: int, length: int = diagnosis.LOOKAHEAD) -> str:
        """Return what stands at a place of the window and behind it, also behind the window's end."""
        return self._read(self.base + at, length).decode("latin-1")

    def _load(self, at: int) -> None:
        """Begin a window at the character `at` of the present one; the scan is done with what lies before."""
        data = self.data[:at]
        bad = not_utf8(data, final=True)
        if bad is not None:
            self._fail_utf8(bad, None)
        self._advance(data)
        self.at = 0
        self.data, self._text = self._read(self.base, self.window), None

    def _advance(self, data: bytes) -> None:
        """Add bytes that the scan is done with to the digest, and move behind them."""
        self.digest.update(data)
        self.base += len(data)
        if self._progress is not None:
            self._progress(self.base, self.size)

    def _add_record(self, start: int, length: int) -> None:
        """Add one record by its place in the file."""
        self.starts.append(start)
        self.lengths.append(length)
        if len(self.starts) >= self._checked_for:
            self._check_budget(start)

    def _add_records(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """Add many records by their places in the file."""
        self.starts.frombytes(starts.astype(np.uint64).tobytes())
        self.lengths.frombytes(lengths.astype(np.uint32).tobytes())
        if len(self.starts) >= self._checked_for:
            self._check_budget(self.starts[-1])

    def _check_values(self, text: bytes, record: int) -> None:
        """Raise DatasetError if the values of a text, which begins with this record, may not fit into memory."""
        try:
            self.budget.check_values(self.file, text, record)
        except DatasetError:
            self.fatal, self.faults.partial = True, self.faults.count > 0
            raise

    def _check_budget(self, done: int) -> None:
        """Raise DatasetError if the records that follow may not fit into memory."""
        try:
            self._checked_for = self.budget.check_records(self.file, len(self.starts), done, self.size)
        except DatasetError:
            self.fatal, self.faults.partial = True, self.faults.count > 0
            raise

    def _check_sizes(self, start: int, stop: int, record: int) -> None:
        """Raise DatasetError if a valid record between two places of the window is too long or too deep."""
        if stop - start > MAX_RECORD:
            self._fail_long(record)
        if self._many_brackets(start, stop) and diagnosis.depth(self.text[start:stop]) > MAX_DEPTH:
            self._fail_deep(record)

    def _many_brackets(self, start: int, stop: int) -> bool:
        """Whether a record could be too deep. This check is cheap, and enough for most records."""
        if stop - start <= 2 * MAX_DEPTH:
            return False
        return self.data.count(b"{", start, stop) + self.data.count(b"[", start, stop) > MAX_DEPTH

    def _fail_long(self, record: int) -> NoReturn:
        self.fatal = True
        what = f"is longer than {MAX_RECORD >> 20} MiB, or a quote or bracket in it is never closed"
        self.fail(what, "Check its quotes and brackets; a record of that size cannot be sent.", record=record)

    def _fail_deep(self, record: int) -> NoReturn:
        self.fail(f"is nested more than {MAX_DEPTH} levels deep", "Flatten it.", record=record)


def line_and_column(read: Callable[[int, int], bytes], offset: int) -> tuple[int, int]:
    """Return the line and column of an offset, in characters from 1. What lies before it should be UTF-8.

    `read` returns bytes by offset and length, fewer only at the file's end.
    """
    line, column = 1, 1
    done = len(BOM) if read(0, len(BOM)) == BOM else 0
    while done < offset and (piece := read(done, min(WINDOW, offset - done))):
        breaks = piece.count(b"\n")
        line, column = line + breaks, 1 if breaks else column
        rest = np.frombuffer(piece, np.uint8)[piece.rfind(b"\n") + 1 :]
        # Each character has one byte that is not a continuation byte.
        column += int(np.count_nonzero(rest & _CONTINUATION_MASK != _CONTINUATION))
        done += len(piece)
    return line, column
