"""Reads when a recorded request was sent, as its file says it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# A number below the bound is in seconds, milliseconds, microseconds or nanoseconds.
_UNITS = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000))
_FRACTION = re.compile(r"(.*:\d\d\.\d{6})\d+(.*)")
_MOST = 2**63 - 1


def read_time(value: Any) -> int:
    """Return a time in nanoseconds since 1970: of a text in ISO 8601 (UTC without an offset), or of a number.

    ValueError, to follow "record 7", if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("has something else than a text or a number as its time")  # noqa: TRY004 - the file's fault
    if isinstance(value, str):
        return iso(value)
    unit = next((unit for bound, unit in _UNITS if abs(value) < bound), 1)
    made = value * unit if isinstance(value, int) else round(value * unit)
    if abs(made) > _MOST:
        raise ValueError(f"has the time {value!r}, which is more than 292 years from 1970")
    return made


def iso(text: str) -> int:
    """Return a time in ISO 8601, of whatever precision, in nanoseconds since 1970; without an offset it is in UTC."""
    try:
        at = datetime.fromisoformat(_FRACTION.sub(r"\1\2", text.strip()))
    except ValueError as error:
        raise ValueError(f"has the time {text[:40]!r}, which is not ISO 8601") from error
    return nanoseconds(at)


def nanoseconds(at: datetime) -> int:
    """Return a time in nanoseconds since 1970; without a zone it is in UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MICROSECOND * 1000
