"""Reads CSV by Python's csv module, whose limit on the length of a field is one for all readers of the process.

The rule that this module guards: that limit is raised and never lowered, so that no reader meets another's. What a row
may hold is for `rows` to bound.
"""

import csv
from collections.abc import Iterator
from typing import Protocol

from traffic.dataset import scan


class Reader(Protocol):
    """What the csv module makes of lines, as far as it is used here."""

    line_num: int

    def __next__(self) -> list[str]:
        """The next row."""


def reader(lines: Iterator[str], delimiter: str = ",") -> Reader:
    """A strict reader (RFC 4180) of lines with their line breaks. It raises csv.Error."""
    if csv.field_size_limit() < scan.MAX_RECORD:
        csv.field_size_limit(scan.MAX_RECORD)
    return csv.reader(lines, delimiter=delimiter, strict=True)
