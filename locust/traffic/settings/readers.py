"""Readers: each turns the text of one value into the value, or raises BadValueError with the rule that it breaks."""

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

LARGEST = 2**63 - 1
LONGEST_WAIT_S = 3600
_WAIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:-\s*(\d+(?:\.\d+)?)\s*)?")

T = TypeVar("T")


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
    """Read the path of a URL, with its query."""
    if not re.fullmatch(r"/[!-~]*", text):
        raise BadValueError("must begin with / and hold neither spaces nor characters outside ASCII")
    return text


def member(text: str) -> str:
    """Read the name of a record's member, or a JSON Pointer to one (RFC 6901), which begins with /."""
    if text.startswith("/") and re.search(r"~(?![01])", text):
        raise BadValueError("must be a member's name, or a JSON Pointer, in which ~ is written ~0, and / in a name ~1")
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
