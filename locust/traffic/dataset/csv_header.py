"""Decide whether a text begins as CSV with a header does."""

import csv
import io

from traffic.dataset.csv_text import reader

_NOT_IN_A_HEADER = frozenset("{}[]<>:")
# What begins with one of these is a number or a comment rather than a column's name.
_NO_NAME = frozenset("-+.0123456789/")


def is_header(text: str, delimiter: str = ",", *, cut: bool) -> bool:
    """Whether a text's first line looks like the names of two columns or more, and the second has as many fields."""
    try:
        names, row = _first_rows(text, delimiter, cut=cut)
    except csv.Error:
        return False
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:  # noqa: PLR2004 - one column has no delimiter
        return False
    return not _NOT_IN_A_HEADER & set("".join(names)) and (row is None or len(row) == len(names))


def csv_doubt(head: bytes, *, cut: bool) -> str | None:
    """Return why a text that is no JSON was not taken for CSV, to follow "the file is not JSON, and".

    `head` begins behind white space, and is all of the text unless it is `cut`. None if it does not look like CSV.
    """
    text = head.decode("utf-8", "replace")
    try:
        names, row = _first_rows(text, cut=cut)
    except csv.Error:
        return None
    row = names if cut and row is None else row
    if row is None or text[0] in _NO_NAME or _NOT_IN_A_HEADER & set("".join(names)):
        return None
    return _csv_doubt(names, row)


def _csv_doubt(names: list[str], row: list[str]) -> str:
    if len(names) == len(row) == 1:
        return f"CSV with one column, here {names[0][:40]!r}, is recognized by the file's name alone"
    if "" in names:
        return f"not CSV, for its first line has no name for column {names.index('') + 1}"
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"not CSV, for its first line has the name {twice[:40]!r} twice"
    fields = f"{len(row)} field{'' if len(row) == 1 else 's'}"
    return f"not CSV, for its first line names {len(names)} columns and its second line has {fields}"


def _first_rows(text: str, delimiter: str = ",", *, cut: bool) -> tuple[list[str], list[str] | None]:
    """Return the first row of a text, and the second if there is one; None if the text was `cut` within it.

    csv.Error if they are no CSV.
    """
    lines = io.StringIO(text, newline="")
    rows = reader(lines, delimiter)
    names = next(rows)
    try:
        row = next(rows, None)
        while row == []:  # a blank line
            row = next(rows, None)
    except csv.Error:
        if not cut or lines.read(1):
            raise
        row = None
    return names, None if cut and not lines.read(1) else row
