"""The formats of traffic files: how each is detected, and how it is read.

A file's content decides, and its name only if the content leaves it open. To add a format, write a module that scans
it, or converts it to records, and add a row to BODY_FORMATS or RECORDED.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traffic.core.reading import PLAIN, REQUESTS, Reading
from traffic.dataset.array_scan import ArrayScan
from traffic.dataset.compression import plain_suffix
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.encoding import is_no_utf8
from traffic.dataset.facts import FileFacts
from traffic.dataset.from_csv.convert import convert as convert_csv
from traffic.dataset.from_csv.dialect import is_header
from traffic.dataset.from_requests import access_log, gor, har, request_lines
from traffic.dataset.from_requests.builder import RequestBuilder
from traffic.dataset.from_requests.convert import Parse, convert_requests
from traffic.dataset.head import WHITE, Head
from traffic.dataset.lines_scan import LinesScan
from traffic.dataset.record_writer import RecordWriter
from traffic.dataset.scan import DECODER, TO_UTF8, Progress, Scan
from traffic.dataset.source import Source

Convert = Callable[[Source, Reading, RecordWriter, Progress], FileFacts]
"""Reads an open file, and adds its records to a writer; returns what was found out."""


@dataclass(frozen=True, slots=True, eq=False)
class FormatReader:
    """One format. `name` is its name in the cache, which never changes; `label` is for people.

    `detect` returns whether a file that begins so has this format; it raises DatasetError if that format is close, and
    not supported. `scan` finds the records' places in the file; None: `convert` makes them.
    """

    name: str
    label: str
    detect: Callable[[Head], bool]
    scan: type[Scan] | None = None
    convert: Convert | None = None
    # Names that such a file usually has.
    suffixes: frozenset[str] = frozenset()
    # What these names say in the cache's file names; empty: they decide nothing.
    hint: str = ""


def detect_format(file: Path, head: bytes, reading: Reading = PLAIN) -> FormatReader:
    """Return the format of a file that begins, decompressed, with `head`: all of it, or its first `HEAD` bytes or more.

    DatasetError if it is obviously not UTF-8, or if the `reading` is for another format.
    """
    if is_no_utf8(head):
        raise DatasetError(file, "the file is UTF-16 or UTF-32, not UTF-8", TO_UTF8, None, 1, 1)
    beginning = Head.of(file, head)
    if reading.records == REQUESTS:
        return next(reader for reader in REQUEST_FORMATS if reader.detect(beginning))
    if reading.of_csv:
        if beginning.text[:1] in ("[", "{") and beginning.suffix not in CSV.suffixes:
            what = "the file looks like JSON, and options for CSV are set"
            raise beginning.fault(what, "Leave --traffic-delimiter, --traffic-csv-types and --traffic-csv-body out.")
        return CSV
    if (recorded := next((reader for reader in RECORDED if reader.detect(beginning)), None)) is not None:
        what = f"the file is {recorded.label}, whose records are whole requests"
        raise beginning.fault(what, "Say --traffic-records requests (TRAFFIC_RECORDS=requests).")
    return next(reader for reader in BODY_FORMATS if reader.detect(beginning))


def cache_hint(file: Path, reading: Reading = PLAIN) -> str:
    """Return what besides its content decides how a file is read: its name (lines, csv, or any), and the `reading`."""
    suffix = plain_suffix(file)
    by_name = next((reader.hint for reader in BODY_FORMATS if reader.hint and suffix in reader.suffixes), "any")
    return f"{by_name}-{reading.key}" if reading.key else by_name


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
    return head.suffix in CSV.suffixes or is_header(head.text, cut=head.cut)


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
    "CSV", "CSV with a header", _is_csv, convert=convert_csv, suffixes=frozenset({".csv", ".tsv"}), hint="csv"
)
# A file of no other format is read as an array, whose scan reports what is wrong with it.
ARRAY = FormatReader("ARRAY", "a JSON array", _is_anything, ArrayScan, suffixes=frozenset({".json"}))


def _requests(parse: Parse, allowed: tuple[str, ...] = (), because: str = "") -> Convert:
    """Return what converts a format of recorded requests."""

    def convert(source: Source, reading: Reading, out: RecordWriter, progress: Progress) -> FileFacts:
        return convert_requests(parse, source, RequestBuilder(reading, allowed, because), out, progress)

    return convert


def _recorded(name: str, label: str, begins: re.Pattern[str], convert: Convert, suffix: str) -> FormatReader:
    return FormatReader(
        name, label, lambda head: begins.match(head.text) is not None, convert=convert, suffixes=frozenset({suffix})
    )


_LOGGED = access_log.SENT, access_log.BECAUSE
RECORDED = (
    _recorded("HAR", "a HAR", re.compile(r'\{\s*"log"\s*:\s*\{\s*"'), _requests(har.parse), ".har"),
    _recorded("GOR", "a file of GoReplay", gor.META_TEXT, _requests(gor.parse), ".gor"),
    _recorded(
        "CLOUDFRONT",
        "a log of CloudFront",
        re.compile(r"#Version:.*\s#Fields:.*cs-uri-stem"),
        _requests(access_log.parse_cloudfront, *_LOGGED),
        ".log",
    ),
    _recorded("ALB", "a log of a load balancer", access_log.ALB, _requests(access_log.parse_alb, *_LOGGED), ".log"),
    _recorded(
        "COMBINED",
        "an access log",
        re.compile(access_log.COMBINED.pattern + r"\r?(?:\n|\Z)"),
        _requests(access_log.parse_combined, *_LOGGED),
        ".log",
    ),
)
# A file of none of those is read as lines of requests, which report what is wrong with it.
REQUEST_LINES = FormatReader(
    "REQUEST_LINES",
    "lines of requests",
    _is_anything,
    convert=_requests(request_lines.parse),
    suffixes=frozenset({".jsonl"}),
)

# In the order of detection.
BODY_FORMATS = (LINES, CSV, ARRAY)
REQUEST_FORMATS = (*RECORDED, REQUEST_LINES)
BY_NAME = {reader.name: reader for reader in (*BODY_FORMATS, *REQUEST_FORMATS)}
SUFFIXES = frozenset[str]().union(*(reader.suffixes for reader in BY_NAME.values()))
