"""Call a function after a time, to some hundredths of a millisecond where the machine can."""

import os
import time
from collections.abc import Callable
from typing import Any

import gevent

# There since Python 3.13, on Linux.
_create: Any = getattr(os, "timerfd_create", None)
_set_time: Any = getattr(os, "timerfd_settime", None)


class Alarm:
    """Calls `act`, in the loop, some seconds after it was last set.

    gevent's loop waits in whole milliseconds, so that its own timers are up to one late. A timer of the kernel's, which
    the loop reads as it reads a socket, is not (timerfd). Where Python has none, it is a timer of the loop.
    """

    def __init__(self, act: Callable[[], object]) -> None:
        self._act, self._loop = act, gevent.get_hub().loop
        self._timer: Any = None
        self._fd = _create(time.CLOCK_MONOTONIC, flags=os.O_NONBLOCK | os.O_CLOEXEC) if _create else -1
        if _create:
            self._readable = self._loop.io(self._fd, 1)
            self._readable.start(self._on_readable)

    def set(self, seconds: float) -> None:
        """Call `act` once after so many seconds (more than 0), and no longer when it was to be called before."""
        if _set_time:
            _set_time(self._fd, initial=seconds)
            return
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        self._timer = self._loop.timer(seconds)
        self._timer.start(self._act, update=True)

    def _on_readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # it was set anew meanwhile
        self._act()
