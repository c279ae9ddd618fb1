"""Run blocking work in a thread while the other greenlets go on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar, cast

import gevent
from gevent.monkey import get_original

P = ParamSpec("P")
T = TypeVar("T")


def thread_lock() -> AbstractContextManager[Any]:
    """Return a lock between such threads: Python's own, although gevent has put another in its place."""
    lock: AbstractContextManager[Any] = get_original("threading", "Lock")()
    return lock


def in_thread(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `act` in a thread; return or raise what it does. The calling greenlet waits, the others go on."""

    def caught() -> tuple[T | None, Exception | None]:
        # gevent would print an error that leaves the thread, with its trace, before it arrives here.
        try:
            return act(*args, **kwargs), None
        except Exception as error:  # noqa: BLE001 - raised again below
            return None, error

    value, error = gevent.get_hub().threadpool.apply(caught)
    if error is not None:
        raise error
    return cast("T", value)
