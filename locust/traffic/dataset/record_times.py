"""Read the time that stands in each record, as a run that follows recorded times needs it.

Guarded here: all times of a file are of one kind, decided by the first record. A record whose time is missing, of
another kind, or not readable refuses the run, with its place.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from traffic.core.order import Indexes
from traffic.core.pace.config import TimeFormat
from traffic.core.pointer import found_at, read_pointer
from traffic.core.reading import REQUESTS
from traffic.dataset.dataset import Dataset
from traffic.dataset.fault_list import FaultList
from traffic.dataset.record_writer import UNTIMED
from traffic.dataset.scan import Progress
from traffic.dataset.timestamps import MOST_NS, UNIT_NS, in_range, nanoseconds, scaled, unit_of

_NAMES = {"iso": "a text in ISO 8601", "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class TimeField:
    """Where a record's time stands: the name of a member, or a JSON Pointer (RFC 6901), which begins with `/`."""

    text: str

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the members, from the outermost on."""
        return read_pointer(self.text[1:]) if self.text.startswith("/") else (self.text,)

    def value(self, body: bytes) -> Any:
        """Return what stands there in a record, None if nothing does."""
        try:
            found = msgspec.json.decode(body)
        except msgspec.DecodeError:
            found = json.loads(body)  # it allows lone surrogates, as the check of a file does
        return found_at(found, self.path)


class TimeReader:
    """Reads the times of a dataset. `format` is decided with the first record; `naive`: a text has no offset (UTC)."""

    def __init__(self, dataset: Dataset, field: TimeField, format: TimeFormat = "auto") -> None:  # noqa: A002 - the option's name
        self.format, self._guessed = format, format == "auto"
        self.naive = False
        self._dataset, self._field = dataset, field
        self._decode = _decoder(field.path)
        self._faults = FaultList()

    def read(self, first: int, count: int, progress: Progress) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the times of `count` records from index `first` on, in nanoseconds since 1970, a piece at a time.

        DatasetError, after the last piece, if one of them has no time that can be used.
        """
        for indexes in self._dataset.batches(first, count):
            yield self._piece(indexes)
            progress(int(indexes[0]) - first, count)
        self._faults.raise_any()

    def _piece(self, indexes: Indexes) -> npt.NDArray[np.int64]:
        if self._dataset.reading.records == REQUESTS:
            return self._recorded(indexes)
        values = [self._value(body) for body in self._dataset.contents(indexes)]
        if self.format == "auto":
            self.format = _format_of(values[0])
        fast = _whole_numbers(values, self.format, guessed=self._guessed)
        if fast is not None:
            return fast
        made = np.zeros(len(values), np.int64)
        for at, value in enumerate(values):
            try:
                made[at] = self._time(value)
            except ValueError as error:
                self._add_fault(int(indexes[at]), str(error))
        return made

    def _recorded(self, indexes: Indexes) -> npt.NDArray[np.int64]:
        """Return the times that whole requests have beside their records."""
        self.format = "iso" if self.format == "auto" else self.format
        times = self._dataset.times
        made = np.full(len(indexes), UNTIMED, np.int64) if times is None else times[indexes]
        for at in np.flatnonzero(made == UNTIMED).tolist():
            self._add_fault(int(indexes[at]), "has no time")
        return made

    def _value(self, body: bytes) -> Any:
        if self._decode is None:
            return self._field.value(body)
        try:
            found = self._decode(body)
        except msgspec.DecodeError:  # a rarer shape, or nothing is there: the slower way tells which
            return self._field.value(body)
        for _ in self._field.path:
            found = found.t
        return found

    def _time(self, value: Any) -> int:
        """Return a time in nanoseconds. ValueError, whose text continues "record 7 ...", if it is none."""
        if value is None:
            raise ValueError(f"has no {self._field.text!r}")
        shown = f"has {_short(value)} as {self._field.text!r}"
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{shown}, which is no time")  # noqa: TRY004 - the file's fault, not the caller's
        kind = _format_of(value)
        if (kind == "iso") is not (self.format == "iso"):
            raise ValueError(f"{shown}, and times are to be {_NAMES[self.format]}")
        if self.format == "iso":
            return self._iso(str(value))
        if self._guessed and kind != self.format:
            mixed = f"which looks like {_NAMES[kind]}, and the first time is in {_NAMES[self.format]}"
            raise ValueError(f"{shown}, {mixed}")
        return in_range(scaled(_number(value), UNIT_NS[self.format]))

    def _iso(self, text: str) -> int:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise ValueError(f"has {_short(text)} as {self._field.text!r}, which is no {_NAMES['iso'][2:]}") from error
        self.naive = self.naive or at.tzinfo is None
        return in_range(nanoseconds(at))

    def _add_fault(self, index: int, what: str) -> None:
        remedy = "Correct the record, or name another member with --traffic-time (its kind: --traffic-time-format)."
        self._faults.add(self._dataset.fault(index, what, remedy, placed=not self._faults.full))


def _decoder(path: tuple[str, ...]) -> Any:
    """Return a decoder that reads one member and skips the rest; None if a name may be an array's index."""
    if any(name.isdigit() for name in path):
        return None
    kind: Any = int | float | str
    for name in reversed(path):
        kind = msgspec.defstruct("Holder", [("t", kind, msgspec.field(name=name))])
    return msgspec.json.Decoder(kind).decode


def _format_of(value: Any) -> TimeFormat:
    """Return what kind of time a value looks like."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return "iso"
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "iso"
    return unit_of(value)


def _whole_numbers(values: list[Any], unit: TimeFormat, *, guessed: bool) -> npt.NDArray[np.int64] | None:
    """Return the times of values that are all whole numbers of the unit; None if one is not, or may not fit."""
    if unit == "iso" or set(map(type, values)) != {int}:
        return None
    try:
        numbers = np.array(values, np.int64)
    except OverflowError:
        return None
    least, most = int(numbers.min()), int(numbers.max())
    alike = not guessed or _format_of(least) == _format_of(most) == unit
    if not alike or max(abs(least), abs(most)) > MOST_NS // UNIT_NS[unit] or least < 0:
        return None
    return numbers * UNIT_NS[unit]


def _number(value: float | str) -> float:
    """Return a number that may be written as a text."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
