"""Readers: each turns the text of one value into the value, or raises BadValueError with the rule that it breaks."""

import csv
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from traffic.core.audit_source import AuditSource, AuditSourceError
from traffic.core.headers import TCHARS, Field, read_lines
from traffic.core.master.checks import CheckError, read_checks
from traffic.core.outcome_rules import OutcomesError, read_outcomes
from traffic.core.path_template import PathTemplate
from traffic.core.reading import AUTO, CELL_TYPES, DELIMITERS, NULL
from traffic.core.request_record import REFUSED_METHODS
from traffic.core.stamp import Stamp

LARGEST = 2**63 - 1
LONGEST_WAIT_S = 3600
_WAIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:-\s*(\d+(?:\.\d+)?)\s*)?")

T = TypeVar("T")


# A status, or the id of a group (`core/master/letter_groups`).
_SOME_LETTERS = re.compile(r"[1-9][0-9]{2}|(?:[1-9][0-9]{2}|rejected|in-doubt)-[0-9a-f]{8}")


class BadValueError(ValueError):
    """A value that breaks its option's rule; the text is the rule, such as "must be one of POST, PUT"."""


def optional(read: Callable[[str], T]) -> Callable[[str], T | None]:
    """Make a reader that returns None for an empty text."""
    return lambda text: read(text) if text else None


def one_of(*allowed: str) -> Callable[[str], str]:
    """Make a reader of one of some words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise BadValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


def switch(word: str) -> Callable[[str], bool]:
    """Make a reader that returns whether a word is there; the only other text is the empty one."""

    def read(text: str) -> bool:
        if text not in ("", word):
            raise BadValueError(f"must be {word} or empty")
        return bool(text)

    return read


def dead_letters(word: str) -> Callable[[str], str]:
    """Make a reader of which dead letters are meant: all, by a word, those of a status, or a group; empty: none."""

    def read(text: str) -> str:
        if text not in ("", word) and not _SOME_LETTERS.fullmatch(text):
            raise BadValueError(f"must be {word}, a status such as 422, a group such as 422-0a1b2c3d, or empty")
        return text

    return read


def whole(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of a whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,19}", text) or not least <= int(text) <= most:
            raise BadValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def decimal(least: float, most: float) -> Callable[[str], float]:
    """Make a reader of a number within bounds, whole or decimal."""

    def read(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text) or not least <= float(text) <= most:
            raise BadValueError(f"must be a number from {least:g} to {most:g}, whole or decimal")
        return float(text)

    return read


def seed(text: str) -> int:
    """Read a seed; draw one if the text is empty."""
    return whole(0, LARGEST)(text) if text else secrets.randbits(32)


def url_path(text: str) -> str:
    """Read the path of a URL, with its query; it may have variables (RFC 6570), which are members of the records."""
    if "{" in text or "}" in text:
        try:
            PathTemplate(text)
        except ValueError as error:
            raise BadValueError(str(error)) from error
    elif not re.fullmatch(r"/[!-~]*", text):
        raise BadValueError("must begin with / and hold neither spaces nor characters outside ASCII")
    return text


def member(text: str) -> str:
    """Read the name of a record's member, or a JSON Pointer to one (RFC 6901), which begins with /."""
    if text.startswith("/") and re.search(r"~(?![01])", text):
        raise BadValueError("must be a member's name, or a JSON Pointer, in which ~ is written ~0, and / in a name ~1")
    return text


def whole_or_off(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of a whole number within bounds, or of "off", which is 0."""
    read_whole = whole(least, most)

    def read(text: str) -> int:
        if text == "off":
            return 0
        try:
            return read_whole(text)
        except BadValueError as error:
            raise BadValueError(f"{error}, or off") from error

    return read


def pointer(text: str) -> str:
    """Read a JSON Pointer (RFC 6901), or nothing."""
    if text and not text.startswith("/"):
        raise BadValueError("must be a JSON Pointer, which begins with /, such as /errors, or empty")
    return member(text)


def outcomes(text: str) -> str:
    """Read what statuses mean, and leave it as it is written."""
    try:
        read_outcomes(text)
    except OutcomesError as error:
        raise BadValueError(f"must be STATUS=OUTCOME with commas between them, and {error}") from error
    return text


def wait(text: str) -> tuple[float, float]:
    """Read the least and the most seconds between two requests, MIN-MAX or one number for both."""
    match = _WAIT.fullmatch(text)
    low, high = (float(match[1]), float(match[2] or match[1])) if match else (1.0, 0.0)
    if low > high or high > LONGEST_WAIT_S:
        rule = f"must be MIN-MAX in seconds, MIN not above MAX and MAX not above {LONGEST_WAIT_S}, such as 0.1-0.9"
        raise BadValueError(f"{rule}, or 0 for no wait")
    return low, high


def file_path(text: str) -> Path:
    """Read the path of a file or a folder."""
    return Path(text)


def delimiter(text: str) -> str:
    """Read what stands between CSV's fields, by its name or as it is; empty: nobody says."""
    named = {name: one for one, name in DELIMITERS.items()}
    made = named.get(text, "\t" if text == "\\t" else text)
    if made not in ("", *DELIMITERS):
        raise BadValueError(f"must be one of {', '.join(named)}, or empty")
    return made


def column_types(text: str) -> tuple[tuple[str, str], ...]:
    """Read pairs COLUMN=TYPE, with commas between them, and `auto` for all other columns. Quotes are as in CSV."""
    known = {*CELL_TYPES, *(f"{kind}?" for kind in CELL_TYPES), NULL}
    made: dict[str, str] = {}
    try:
        parts = next(csv.reader([text], strict=True, skipinitialspace=True), [])
    except csv.Error as error:
        raise BadValueError(f"must be pairs COLUMN=TYPE with commas between them ({error})") from error
    for part in parts:
        column, is_pair, kind = part.rpartition("=")
        column, kind = (column, kind.strip()) if is_pair else ("", part.strip())
        if kind not in known and not (kind == AUTO and not is_pair):
            kinds = f"{', '.join(CELL_TYPES)} or {NULL}"
            what = f"must be pairs COLUMN=TYPE with commas between them, TYPE one of {kinds}"
            raise BadValueError(f"{what} (with a ? behind it, an empty cell is null), or {AUTO} for the other columns")
        if column in made:
            raise BadValueError(f"must name each column once, and names {column or AUTO!r} twice")
        made[column] = kind
    return tuple(made.items())


def methods(text: str) -> tuple[str, ...]:
    """Read methods of HTTP, with commas between them."""
    made = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    if wrong := [one for one in made if not re.fullmatch(TCHARS, one) or one in REFUSED_METHODS]:
        raise BadValueError(f"must be methods of HTTP with commas between them, without {wrong[0]}")
    return made


def header_lines(text: str) -> tuple[Field, ...]:
    """Read headers, one on each line."""
    try:
        return read_lines(text)
    except ValueError as error:
        raise BadValueError(f"must be headers, Name: value, one on each line ({error})") from error


def certificate(text: str) -> str | tuple[str, str]:
    """Read a certificate's file, or those of a certificate and its key."""
    file, comma, key = text.partition(",")
    return (file.strip(), key.strip()) if comma else text


def stamp(text: str) -> Stamp:
    """Read a member's name, and perhaps in which form the time stands there."""
    member, is_pair, form = text.rpartition("=")
    try:
        return Stamp(member, form) if is_pair else Stamp(text)
    except ValueError as error:
        raise BadValueError(str(error)) from error


def check_lines(text: str) -> tuple[str, ...]:
    """Read checks of a run, one on each line; return them as they were written."""
    try:
        return tuple(check.text for check in read_checks(text))
    except CheckError as error:
        raise BadValueError(str(error)) from error


def audit_source(text: str) -> AuditSource:
    """Read where the API says how many records it has."""
    try:
        return AuditSource.read(text)
    except AuditSourceError as error:
        raise BadValueError(str(error)) from error
