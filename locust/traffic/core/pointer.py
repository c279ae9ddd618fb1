"""JSON Pointers (RFC 6901): the names of the members on the way to a value, and what stands there."""

from collections.abc import Sequence
from typing import Any


def read_pointer(text: str) -> tuple[str, ...]:
    """Return the names of the members on the way; `text` is a pointer without the slash that it begins with."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/"))


def found_at(value: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path of members and of indexes of arrays; None if nothing does."""
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
