"""Decides what stands between CSV's fields, by how well each delimiter splits the first rows.

The rule that this module guards: if two delimiters split the rows equally well, or the rows contradict the header, the
file is refused, with what each reading would make of it. No file is taken for a single column because that fits, too.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from traffic.core.reading import DELIMITERS
from traffic.dataset.from_csv.text import reader

# So many rows decide, at most.
_ROWS = 100
_SHOWN, _FIELDS_SHOWN = 24, 4
# Excel's own first line, by which it is told the delimiter.
_SEP = re.compile(r'"?sep=(.)"?(\r\n|\n|\r|\Z)', re.IGNORECASE | re.DOTALL)
_NOT_IN_A_HEADER = frozenset("{}[]<>:")
# What begins with one of these is a number or a comment rather than a column's name.
_NO_NAME = frozenset("-+.0123456789/")
GIVE_DELIMITER = "Say which with --traffic-delimiter (TRAFFIC_DELIMITER): a comma, a semicolon, a tab or |."


class DialectError(ValueError):
    """The first rows do not say what stands between the fields. `what` and `remedy` are for people."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


@dataclass(frozen=True, slots=True)
class Dialect:
    """What stands between the fields, and the text before the header, which is one line or nothing."""

    delimiter: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows as one delimiter splits them. `broken` says why they are no CSV; empty if they are."""

    delimiter: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    broken: str = ""

    @property
    def splits(self) -> bool:
        """Whether the header has several columns."""
        return len(self.names) > 1

    @property
    def fits(self) -> bool:
        """Whether each row has as many fields as the header names, and the names are names."""
        named = all(name.strip() for name in self.names) and len(set(self.names)) == len(self.names)
        return self.splits and not self.broken and named and self.even

    @property
    def even(self) -> bool:
        """Whether each row has as many fields as the header names."""
        return all(len(row) == len(self.names) for row in self.rows)

    @property
    def within_text(self) -> bool:
        """Whether a space follows each delimiter of the header, as in a sentence."""
        return all(name.startswith(" ") for name in self.names[1:])

    @property
    def described(self) -> str:
        """What this reading makes of the file, to follow "read with semicolons, ..."."""
        if self.broken:
            return f"it is no CSV ({self.broken})"
        odd = next((nth for nth, row in enumerate(self.rows, 1) if len(row) != len(self.names)), None)
        header = f"the header is {_shown(self.names)}"
        if odd is not None:
            return f"{header}, which is {_count(self.names)}, and row {odd} has {_count(self.rows[odd - 1])}"
        return f"{header} and the first row {_shown(self.rows[0])}" if self.rows else header


def decide(text: str, *, cut: bool, asked: str = "") -> Dialect:
    """Return the dialect of CSV that begins with `text`, which may be `cut`. `asked`: the delimiter, if it is known.

    DialectError if that is not clear.
    """
    said = _SEP.match(text)
    if said and said[1] not in DELIMITERS and not asked:
        what = f"the first line says that {said[1]!r} stands between the fields, which is none of the delimiters"
        raise DialectError(what, GIVE_DELIMITER)
    before = said[0] if said else ""
    if asked or said:
        return Dialect(asked or (said[1] if said else ""), before)
    samples = [sample(text, delimiter, cut=cut) for delimiter in DELIMITERS]
    return Dialect(_best(samples), before)


def _best(samples: list[Sample]) -> str:
    fitting = [one for one in samples if one.fits]
    # A comma in "name, first name" separates words.
    fitting = [one for one in fitting if not one.within_text] or fitting
    if len(fitting) == 1:
        return fitting[0].delimiter
    if fitting:
        raise DialectError(f"the file can be read as CSV in two ways: {_readings(fitting)}", GIVE_DELIMITER)
    split = [one for one in samples if one.splits]
    if len(split) == 1:
        return split[0].delimiter  # its rows are reported one by one
    if split:
        raise DialectError(f"the file's rows do not fit its header: {_readings(split)}", GIVE_DELIMITER)
    unlike = [one for one in samples if _splits_rows(one)]
    if unlike:
        remedy = f"Name each column in the first line, or, if the file has one column, say {_one_column(samples)}."
        raise DialectError(f"the file's rows do not fit its header: {_readings(unlike)}", remedy)
    return ","


def _splits_rows(one: Sample) -> bool:
    """Whether all rows have the same number of fields, several, though the header has one."""
    return not one.broken and bool(one.rows) and len({len(row) for row in one.rows}) == 1 and len(one.rows[0]) > 1


def _one_column(samples: list[Sample]) -> str:
    """Return the option with a delimiter that the file does not have."""
    free = next((one.delimiter for one in samples if all(len(row) == 1 for row in one.rows)), ",")
    return f"--traffic-delimiter {DELIMITERS[free]}"


def _readings(samples: list[Sample]) -> str:
    return "; ".join(f"read with {DELIMITERS[one.delimiter]}s, {one.described}" for one in samples)


def sample(text: str, delimiter: str, *, cut: bool) -> Sample:
    """Return the first rows of a text as a delimiter splits them; rows without any text are left out."""
    lines = list(io.StringIO(text, newline=""))
    rows = reader(iter(lines), delimiter)
    made: list[tuple[str, ...]] = []
    broken = ""
    try:
        while len(made) <= _ROWS:
            row = tuple(next(rows))
            if cut and rows.line_num == len(lines):
                break  # it may go on
            if any(row):
                made.append(row)
    except StopIteration:
        pass
    except csv.Error as error:
        broken = "" if cut and rows.line_num == len(lines) else str(error)
    return Sample(delimiter, made[0] if made else (), tuple(made[1:]), broken)


def is_header(text: str, *, cut: bool) -> bool:
    """Whether a text's first line looks like the names of two columns or more, and the second has as many fields."""
    return bool(_SEP.match(text)) or any(_names_columns(sample(text, one, cut=cut)) for one in DELIMITERS)


def _names_columns(one: Sample) -> bool:
    if not one.splits or len(set(one.names)) < len(one.names) or "" in one.names:
        return False
    first = one.rows[:1]
    return not _NOT_IN_A_HEADER & set("".join(one.names)) and all(len(row) == len(one.names) for row in first)


def csv_doubt(head: bytes, *, cut: bool) -> str | None:
    """Return why a text that is no JSON was not taken for CSV, to follow "the file is not JSON, and".

    `head` begins behind white space, and is all of the text unless it is `cut`. None if it does not look like CSV.
    """
    text = head.decode("utf-8", "replace")
    samples = [one for one in _samples(text, cut=cut) if one.names and (one.rows or cut)]
    if not samples or text[0] in _NO_NAME:
        return None
    widest = max(samples, key=lambda one: len(one.names))
    return None if _NOT_IN_A_HEADER & set("".join(widest.names)) else _csv_doubt(widest)


def _samples(text: str, *, cut: bool) -> Iterator[Sample]:
    for delimiter in DELIMITERS:
        one = sample(text, delimiter, cut=cut)
        if not one.broken or one.rows:
            yield one


def _csv_doubt(one: Sample) -> str:
    names, row = one.names, one.rows[0] if one.rows else one.names
    if len(names) == len(row) == 1:
        return f"CSV with one column, here {names[0][:40]!r}, is recognized by the file's name alone"
    if "" in names:
        return f"not CSV, for its first line has no name for column {names.index('') + 1}"
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"not CSV, for its first line has the name {twice[:40]!r} twice"
    return f"not CSV, for its first line names {len(names)} columns and its second line has {_count(row)}"


def _count(fields: tuple[str, ...]) -> str:
    return f"{len(fields)} field{'' if len(fields) == 1 else 's'}"


def _shown(fields: tuple[str, ...]) -> str:
    parts = [repr(field if len(field) <= _SHOWN else field[:_SHOWN] + "…") for field in fields[:_FIELDS_SHOWN]]
    return " | ".join([*parts, *["…"] * (len(fields) > _FIELDS_SHOWN)])
