"""Reads CSV with Python's csv module, whose limit on the length of a field holds for all readers of the process.

The rule that this module guards: the limit is raised and never lowered, so that no reader changes another's. How much
a row may hold is for `convert` to limit.
"""

import csv
from collections.abc import Iterator
from typing import Protocol

from traffic.dataset import scan


class Reader(Protocol):
    """What the csv module makes of lines, as far as it is used here."""

    line_num: int

    def __next__(self) -> list[str]:
        """Return the next row."""


def reader(lines: Iterator[str], delimiter: str) -> Reader:
    """Make a strict reader (RFC 4180) of lines with their line breaks. It raises csv.Error."""
    if csv.field_size_limit() < scan.MAX_RECORD:
        csv.field_size_limit(scan.MAX_RECORD)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def count_lines(data: bytes) -> int:
    """Return how many line breaks there are: LF, CR LF, or CR alone."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def cut_behind_line(data: bytes, window: int, *, whole: bool) -> int:
    """Return where a line ends in `data`, the last within `window` bytes or the first behind them; 0 if none does.

    CR alone ends a line only in a piece without LF, so that no CR LF is cut. `whole`: nothing follows `data`.
    """
    stop = data.rfind(b"\n", 0, window) + 1 or data.find(b"\n", window) + 1
    if stop or b"\r" not in data:
        return stop
    last = len(data) if whole else len(data) - 1  # behind a CR at the end there may be an LF
    return data.rfind(b"\r", 0, min(window, last)) + 1 or data.find(b"\r", window, last) + 1
