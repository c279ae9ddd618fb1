"""Times as files have them, in nanoseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Any

from traffic.core.pace.config import TimeFormat

UNIT_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
# A number below the bound is of this unit, if nobody says of which: seconds until the year 5138, and so on.
_UNITS_BY_SIZE: tuple[tuple[float, TimeFormat], ...] = ((1e11, "s"), (1e14, "ms"), (1e17, "us"), (float("inf"), "ns"))
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# int64 holds 292 years around 1970 in nanoseconds.
MOST_NS = 2**63 - 1


def unit_of(number: float) -> TimeFormat:
    """Return the unit that a number of them since 1970 looks like."""
    return next((unit for bound, unit in _UNITS_BY_SIZE if abs(number) < bound), "ns")


def scaled(number: float, unit_ns: int) -> int:
    """Return a number of units in nanoseconds, exactly where it is whole."""
    if isinstance(number, int):
        return number * unit_ns
    if number in (float("inf"), float("-inf")):
        return MOST_NS + 1
    whole = int(number)
    return whole * unit_ns + round((number - whole) * unit_ns)


def in_range(nanoseconds: int) -> int:
    """Return a time. ValueError, to follow "record 7", if int64 does not hold it."""
    if abs(nanoseconds) > MOST_NS:
        raise ValueError("has a time that is more than 292 years from 1970")
    return nanoseconds


def nanoseconds(at: datetime) -> int:
    """Return a time in nanoseconds since 1970; without a zone it is in UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MICROSECOND * 1000


def iso(text: str) -> int:
    """Return a time in ISO 8601, without an offset in UTC. ValueError, to follow "record 7", if it is none."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"has the time {text[:40]!r}, which is not ISO 8601") from error
    return nanoseconds(at)


def read_time(value: Any) -> int:
    """Return a text in ISO 8601, or a number, as a time. ValueError, to follow "record 7", if it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("has something else than a text or a number as its time")  # noqa: TRY004 - the file's fault
    return iso(value) if isinstance(value, str) else scaled(value, UNIT_NS[unit_of(value)])
