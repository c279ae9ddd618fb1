"""Clocks. The core reads none of them: it gets the time as an argument."""

import time
from datetime import UTC, datetime

# CLOCK_BOOTTIME goes on while a laptop sleeps, so that a worker that wakes up knows that its leases have expired.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Return the seconds of a clock that only goes forward, also while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def timestamp() -> str:
    """Return the present time: UTC, ISO 8601 with milliseconds."""
    return timestamp_of(time.time())


def timestamp_of(seconds: float) -> str:
    """Return a time in seconds since the epoch: UTC, ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wall_ms() -> int:
    """Return the present time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def ever_greater() -> int:
    """Return a number greater than in earlier calls, also of earlier processes: milliseconds since the epoch."""
    return wall_ms()
