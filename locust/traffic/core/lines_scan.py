"""Reads JSON Lines (also known as NDJSON): one JSON object (RFC 8259) on each line, blank lines between them or not.

The rule that this module guards: each line that is not blank is one whole record. So a fault spoils one line, and the
next is read as if nothing had been.
"""

import json
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from . import faults, scan
from .faults import DatasetError, Fault
from .scan import BOM, DECODER, EXAMPLE, MAX_DEPTH, TO_UTF8, Scan
from .utf8 import not_utf8

_LINE_BREAK, _RETURN, _BRACE = ord("\n"), ord("\r"), ord("{")
_WHITE = b" \t\r\n"
ONE_A_LINE = "Write each record on one line of its own (jq -c . does that)."


class LinesScan(Scan):
    """A scan of lines; the window is always at the beginning of one."""

    def _read_records(self) -> None:
        if self._read(0, len(BOM)) == BOM:
            self._pass(self._read(0, len(BOM)))
            self._begin_window()
        while self.data:
            stop = self.data.rfind(b"\n") + 1
            if not stop and not self.to_the_end:
                self._grow()
                continue
            block = self.data[: stop or len(self.data)]
            if not self._leap(block):
                self._crawl(block)
            self._pass(block)
            self.window = scan.WINDOW
            self._begin_window()
        if not self.starts:
            self.fail("the file holds no record", f"Put at least one into it, such as {EXAMPLE}.")

    def _begin_window(self) -> None:
        self.data, self._text, self.at = self._read(self.base, self.window), None, 0

    def _grow(self) -> None:
        if len(self.data) > scan.MAX_RECORD:
            self._fail_long(len(self.starts))
        self.window *= 2
        self._begin_window()

    def _leap(self, block: bytes) -> bool:
        """Take in all lines of a block, if they are good beyond doubt; whether they are.

        With commas put between the lines they must be an array whose elements are as long as the lines are, each:
        so each element is one line.
        """
        if self._quick is None or block[:1] in _WHITE or not_utf8(block, final=True) is not None:
            return False
        lines = block.rstrip(_WHITE)
        lengths = self._quick(b"[" + lines.replace(b"\n", b",\n") + b"]")
        if not lengths:
            return False
        starts, sizes = _lines(lines)
        if not np.array_equal(sizes, lengths) or not (np.frombuffer(lines, np.uint8)[starts] == _BRACE).all():
            return False
        if sizes.max() > min(2 * MAX_DEPTH, scan.MAX_RECORD):
            return False
        self.starts.frombytes((starts + self.base).astype(np.uint64).tobytes())
        self.lengths.frombytes(sizes.astype(np.uint32).tobytes())
        return True

    def _crawl(self, block: bytes) -> None:
        """Read the lines of a block one by one, rigorously."""
        self.at = 0
        for line in block.split(b"\n"):
            after = self.at + len(line) + 1
            body = line.strip(_WHITE)
            if body:
                self.at += len(line) - len(line.lstrip(_WHITE))
                try:
                    self._check(body, len(self.starts))
                except DatasetError as error:
                    if self.hopeless:
                        raise
                    self.findings.add(error)
                self._note(self.base + self.at, len(body))
            self.at = after

    def _check(self, body: bytes, record: int) -> None:
        """DatasetError where a line without the white space around it is no record."""
        bad = not_utf8(body, final=True)
        if bad is not None:
            what = f"holds bytes that are not UTF-8 (0x{body[bad.start]:02x}: {bad.reason})"
            self._fail_at(self.base + self.at + bad.start, what, TO_UTF8, record)
        text = body.decode("latin-1")
        if text[0] != "{":
            what = f"is {faults.describe(text, 'line')}, not a JSON object"
            self._fail_in(0, what, f"Write it as an object, such as {EXAMPLE}. {ONE_A_LINE}", record)
        try:
            stop = DECODER.raw_decode(text)[1]
        except RecursionError:
            self._fail_deep(record)
        except ValueError as error:
            self._fail_decoding(error, text, record)
        rest = text[stop:].lstrip()
        if rest:
            what = f"is followed by {faults.describe(rest, 'line')} on the same line"
            self._fail_in(len(text) - len(rest), what, ONE_A_LINE, record)
        self._check_sizes(self.at, self.at + len(body), record)

    def _fail_decoding(self, error: ValueError, text: str, record: int) -> NoReturn:
        fault: Fault
        if isinstance(error, json.JSONDecodeError):
            fault = faults.explain(error, text, "line")
        else:
            fault = faults.explain_constant(text)
        remedy = fault.remedy if fault.at < len(text) else f"{fault.remedy} {ONE_A_LINE}"
        self._fail_in(fault.at, fault.what, remedy, record)

    def _fail_in(self, at: int, what: str, remedy: str, record: int) -> NoReturn:
        self._fail_at(self.base + self.at + at, what, remedy, record)


def _lines(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each line of `data` begins, and how long it is without its line break."""
    seen = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(seen == _LINE_BREAK)
    starts = np.concatenate(([0], breaks + 1))
    stops = np.concatenate((breaks, [len(data)]))
    stops = stops - ((seen[stops - 1] == _RETURN) & (stops > starts))
    return starts, stops - starts
