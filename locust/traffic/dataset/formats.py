"""The formats of traffic files: how each is detected, and how it is read.

A file's content decides, and its name only if the content leaves it open. To add a format, write a module that scans
it, or converts it to JSON Lines, and add a row to FORMATS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traffic.dataset import csv_to_jsonl
from traffic.dataset.array_scan import ArrayScan
from traffic.dataset.compression import plain_suffix
from traffic.dataset.csv_header import is_header
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.head import WHITE, Head
from traffic.dataset.lines_scan import LinesScan
from traffic.dataset.memory_budget import Budget
from traffic.dataset.scan import DECODER, TO_UTF8, Progress, Scan

Convert = Callable[[Path, int, Callable[[bytes], object], Progress | None, Budget | None], None]
"""Reads an open file, which people know by a path, and hands JSON Lines to a function piece by piece."""


@dataclass(frozen=True, slots=True, eq=False)
class FormatReader:
    """One format. `name` is its name in the cache, which never changes; `label` is for people.

    `detect` returns whether a file that begins so has this format; it raises DatasetError if that format is close, and
    not supported. `scan` reads the records' places in the file, or in what `convert` makes of it.
    """

    name: str
    label: str
    detect: Callable[[Head], bool]
    scan: type[Scan]
    convert: Convert | None = None
    # Names that such a file usually has.
    suffixes: frozenset[str] = frozenset()
    # What these names say in the cache's file names; empty: they decide nothing.
    hint: str = ""


def detect_format(file: Path, head: bytes) -> FormatReader:
    """Return the format of a file that begins, decompressed, with `head`: all of it, or its first `HEAD` bytes or more.

    DatasetError if it is obviously not UTF-8, or CSV with a delimiter that is not supported.
    """
    if b"\0" in head[:2] or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DatasetError(file, "the file is UTF-16 or UTF-32, not UTF-8", TO_UTF8, None, 1, 1)
    beginning = Head.of(file, head)
    return next(reader for reader in FORMATS if reader.detect(beginning))


def name_hint(file: Path) -> str:
    """Return what a file's name says of its format, as far as that may decide: lines, csv, or any."""
    suffix = plain_suffix(file)
    return next((reader.hint for reader in FORMATS if reader.hint and suffix in reader.suffixes), "any")


def _are_lines(head: Head) -> bool:
    named = head.suffix in LINES.suffixes
    if head.text.startswith("{"):
        return named or _another_follows(head.text)
    if not named or head.text.startswith("["):
        return False
    if head.text and is_header(head.text, cut=head.cut):
        what = "the file looks like CSV with a header, and by its name it is JSON Lines"
        raise head.fault(what, "Rename it so that its name ends with .csv.")
    return True


def _another_follows(text: str) -> bool:
    """Whether a text that begins with an object goes on with another one, or has one that begins a later line."""
    try:
        rest = text[DECODER.raw_decode(text)[1] :].lstrip(WHITE + ",")
    except (ValueError, RecursionError):
        # The first is broken, or longer than this text: see how lines begin.
        return "\n{" in text
    return rest.startswith("{") or "\n{" in rest


def _is_csv(head: Head) -> bool:
    if head.text[:1] in ("", "[", "{"):
        return False
    if is_header(head.text, cut=head.cut):
        return True
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs")):
        if is_header(head.text, delimiter, cut=head.cut):
            what = f"the file looks like CSV with {name} between its fields"
            raise head.fault(what, "Save it with commas between them.")
    return head.suffix in CSV.suffixes


def _is_anything(_head: Head) -> bool:
    return True


LINES = FormatReader(
    "LINES",
    "JSON Lines",
    _are_lines,
    LinesScan,
    suffixes=frozenset({".jsonl", ".ndjson", ".jsonlines", ".ldjson"}),
    hint="lines",
)
CSV = FormatReader(
    "CSV", "CSV with a header", _is_csv, LinesScan, csv_to_jsonl.convert, suffixes=frozenset({".csv"}), hint="csv"
)
# A file of no other format is read as an array, whose scan reports what is wrong with it.
ARRAY = FormatReader("ARRAY", "a JSON array", _is_anything, ArrayScan, suffixes=frozenset({".json"}))

# In the order of detection.
FORMATS = (LINES, CSV, ARRAY)
BY_NAME = {reader.name: reader for reader in FORMATS}
SUFFIXES = frozenset[str]().union(*(reader.suffixes for reader in FORMATS))
