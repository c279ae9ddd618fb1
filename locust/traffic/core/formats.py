"""Tells by its first bytes what a traffic file is; by its name only where these leave it open."""

import csv
import io
from enum import Enum
from pathlib import Path

from .faults import DatasetError
from .scan import BOM, DECODER, MAX_RECORD, TO_UTF8

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


class Format(Enum):
    """How a file's records are laid out; the value is for people."""

    ARRAY = "a JSON array"
    LINES = "JSON Lines"
    CSV = "CSV with a header"


class Packing(Enum):
    """How a file is compressed; the value is for people."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


def packing(file: Path, head: bytes) -> Packing:
    """How a file that begins with `head` is compressed. DatasetError where it is in a way that is not read here."""
    for magic, name in _OTHER_PACKERS.items():
        if head.startswith(magic):
            raise DatasetError(file, f"the file is {name}", "Unpack it, or compress it by gzip or zstd instead.")
    if head.startswith(_GZIP):
        return Packing.GZIP
    return Packing.ZSTD if head.startswith(_ZSTD) else Packing.NONE


def tell(file: Path, head: bytes) -> Format:
    """What the file is that begins, unpacked, with `head`: all of it, or its first `HEAD` bytes or more.

    DatasetError where it is not UTF-8 at first sight, or CSV with a delimiter that is not read here.
    """
    if b"\0" in head[:2] or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DatasetError(file, "the file is UTF-16 or UTF-32, not UTF-8", TO_UTF8, None, 1, 1)
    text = head.removeprefix(BOM).decode("latin-1").lstrip(_WHITE)
    kind = _suffix(file)
    if text.startswith("{"):
        return Format.LINES if kind in _LINES_NAMES or _another_follows(text) else Format.ARRAY
    if kind in _LINES_NAMES and not text.startswith("["):
        return Format.LINES
    if text[:1] in ("", "["):
        return Format.ARRAY
    if _is_header(text):
        return Format.CSV
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        if _is_header(text, delimiter):
            what = f"the file looks like CSV with {name} between its fields"
            raise DatasetError(file, what, "Save it with commas between them.", None, 1, 1)
    return Format.CSV if kind in _CSV_NAMES else Format.ARRAY


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


def _is_header(text: str, delimiter: str = ",") -> bool:
    """Whether the first line of a text looks like the names of two columns or more, and the second has as many."""
    try:
        rows = csv.reader(io.StringIO(text[:MAX_RECORD], newline=""), delimiter=delimiter, strict=True)
        names = next(rows)
        row = next(rows, None)
    except csv.Error:
        return False
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:  # noqa: PLR2004 - one column has no delimiter
        return False
    return not _NOT_IN_A_HEADER & set("".join(names)) and (row is None or len(row) == len(names))
