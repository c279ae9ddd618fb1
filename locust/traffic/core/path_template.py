"""Paths with variables: RFC 6570, levels 1 to 3, whose variables are a record's members, or JSON Pointers to them.

`/users/{id}/messages{?lang,page}`; `{address/city}` is the member `city` of the member `address`. A variable without a
value is a fault of the record, in a query, too: a request to another place than was meant is worse than none.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from traffic.core.pointer import read_pointer

_EXPRESSION = re.compile(r"\{([+#./;?&]?)([^{}]*)\}")
_RESERVED = "!#$&'()*+,/:;=?@[]"
_UNRESERVED = "-._~"
# For each operator: what comes first, what stands between two values, whether the name is written, what an empty value
# has behind its name, and which characters stay as they are (RFC 6570, appendix A).
_OPERATORS = {
    "": ("", ",", False, "", _UNRESERVED),
    "+": ("", ",", False, "", _UNRESERVED + _RESERVED),
    "#": ("#", ",", False, "", _UNRESERVED + _RESERVED),
    ".": (".", ".", False, "", _UNRESERVED),
    "/": ("/", "/", False, "", _UNRESERVED),
    ";": (";", ";", True, "", _UNRESERVED),
    "?": ("?", "&", True, "=", _UNRESERVED),
    "&": ("&", "&", True, "=", _UNRESERVED),
}
_LITERAL = re.compile(r"[!-~]*")

Look = Callable[[Sequence[str]], Any]
"""Returns the value at a path of members; None if nothing is there."""


@dataclass(frozen=True, slots=True)
class _Part:
    literal: str
    operator: str = ""
    # For each variable: its name as written, and the path of members that it means.
    variables: tuple[tuple[str, tuple[str, ...]], ...] = ()


class PathTemplate:
    """A path with variables. `text` is as it was given, `variables` the paths of the members that it needs."""

    def __init__(self, text: str) -> None:
        """Read it. ValueError, as a rule that is broken, if it is none."""
        self.text = text
        self._parts = _parse(text)
        self.variables = tuple(path for part in self._parts for _, path in part.variables)

    def expand(self, look: Look) -> str:
        """Return the path for a record. ValueError, to follow "record 7", if a member is missing or no plain value."""
        return "".join(_expand(part, look) for part in self._parts)


def _parse(text: str) -> list[_Part]:
    if not text.startswith(("/", "{/", "{+")):
        raise ValueError("must begin with /")
    made, at = [], 0
    for found in _EXPRESSION.finditer(text):
        made.append(_Part(_literal(text[at : found.start()])))
        names = found[2].split(",")
        made.append(_Part("", found[1], tuple((name, _path(name)) for name in names)))
        if found[1] == "#":
            raise ValueError("must have no {#...}: what comes behind # is not sent to a server")
        at = found.end()
    made.append(_Part(_literal(text[at:])))
    return [part for part in made if part.literal or part.variables]


def _literal(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError("must close each { with a }, with names of members between them")
    if not _LITERAL.fullmatch(text) or "#" in text:
        raise ValueError("must hold neither spaces nor # nor characters outside ASCII (percent-encode them)")
    return text


def _path(name: str) -> tuple[str, ...]:
    if not name or name.endswith("*") or re.search(r":\d+$", name):
        raise ValueError(f"must name a member in each {{...}}, without * and :N, not {name!r}")
    return read_pointer(name)


def _expand(part: _Part, look: Look) -> str:
    if not part.variables:
        return part.literal
    first, between, named, empty, safe = _OPERATORS[part.operator]
    made = []
    for name, path in part.variables:
        value = quote(_text(name, look(path)), safe=safe)
        made.append(f"{name.rpartition('/')[2]}{'=' + value if value else empty}" if named else value)
    return first + between.join(made)


def _text(name: str, value: Any) -> str:
    if value is None:
        raise ValueError(f"has no member {name!r}, which its path needs")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if not value:
            raise ValueError(f"has an empty member {name!r}, which its path needs")
        return value
    if isinstance(value, int | float):
        return repr(value)
    raise ValueError(f"has an object or a list as {name!r}, and its path needs a text or a number")
