"""Turns CSV's cells into JSON: as strings, or as the options say for a column.

The rule that this module guards: the same cell makes the same bytes on every machine and in every release. Between
tokens there is no white space; in strings, control characters, quotes and backslashes are escaped as by Python's json
module, and everything else is UTF-8 as it stands. A number and a JSON value stand as they are in the cell.
"""

import re
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from operator import add

from traffic.core.reading import AUTO, NULL
from traffic.dataset import diagnosis
from traffic.dataset.scan import MAX_DEPTH, decoded_end

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BREAKS = str.maketrans("\r\n", "  ")
_SHOWN = 40

Encode = Callable[[str], str]
"""Turns a cell into JSON; ValueError, to follow "is", if it cannot."""


class CellError(ValueError):
    """A cell that is not of its column's type: `column` is its name, and the text says what the cell is not."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(what)
        self.column = column


def _number(cell: str) -> str:
    if not NUMBER.fullmatch(cell):
        raise ValueError("no number as JSON has it (digits, with a point for decimals, and no zero before them)")
    return cell


def _boolean(cell: str) -> str:
    word = cell.lower()
    if word not in ("true", "false"):
        raise ValueError("neither true nor false")
    return word


def json_value(cell: str) -> str:
    """Return a cell that is a JSON value, on one line. ValueError if it is none, or too deep."""
    try:
        stop = decoded_end(text := cell.strip(" \t\r\n"), 0)
    except RecursionError:
        stop = -1
    except ValueError as error:
        raise ValueError(f"no JSON ({error})") from error
    if stop < 0 or diagnosis.depth(text) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if stop < len(text):
        raise ValueError(f"no JSON (behind the value follows {text[stop:].lstrip()[:_SHOWN]!r})")
    return text.translate(_BREAKS)


def _or_null(encode: Encode) -> Encode:
    return lambda cell: encode(cell) if cell else "null"


_ENCODERS: dict[str, Encode] = {
    "string": encode_basestring,
    "number": _number,
    "boolean": _boolean,
    "json": json_value,
}
_ENCODERS |= {f"{kind}?": _or_null(encode) for kind, encode in _ENCODERS.items()}
_ENCODERS[NULL] = _ENCODERS["string?"]


class Cells:
    """Turns rows into objects. `types` has the type of each column that is not `string`."""

    def __init__(self, names: list[str], types: dict[str, str]) -> None:
        self._names = names
        self._keys = [("," if nth else "{") + encode_basestring(name) + ":" for nth, name in enumerate(names)]
        self._encoders = [_ENCODERS[types.get(name, "string")] for name in names]
        self._plain = all(encode is encode_basestring for encode in self._encoders)

    def record(self, row: list[str]) -> bytes:
        """Return a row as an object. CellError if a cell is not of its type."""
        if self._plain:
            # The names and the row's strings, in turn.
            return ("".join(map(add, self._keys, map(encode_basestring, row))) + "}").encode()
        made = []
        for nth, cell in enumerate(row):
            try:
                made.append(self._keys[nth] + self._encoders[nth](cell))
            except ValueError as error:
                raise CellError(self._names[nth], f"{shown(cell)}, which is {error}") from error
        return ("".join(made) + "}").encode()


class TypesFound:
    """Finds out of what type each column is, for `auto`: all of its cells are, but for empty ones, which are null."""

    def __init__(self, columns: int) -> None:
        # None: every cell so far was empty.
        self._types: list[str | None] = [None] * columns
        self._empty = [False] * columns

    def see(self, rows: Iterable[list[str]]) -> None:
        """Look at some rows, which have as many cells as there are columns."""
        for row in rows:
            for nth, cell in enumerate(row):
                if self._types[nth] == "string":
                    continue
                if not cell:
                    self._empty[nth] = True
                    continue
                kind = _kind_of(cell)
                self._types[nth] = kind if self._types[nth] in (None, kind) else "string"

    def types(self, names: list[str]) -> dict[str, str]:
        """Return the types by the columns' names; a column of strings keeps its empty cells as they are."""
        found = zip(names, self._types, self._empty, strict=True)
        return {name: kind + "?" * empty for name, kind, empty in found if kind is not None and kind != "string"}


def _kind_of(cell: str) -> str:
    if NUMBER.fullmatch(cell):
        return "number"
    return "boolean" if cell in ("true", "false", "TRUE", "FALSE") else "string"


def shown(cell: str) -> str:
    """Return a cell for people, cut if it is long."""
    return repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…")


def chosen(types: Iterable[tuple[str, str]], found: dict[str, str]) -> dict[str, str]:
    """Return the type of each column: as a person says, else as it was `found`."""
    said = {column: kind for column, kind in types if column}
    return {**(found if ("", AUTO) in types else {}), **said}
