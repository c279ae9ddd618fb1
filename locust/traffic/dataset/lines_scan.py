"""Scan JSON Lines (also known as NDJSON): one JSON object (RFC 8259) on each line. Blank lines are skipped.

The rule that this module guards: each line that is not blank is one whole record. So a fault affects one line, and the
next is read as usual.
"""

import json
import re
from contextlib import suppress
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from traffic.dataset import diagnosis, scan
from traffic.dataset.diagnosis import DatasetError, Fault
from traffic.dataset.memory_budget import SMALL
from traffic.dataset.scan import BOM, DECODER, EXAMPLE, LONGEST_TOKEN, MAX_DEPTH, TO_UTF8, Scan, decoded_end
from traffic.dataset.utf8 import not_utf8

_LINE_BREAK, _RETURN, _BRACE = ord("\n"), ord("\r"), ord("{")
_WHITE = b" \t\r\n"
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")
ONE_A_LINE = "Write each record on one line of its own (jq -c . does that)."

SPREAD = "JSON Lines has each record on one line: jq -c . FILE > NEW.jsonl writes it so. Only an array may be spread."
CR_ALONE = "End each line with LF, or CR LF: tr '\\r' '\\n' < FILE > NEW.jsonl writes it so."
WITHIN = " If the records are a list inside an object, jq -c '.NAME[]' FILE takes them out."


class LinesScan(Scan):
    """Scans lines; the window always begins with a line."""

    def _read_records(self) -> None:
        if self._read(0, len(BOM)) == BOM:
            self._advance(self._read(0, len(BOM)))
            self._begin_window()
        while self.data:
            # If the window had to grow for a long line, the block ends with that line.
            stop = self.data.rfind(b"\n", 0, scan.WINDOW) + 1 or self.data.find(b"\n", scan.WINDOW) + 1
            if not stop and not self.to_the_end:
                self._grow()
                continue
            block = self.data[: stop or len(self.data)]
            if not self._scan_fast(block):
                self._scan_strict(block)
            self._advance(block)
            self.window = scan.WINDOW
            self._begin_window()
        if not self.starts:
            self.fail("the file holds no record", f"Put at least one into it, such as {EXAMPLE}.")

    def _begin_window(self) -> None:
        self.data, self._text, self.at = self._read(self.base, self.window), None, 0

    def _grow(self) -> None:
        if len(self.data) > scan.MAX_RECORD:
            text = self.data.lstrip(_WHITE).decode("latin-1")
            self.at = len(self.data) - len(text)
            with suppress(ValueError, RecursionError):
                self._check_line_end(text, decoded_end(text, 0), len(self.starts))
            self._fail_long(len(self.starts))
        self.window *= 2
        self._begin_window()

    def _scan_fast(self, block: bytes) -> bool:
        """Add all lines of a block if they are certainly good. Return whether they are.

        With commas between them the lines must be an array whose elements are as long as the lines: so each element is
        one line.
        """
        if self._fast_path is None or block[:1] in _WHITE or not_utf8(block, final=True) is not None:
            return False
        lines = block.rstrip(_WHITE)
        lengths = self._fast_path(b"[" + lines.replace(b"\n", b",\n") + b"]")
        if not lengths:
            return False
        starts, sizes = _lines(lines)
        if not np.array_equal(sizes, lengths) or not (np.frombuffer(lines, np.uint8)[starts] == _BRACE).all():
            return False
        if sizes.max() > min(2 * MAX_DEPTH, scan.MAX_RECORD):
            return False
        self._add_records(starts + self.base, sizes)
        return True

    def _scan_strict(self, block: bytes) -> None:
        """Read the lines of a block one by one."""
        for line in _LINE.finditer(block):
            body = line[0].rstrip(_WHITE)
            self.at = line.start()
            try:
                self._check(body, len(self.starts))
            except DatasetError as error:
                if self.fatal:
                    raise
                self.faults.add(error)
            self._add_record(self.base + self.at, len(body))

    def _check(self, body: bytes, record: int) -> None:
        """Raise DatasetError if a line, without the white space around it, is no record."""
        bad = not_utf8(body, final=True)
        if bad is not None:
            what = f"holds bytes that are not UTF-8 (0x{body[bad.start]:02x}: {bad.reason})"
            self._fail_at(self.base + self.at + bad.start, what, TO_UTF8, record)
        self._check_values(body, record)
        text = body.decode("latin-1")
        if text[0] != "{":
            what = f"is {diagnosis.describe(text, 'line')}, not a JSON object"
            self._fail_in(0, what, f"Write it as an object, such as {EXAMPLE}. {ONE_A_LINE}", record)
        try:
            stop = decoded_end(text, 0)
        except RecursionError:
            self._fail_deep(record)
        except ValueError as error:
            self._check_spread(body, record)
            self._fail_decoding(error, text, record)
        self._check_line_end(text, stop, record)
        rest = text[stop:].lstrip()
        if rest:
            what = f"is followed by {diagnosis.describe(rest, 'line')} on the same line"
            self._fail_in(len(text) - len(rest), what, ONE_A_LINE, record)
        self._check_sizes(self.at, self.at + len(body), record)

    def _check_line_end(self, text: str, stop: int, record: int) -> None:
        """Raise DatasetError if CR alone stands between an object that ends at `stop` and what follows it.

        Then the file is read no further: all of it is a single line.
        """
        rest = text[stop:].lstrip()
        if rest and "\r" in text[stop : len(text) - len(rest)]:
            self.fatal, self.faults.partial = True, self.faults.count > 0
            self._fail_in(stop, "ends with a carriage return (CR) alone, which is no line end here", CR_ALONE, record)

    def _check_spread(self, body: bytes, record: int) -> None:
        """Raise DatasetError if the object that is not finished on this line goes on over the next ones.

        Then the file was printed for people, and is read no further: a list of what each line lacks would not help.
        """
        if self.faults.full:
            return
        start = self.base + self.at
        text = self._read(start, SMALL).decode("latin-1")
        to_the_end = start + len(text) >= self.size
        stop = _spread_end(text, beyond=not to_the_end or body == b"{")
        lines = text.count("\n", 0, stop or len(text)) + 1
        if stop == 0 or lines == 1:
            return
        self.fatal, self.faults.partial = True, self.faults.count > 0
        what = f"is spread over {lines}{'' if stop else ' or more'} lines, as JSON is printed for people"
        self._fail_at(start, what, SPREAD if stop or to_the_end else SPREAD + WITHIN, record)

    def _fail_decoding(self, error: ValueError, text: str, record: int) -> NoReturn:
        fault: Fault
        if isinstance(error, json.JSONDecodeError):
            fault = diagnosis.explain(error, text, "line")
        else:
            fault = diagnosis.explain_constant(text)
        remedy = fault.remedy if fault.at < len(text) else f"{fault.remedy} {ONE_A_LINE}"
        self._fail_in(fault.at, fault.what, remedy, record)

    def _fail_in(self, at: int, what: str, remedy: str, record: int) -> NoReturn:
        self._fail_at(self.base + self.at + at, what, remedy, record)


def _lines(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where each line of `data` begins, and how long it is without its line break."""
    seen = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(seen == _LINE_BREAK)
    starts = np.concatenate(([0], breaks + 1))
    stops = np.concatenate((breaks, [len(data)]))
    stops = stops - ((seen[stops - 1] == _RETURN) & (stops > starts))
    return starts, stops - starts


def _spread_end(text: str, *, beyond: bool) -> int | None:
    """Return where the object ends that a text begins with, on whatever line; 0 if the text begins with no object.

    None if the text ends before the object does, and may go on `beyond`.
    """
    try:
        return DECODER.raw_decode(text)[1]
    except json.JSONDecodeError as error:
        unfinished = error.pos >= len(text) - LONGEST_TOKEN or error.msg.startswith("Unterminated")
        return None if beyond and unfinished else 0
    except (ValueError, RecursionError):
        return 0
