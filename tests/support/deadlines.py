"""Decides how long "long" is: every deadline of a test is made here, and a slow or busy machine stretches it.

A test waits for a condition, and says how many seconds that takes at most on a quiet machine. `stretched` multiplies
them by a factor that is measured once a session: how much longer a fixed piece of work takes here and now than on the
machine that the seconds are meant for, at least as many times as there are lanes to a core. `TEST_TIME_FACTOR` in the
environment sets the factor instead. A deadline costs nothing while tests pass.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

USUAL_S = 60.0
# The fixed piece of work takes so long by itself; measured on the machine that the tests' seconds are meant for.
_WORK, _WORK_S = 200_000, 0.010
_PIECES = 7
_MOST = 20.0


@cache
def factor() -> float:
    """Return by how much deadlines are stretched in this session: 1 to 20."""
    if given := os.environ.get("TEST_TIME_FACTOR"):
        return float(given)
    lanes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slowness = statistics.median(_piece_s() for _ in range(_PIECES)) / _WORK_S
    return min(_MOST, max(1.0, lanes / (os.cpu_count() or 1), slowness))


def _piece_s() -> float:
    began = time.perf_counter()
    sum(number * number for number in range(_WORK))
    return time.perf_counter() - began


def stretched(seconds: float) -> float:
    """Return what `seconds` of a quiet machine are on this one."""
    return seconds * factor()


def tries(seconds: float = USUAL_S, pause_s: float = 0.02) -> Iterator[None]:
    """Yield at once, and again and again with a pause between, until the time is up."""
    deadline = time.monotonic() + stretched(seconds)
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(pause_s)


def until(
    condition: Callable[[], Any],
    what: str,
    seconds: float = USUAL_S,
    tell: Callable[[], str] = str,
    pause_s: float = 0.02,
) -> Any:
    """Wait for a condition; return its value. TimeoutError, with what `tell` returns, if it is not met in time."""
    value = None
    for _ in tries(seconds, pause_s):
        if value := condition():
            return value
    raise TimeoutError(f"not in {stretched(seconds):.0f} s: {what}; the last answer was {value!r}\n{tell()}")
