"""Read the workers' messages in the order in which they came, and call the master's tick in between.

Guarded here: Locust's receive loop only puts messages into a queue; one greenlet of our own reads them.
"""

from collections.abc import Callable
from typing import Any

import gevent
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.runners import MasterRunner

from traffic.clock import now_s
from traffic.core.protocol import FROM_WORKER

TICK_S = 0.25
# How many messages are read before Locust's own greenlets get their turn.
BURST = 50


class Inbox:
    """Receives what workers send to `runner`. Calls `read` with each message, and `tick` every TICK_S with the time."""

    def __init__(self, runner: MasterRunner, read: Callable[[Any], None], tick: Callable[[float], None]) -> None:
        self._read, self._tick = read, tick
        self._messages: Queue[Any] = Queue()
        self._last_round: float | None = None
        for kind in FROM_WORKER:
            runner.register_message(kind.type, self._on_message)

    def _on_message(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._messages.put_nowait(msg)

    def ill(self, after_s: float) -> str:
        """Return why no message was read for `after_s` seconds; empty if one was, or if `serve` has not begun."""
        if self._last_round is None or (idle := now_s() - self._last_round) <= after_s:
            return ""
        return f"the workers' messages have not been read for {idle:.0f} s"

    def serve(self) -> None:
        """Read for ever. Call it in a greenlet of its own."""
        ticked, read = 0.0, 0
        while True:
            self._last_round = now_s()
            if self._last_round - ticked >= TICK_S:
                ticked = self._last_round
                self._tick(ticked)
            try:
                message = self._messages.get(timeout=TICK_S)
            except Empty:
                continue
            self._read(message)
            read += 1
            if read % BURST == 0:
                gevent.sleep(0)
