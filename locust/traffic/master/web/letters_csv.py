"""Write dead letters as CSV for a spreadsheet (RFC 4180): in UTF-8 with its mark, by which Excel knows it.

Guarded here: no cell can be taken for a formula. What an API or a record says may begin with =, +, - or @, and a
spreadsheet would compute it (OWASP, "CSV Injection"): such a cell begins with an apostrophe.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from traffic.core.text import no_formula

CSV_KIND = "text/csv; charset=utf-8"
COLUMNS = ("index", "outcome", "status", "attempts", "group", "reason", "answer", "worker", "key", "record")
_AT_ONCE = 1 << 16


def _lines(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


CSV_HEAD = ("\ufeff" + _lines([COLUMNS])).encode()


def csv_rows(lines: bytes) -> bytes:
    """Return the rows of dead letters that are given as JSON Lines."""
    letters = map(json.loads, lines.splitlines())
    return _lines([_cell(letter, name) for name in COLUMNS] for letter in letters).encode(errors="backslashreplace")


def _cell(letter: dict[str, Any], name: str) -> str:
    value = letter.get(name)
    if name == "answer" and value is not None:
        value = value.get("text", value.get("base64"))
    return "" if value is None else no_formula(str(value))


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Return a file in pieces of whole lines; close it at the end."""
    with file:
        while lines := file.readlines(_AT_ONCE):
            yield b"".join(lines)
