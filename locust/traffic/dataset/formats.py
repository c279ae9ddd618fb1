"""Tells by its first bytes what a traffic file is; by its name only where these leave it open."""

import csv
import io
from enum import Enum
from pathlib import Path

from traffic.dataset.csv_text import reader
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.scan import BOM, DECODER, TO_UTF8

HEAD = 1 << 20
_WHITE = " \t\n\r"
_LINES_NAMES = frozenset({".jsonl", ".ndjson", ".jsonlines", ".ldjson"})
_CSV_NAMES = frozenset({".csv"})
_PACKED_NAMES = frozenset({".gz", ".gzip", ".zst", ".zstd"})
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHER_PACKERS = {
    b"PK\x03\x04": "a ZIP archive",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x04\x22\x4d\x18": "compressed by lz4",
}
_NOT_IN_A_HEADER = frozenset("{}[]<>:")
# What begins with one of these is a number or a comment rather than a column's name.
_NO_NAME = frozenset("-+.0123456789/")


class Format(Enum):
    """How a file's records are laid out; the value is for people."""

    ARRAY = "a JSON array"
    LINES = "JSON Lines"
    CSV = "CSV with a header"


class Compression(Enum):
    """How a file is compressed; the value is for people."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


def packing(file: Path, head: bytes) -> Compression:
    """How a file that begins with `head` is compressed. DatasetError where it is in a way that is not read here."""
    for magic, name in _OTHER_PACKERS.items():
        if head.startswith(magic):
            raise DatasetError(file, f"the file is {name}", "Unpack it, or compress it by gzip or zstd instead.")
    if head.startswith(_GZIP):
        return Compression.GZIP
    return Compression.ZSTD if head.startswith(_ZSTD) else Compression.NONE


def tell(file: Path, head: bytes) -> Format:
    """What the file is that begins, unpacked, with `head`: all of it, or its first `HEAD` bytes or more.

    DatasetError where it is not UTF-8 at first sight, or CSV with a delimiter that is not read here.
    """
    if b"\0" in head[:2] or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DatasetError(file, "the file is UTF-16 or UTF-32, not UTF-8", TO_UTF8, None, 1, 1)
    text = head.removeprefix(BOM).decode("latin-1").lstrip(_WHITE)
    kind, cut = _suffix(file), len(head) >= HEAD
    if text.startswith("{"):
        return Format.LINES if kind in _LINES_NAMES or _another_follows(text) else Format.ARRAY
    if kind in _LINES_NAMES and not text.startswith("["):
        if text and _is_header(text, cut=cut):
            what = "the file looks like CSV with a header, and by its name it is JSON Lines"
            raise DatasetError(file, what, "Rename it so that its name ends with .csv.", None, 1, 1)
        return Format.LINES
    if text[:1] in ("", "["):
        return Format.ARRAY
    if _is_header(text, cut=cut):
        return Format.CSV
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        if _is_header(text, delimiter, cut=cut):
            what = f"the file looks like CSV with {name} between its fields"
            raise DatasetError(file, what, "Save it with commas between them.", None, 1, 1)
    return Format.CSV if kind in _CSV_NAMES else Format.ARRAY


def csv_doubt(head: bytes, *, cut: bool) -> str | None:
    """Why a text that is no JSON was not taken for CSV, to follow "the file is not JSON, and".

    `head` begins where the text does, behind white space; it is all of it unless it is `cut`. None if it is unlike CSV.
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
        return f"CSV with one column, here {names[0][:40]!r}, is told by the file's name alone"
    if "" in names:
        return f"not CSV, for its first line has no name for column {names.index('') + 1}"
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"not CSV, for its first line has the name {twice[:40]!r} twice"
    fields = f"{len(row)} field{'' if len(row) == 1 else 's'}"
    return f"not CSV, for its first line names {len(names)} columns and its second line has {fields}"


def hint(file: Path) -> str:
    """What a file's name says of it, as far as that makes a difference: lines, csv, or any."""
    kind = _suffix(file)
    return "lines" if kind in _LINES_NAMES else "csv" if kind in _CSV_NAMES else "any"


def _suffix(file: Path) -> str:
    name = file.with_suffix("") if file.suffix.lower() in _PACKED_NAMES else file
    return name.suffix.lower()


def _another_follows(text: str) -> bool:
    """Whether a text that begins with an object goes on with another one, or has one that begins a later line."""
    try:
        rest = text[DECODER.raw_decode(text)[1] :].lstrip(_WHITE + ",")
    except (ValueError, RecursionError):
        # The first is broken, or longer than this text: see how lines begin.
        return "\n{" in text
    return rest.startswith("{") or "\n{" in rest


def _is_header(text: str, delimiter: str = ",", *, cut: bool) -> bool:
    """Whether the first line of a text looks like the names of two columns or more, and the second has as many."""
    try:
        names, row = _first_rows(text, delimiter, cut=cut)
    except csv.Error:
        return False
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:  # noqa: PLR2004 - one column has no delimiter
        return False
    return not _NOT_IN_A_HEADER & set("".join(names)) and (row is None or len(row) == len(names))


def _first_rows(text: str, delimiter: str = ",", *, cut: bool) -> tuple[list[str], list[str] | None]:
    """The first row of a text, and the second, if there is one and, where the text was `cut`, it ends before that.

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
