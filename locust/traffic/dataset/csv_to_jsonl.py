"""Converts CSV with a header (RFC 4180) to JSON Lines: each row is an object of strings, in the header's order.

The rule that this module guards: the same CSV makes the same bytes on every machine and in every release, so that a
run that is resumed sends what it would have sent. Between tokens there is no white space; in strings, control
characters, quotes and backslashes are escaped as by Python's json module, and everything else is UTF-8 as it stands.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from operator import add
from pathlib import Path
from typing import NoReturn

from traffic.dataset import scan
from traffic.dataset.csv_text import Reader, reader
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.fault_list import FaultList
from traffic.dataset.memory_budget import SMALL, Budget
from traffic.dataset.scan import BOM, TO_UTF8, Progress
from traffic.dataset.utf8 import not_utf8

_BATCH = 4096
_BATCH_CHARACTERS = 1 << 20
# The most memory that reading a row takes, for each of its characters and for each field; tests measure it.
_CHARACTER_COST, _FIELD_COST = 16, 256


def convert(
    name: Path,
    handle: int,
    out: Callable[[bytes], object],
    progress: Progress | None,
    budget: Budget | None = None,
) -> None:
    """Read the CSV of `handle`, and hand JSON Lines to `out`. DatasetError if it is not good."""
    CsvToJsonl(name, handle, out, progress, budget).run()


class CsvToJsonl:
    """Reads the CSV of `handle`, which people know as `name`, and hands JSON Lines to `out` piece by piece.

    `budget` limits how much memory a long row may take.
    """

    def __init__(
        self,
        name: Path,
        handle: int,
        out: Callable[[bytes], object],
        progress: Progress | None,
        budget: Budget | None = None,
    ) -> None:
        self.file, self._handle, self._out, self._progress = name, handle, out, progress
        self._budget = budget or Budget()
        self._size = os.fstat(handle).st_size
        self._faults = FaultList()
        self._lines_before, self._record, self._line = 1, 0, 0
        self._begin_row()

    def run(self) -> None:
        """Read all of it. DatasetError if it is not good."""
        try:
            self._convert()
        except DatasetError as error:
            self._faults.add(error)
        self._faults.raise_any()

    def _convert(self) -> None:
        rows = reader(self._text())
        names = self._header(rows)
        keys = [("," if nth else "{") + encode_basestring(name) + ":" for nth, name in enumerate(names)]
        batch: list[str] = []
        characters = 0
        for row in self._rows(rows, names):
            # The names and the row's strings, in turn.
            batch.append("".join(map(add, keys, map(encode_basestring, row))) + "}\n")
            characters += len(batch[-1])
            if len(batch) >= _BATCH or characters >= _BATCH_CHARACTERS:
                self._out("".join(batch).encode())
                batch.clear()
                characters = 0
        self._out("".join(batch).encode())
        if not self._record:
            remedy = "Put at least one row below the header: an empty run would only look delivered."
            raise DatasetError(self.file, "the file has no rows", remedy)

    def _header(self, rows: Reader) -> list[str]:
        try:
            names = next(rows)
            self._begin_row()
        except csv.Error as error:
            raise self._fault(f"has a header that is no CSV ({error})", 1) from error
        missing = next((nth for nth, name in enumerate(names, 1) if not name.strip()), None)
        if not names or missing:
            place = f"column {missing}" if missing else "the first line"
            remedy = "The first line names the columns, each with a name of its own."
            raise DatasetError(self.file, f"the header has no name for {place}", remedy, None, 1, 1)
        self._check_twice(names)
        return names

    def _check_twice(self, names: list[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                what = f"the header has the name {name[:40]!r} twice"
                raise DatasetError(self.file, what, "Give each column a name of its own.", None, 1, 1)
            seen.add(name)

    def _rows(self, rows: Reader, names: list[str]) -> Iterator[list[str]]:
        """Yield the good rows, and note what is wrong with others. Blank lines are no rows."""
        while True:
            line = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                self._faults.add(self._fault(f"is no CSV ({error})", line))
                self._record += 1
                self._begin_row()
                continue
            self._begin_row()
            if not row:
                continue
            if len(row) != len(names):
                what = f"has {len(row)} field{'' if len(row) == 1 else 's'}, and the header names {len(names)}"
                self._faults.add(self._fault(what, line))
            elif not self._faults.count:
                yield row
            self._record += 1

    def _fault(self, what: str, line: int) -> DatasetError:
        remedy = 'Put a field that holds a comma, a quote or a line break in quotes, and write a quote in it as "".'
        return DatasetError(self.file, what, remedy, self._record, line, 1)

    def _text(self) -> Iterator[str]:
        """Yield the file's lines, with their line breaks."""
        at = len(BOM) if self._read(0, len(BOM)) == BOM else 0
        window = scan.WINDOW
        while data := self._read(at, window):
            # If the window had to grow for a long line, the block ends with that line.
            stop = data.rfind(b"\n", 0, scan.WINDOW) + 1 or data.find(b"\n", scan.WINDOW) + 1
            if not stop and at + len(data) < self._size:
                if window > scan.MAX_RECORD:
                    self._fail_long()
                window *= 2
                continue
            data = data[: stop or len(data)]
            bad = not_utf8(data, final=True)
            if bad is not None:
                self._fail_utf8(data, bad)
            for line in io.StringIO(data.decode(), newline=""):
                self._add_to_row(line)
                yield line
            self._lines_before += data.count(b"\n")
            at, window = at + len(data), scan.WINDOW
            if self._progress is not None:
                self._progress(at, self._size)

    def _begin_row(self) -> None:
        self._row_line = self._line + 1
        self._characters, self._cost, self._checked_for = 0, 0, _CHARACTER_COST * SMALL

    def _add_to_row(self, line: str) -> None:
        """Raise DatasetError if the row, with this line, is longer than a record may be, or may not fit into memory."""
        self._line += 1
        self._characters += len(line)
        self._cost += _CHARACTER_COST * len(line) + _FIELD_COST * line.count(",")
        if self._characters > scan.MAX_RECORD:
            self._fail_long()
        if self._cost >= self._checked_for:
            # Checked in steps, since a row may go on for very many lines.
            self._checked_for = self._cost + self._cost // 2
            self._check_memory()

    def _check_memory(self) -> None:
        try:
            self._budget.check_memory(self.file, self._checked_for, "takes", self._record)
        except DatasetError:
            self._faults.partial = self._faults.count > 0
            raise

    def _fail_long(self) -> NoReturn:
        what = f"is longer than {scan.MAX_RECORD >> 20} MiB, or a quote in it is never closed"
        remedy = "Check its quotes; a record of that size cannot be sent."
        self._faults.partial = True
        raise DatasetError(self.file, what, remedy, self._record, self._row_line, 1)

    def _fail_utf8(self, data: bytes, bad: UnicodeDecodeError) -> NoReturn:
        before = data[: bad.start]
        line = self._lines_before + before.count(b"\n")
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        what = f"the file holds bytes that are not UTF-8 (0x{data[bad.start]:02x}: {bad.reason})"
        raise DatasetError(self.file, what, TO_UTF8, None, line, column)

    def _read(self, at: int, length: int) -> bytes:
        try:
            return os.pread(self._handle, min(length, self._size - at), at)
        except OSError as error:
            what = f"the file cannot be read ({error.strerror})"
            raise DatasetError(self.file, what, "Copy it to a disk that can be read.") from error
