"""The clocks of the processes. The core reads none: it is given the time."""

import time
from datetime import UTC, datetime

# CLOCK_BOOTTIME goes on while a laptop sleeps, so that a worker which wakes up knows that its leases have lapsed.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Seconds on a clock that only goes forward, suspends included."""
    return time.clock_gettime(_CLOCK)


def timestamp() -> str:
    """The present time, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ever_greater() -> int:
    """A number greater than those of earlier calls, in earlier processes, too: the milliseconds of the epoch."""
    return time.time_ns() // 1_000_000
