"""Finds a member within a JSON value, by the names of the members on the way (RFC 6901, split and unescaped)."""

from collections.abc import Sequence
from typing import Any


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
