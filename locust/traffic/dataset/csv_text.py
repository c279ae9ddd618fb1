"""Reads CSV with Python's csv module, whose limit on the length of a field holds for all readers of the process.

The rule that this module guards: the limit is raised and never lowered, so that no reader changes another's. How much
a row may hold is for `csv_to_jsonl` to limit.
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


def reader(lines: Iterator[str], delimiter: str = ",") -> Reader:
    """Make a strict reader (RFC 4180) of lines with their line breaks. It raises csv.Error."""
    if csv.field_size_limit() < scan.MAX_RECORD:
        csv.field_size_limit(scan.MAX_RECORD)
    return csv.reader(lines, delimiter=delimiter, strict=True)
