"""Makes records of CSV (RFC 4180): each row an object, or one of its cells as it stands.

Rows that are empty in every field, as spreadsheets leave them behind a table, are left out and counted.
"""

import csv
import io
from collections.abc import Callable, Iterator
from typing import NoReturn

from traffic.core.reading import AUTO, DELIMITERS, Reading
from traffic.dataset import scan
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.facts import FileFacts
from traffic.dataset.fault_list import FaultList
from traffic.dataset.from_csv.cells import CellError, Cells, TypesFound, chosen, json_value, shown
from traffic.dataset.from_csv.dialect import Dialect, DialectError, decide
from traffic.dataset.from_csv.text import Reader, count_lines, cut_behind_line, reader
from traffic.dataset.memory_budget import SMALL
from traffic.dataset.record_writer import RecordWriter
from traffic.dataset.scan import BOM, HEAD, TO_UTF8, Progress
from traffic.dataset.source import Source
from traffic.dataset.utf8 import not_utf8

_BATCH = 4096
_BATCH_CHARACTERS = 1 << 20
# The most memory that reading a row takes, for each of its characters and for each field; tests measure it.
_CHARACTER_COST, _FIELD_COST = 16, 256
# So many rows are looked at for JSON in their cells.
_LOOKED_AT = 100
EMPTY_ROWS = ("rows are empty in every field, and left out", "row is empty in every field, and left out")
QUOTES = 'Put a field that holds a {0}, a quote or a line break in quotes, and write a quote in it as "".'

MakeRecord = Callable[[list[str]], bytes]


def convert(source: Source, reading: Reading, out: RecordWriter, progress: Progress) -> FileFacts:
    """Read the CSV of `source`, and add its records to `out`. DatasetError if it is not good."""
    return CsvConversion(source, reading, out, progress).run()


class CsvConversion:
    """Reads the CSV of `source`, and adds its records to `out`. Its budget limits how much memory a long row takes."""

    def __init__(self, source: Source, reading: Reading, out: RecordWriter, progress: Progress) -> None:
        self.file, self._source, self._reading, self._out, self._progress = source.name, source, reading, out, progress
        self._size = source.size
        self._begin()
        self._dialect = self._decide()

    def run(self) -> FileFacts:
        """Read all of it, and return what was found out. DatasetError if it is not good."""
        facts = FileFacts()
        try:
            facts = self._convert()
        except DatasetError as error:
            self._faults.add(error)
        self._faults.raise_any()
        return facts

    def _decide(self) -> Dialect:
        head = self._source.read(0, HEAD).removeprefix(BOM).decode("utf-8", "replace")
        try:
            return decide(head, cut=self._size > HEAD, asked=self._reading.delimiter)
        except DialectError as error:
            raise DatasetError(self.file, error.what, error.remedy, None, 1, 1) from error

    def _convert(self) -> FileFacts:
        found: dict[str, str] = {}
        if ("", AUTO) in self._reading.csv_types:
            found = self._find_types()
            self._begin()  # faults that were found on the way are found again
        rows, names = self._open()
        hints = JsonInCells(names)
        batch: list[bytes] = []
        characters = 0
        make = self._record_maker(names, chosen(self._reading.csv_types, found))
        for row in self._rows(rows, names):
            hints.see(row)
            try:
                made = make(row)
            except CellError as error:
                self._add_cell_fault(error)
                continue
            if self._faults.count:
                continue
            batch.append(made)
            characters += len(made)
            if len(batch) >= _BATCH or characters >= _BATCH_CHARACTERS:
                self._out.add(batch, self._read_to, self._size)
                batch, characters = [], 0
        self._out.add(batch, self._read_to, self._size)
        if not self._record:
            remedy = "Put at least one row below the header: an empty run would only look delivered."
            raise DatasetError(self.file, "the file has no rows", remedy)
        left_out = ((*EMPTY_ROWS, self._empty),) if self._empty else ()
        hint = () if self._reading.csv_body or self._reading.csv_types else tuple(hints.lines())
        delimiter = "" if self._dialect.delimiter == "," else self._dialect.delimiter
        return FileFacts(delimiter=delimiter, left_out=left_out, types=tuple(found.items()), hints=hint)

    def _find_types(self) -> dict[str, str]:
        """Read the whole file once, and return the types of its columns."""
        rows, names = self._open()
        seen = TypesFound(len(names))
        seen.see(self._rows(rows, names))
        return seen.types(names)

    def _begin(self) -> None:
        """Be at the file's beginning."""
        self._faults = FaultList()
        self._read_to, self._lines_before, self._record, self._line, self._empty = 0, 1, 0, 0, 0
        self._begin_row()

    def _open(self) -> tuple[Reader, list[str]]:
        """Begin to read; return the rows behind the header, and the columns' names."""
        lines = self._text()
        if self._dialect.before:
            next(lines)
            self._begin_row()
        rows = reader(lines, self._dialect.delimiter)
        return rows, self._header(rows)

    def _record_maker(self, names: list[str], types: dict[str, str]) -> MakeRecord:
        body = self._reading.csv_body
        for column in [*types, *[body] * bool(body)]:
            if column not in names:
                what = f"the header has no column {shown(column)}, which the options name"
                raise DatasetError(self.file, what, f"It has {', '.join(map(repr, names[:20]))}.", None, 1, 1)
        if not body:
            return Cells(names, types).record
        place = names.index(body)

        def cell(row: list[str]) -> bytes:
            try:
                json_value(row[place])
            except ValueError as error:
                raise CellError(body, f"{shown(row[place])}, which is {error}") from error
            return row[place].encode()

        return cell

    def _header(self, rows: Reader) -> list[str]:
        try:
            names = next(rows)
            self._begin_row()
        except StopIteration:
            names = []
        except csv.Error as error:
            raise self._fault(f"has a header that is no CSV ({error})", 1) from error
        missing = next((nth for nth, name in enumerate(names, 1) if not name.strip()), None)
        if not names or missing:
            place = f"column {missing}" if missing else "the first line"
            remedy = "The first line names the columns, each with a name of its own."
            raise DatasetError(self.file, f"the header has no name for {place}", remedy, None, self._header_line, 1)
        self._check_twice(names)
        return names

    @property
    def _header_line(self) -> int:
        return 1 + bool(self._dialect.before)

    def _check_twice(self, names: list[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                what = f"the header has the name {name[:40]!r} twice"
                raise DatasetError(self.file, what, "Give each column a name of its own.", None, self._header_line, 1)
            seen.add(name)

    def _rows(self, rows: Reader, names: list[str]) -> Iterator[list[str]]:
        """Yield the good rows, and note what is wrong with others. Blank lines are no rows."""
        above = self._header_line - 1
        while True:
            line = above + rows.line_num + 1
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
            if not any(row):
                self._empty += bool(row)
                continue
            if len(row) != len(names):
                what = f"has {len(row)} field{'' if len(row) == 1 else 's'}, and the header names {len(names)}"
                self._faults.add(self._fault(what, line))
            else:
                self._yielded_line = line
                yield row
            self._record += 1

    def _add_cell_fault(self, error: CellError) -> None:
        what = f"has {error} in column {error.column!r}"
        remedy = "Correct the cell, or give the column another type with --traffic-csv-types."
        if self._reading.csv_body:
            remedy = "Correct the cell, or name another column with --traffic-csv-body."
        self._faults.add(DatasetError(self.file, what, remedy, self._record, self._yielded_line, 1))

    def _fault(self, what: str, line: int) -> DatasetError:
        remedy = QUOTES.format(DELIMITERS[self._dialect.delimiter])
        return DatasetError(self.file, what, remedy, self._record, line, 1)

    def _text(self) -> Iterator[str]:
        """Yield the file's lines, with their line breaks."""
        at = len(BOM) if self._source.read(0, len(BOM)) == BOM else 0
        window = scan.WINDOW
        while data := self._source.read(at, window):
            # If the window had to grow for a long line, the block ends with that line.
            stop = cut_behind_line(data, scan.WINDOW, whole=at + len(data) >= self._size)
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
            self._lines_before += count_lines(data)
            at, window = at + len(data), scan.WINDOW
            self._read_to = at
            self._progress(at, self._size)

    def _begin_row(self) -> None:
        self._row_line = self._line + 1
        self._characters, self._cost, self._checked_for = 0, 0, _CHARACTER_COST * SMALL

    def _add_to_row(self, line: str) -> None:
        """Raise DatasetError if the row, with this line, is longer than a record may be, or may not fit into memory."""
        self._line += 1
        self._characters += len(line)
        self._cost += _CHARACTER_COST * len(line) + _FIELD_COST * line.count(self._dialect.delimiter)
        if self._characters > scan.MAX_RECORD:
            self._fail_long()
        if self._cost >= self._checked_for:
            # Checked in steps, since a row may go on for very many lines.
            self._checked_for = self._cost + self._cost // 2
            self._check_memory()

    def _check_memory(self) -> None:
        try:
            self._source.budget.check_memory(self.file, self._checked_for, "takes", self._record)
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
        line = self._lines_before + count_lines(before)
        column = len(before[max(before.rfind(b"\n"), before.rfind(b"\r")) + 1 :].decode()) + 1
        what = f"the file holds bytes that are not UTF-8 (0x{data[bad.start]:02x}: {bad.reason})"
        raise DatasetError(self.file, what, TO_UTF8, None, line, column)


class JsonInCells:
    """Finds columns whose cells are JSON objects or arrays, which are sent as strings unless a person says so."""

    def __init__(self, names: list[str]) -> None:
        self._names, self._left = names, _LOOKED_AT
        self._open = set(range(len(names)))
        self._some: set[int] = set()

    def see(self, row: list[str]) -> None:
        """Look at a row, unless enough of them have been seen."""
        if not self._left or not self._open:
            return
        self._left -= 1
        for nth in tuple(self._open):
            cell = row[nth].strip()
            if cell[:1] + cell[-1:] in ("{}", "[]"):
                self._some.add(nth)
            elif cell:
                self._open.discard(nth)

    def lines(self) -> Iterator[str]:
        """Return a remark for each such column."""
        for nth in sorted(self._open & self._some):
            name = self._names[nth]
            yield (
                f"column {name!r} holds JSON, and each cell of it is sent as a string. To send the cell as the body, "
                f"say --traffic-csv-body {name}; to put its value into the object, --traffic-csv-types {name}=json."
            )
