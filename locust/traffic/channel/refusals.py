"""Says in words why a connection of the channel was refused: in ZeroMQ's own way both sides only wait."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
import zmq
from zmq.utils.monitor import parse_monitor_message

from traffic.clock import now_s
from traffic.environment import SECRET_FILE

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 30.0
# What somebody may be who connects to the master and goes: once in ten minutes, and no warning.
GONE = f"it went before it had said anything: a health check, or a worker without this secret ({SECRET_FILE})"
GONE_EVERY_S = 600.0
_PAUSE_S = 0.02
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH


def why_refused(event: int, value: int, *, master: bool, secret: bool) -> str:
    """Return why a handshake failed, from the side of a master or a worker that has a secret or none.

    `event` and `value` are those of ZeroMQ's monitor (zmq_socket_monitor). The sentence is about the other side. It is
    `GONE` for a worker without a secret that went before the master had read that it has none.
    """
    if master and event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return GONE
    me, other = ("master", "worker") if master else ("worker", "master")
    if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
        if secret:
            return f"it has no secret, and this {me} has one: give the {other} the same {SECRET_FILE}"
        return f"it has a secret, and this {me} has none: give this {me} the same {SECRET_FILE}"
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH or (
        event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
    ):
        return f"it has another secret than this {me}: give both the same {SECRET_FILE}"
    if secret and not master:
        return f"it has another secret than this worker, or is no master of Locust: give both the same {SECRET_FILE}"
    return f"it is no {other} of Locust"


class Refusals:
    """Counts what one side of the channel refused, or was refused, and reports each reason once in `REPORT_EVERY_S`.

    `latest` is the latest reason; empty if nothing was refused since a connection was made.
    """

    def __init__(self, clock: Callable[[], float] = now_s) -> None:
        self._clock = clock
        self._reported_at: dict[str, float] = {}
        self._unreported: Counter[str] = Counter()
        self.latest = ""

    def await_latest(self, within_s: float) -> str:
        """Return the latest reason; wait for one if there is none yet."""
        deadline = now_s() + within_s
        while not self.latest and now_s() < deadline:
            gevent.sleep(_PAUSE_S)
        return self.latest

    def note(self, why: str, *, master: bool) -> None:
        """Count a refusal, and report it unless that was done lately for the same reason."""
        self.latest, now = why, self._clock()
        self._unreported[why] += 1
        level, every_s = (logging.INFO, GONE_EVERY_S) if why == GONE else (logging.WARNING, REPORT_EVERY_S)
        if now - self._reported_at.get(why, -every_s) < every_s:
            return
        times = self._unreported.pop(why)
        others = f" ({times} times since this was last said)" if times > 1 else ""
        what = "a peer at the workers' port was refused" if master else "the connection to the master was refused"
        logger.log(level, "%s: %s%s", what, why, others)
        self._reported_at[why] = now


# One process, one side of the channel.
refusals = Refusals()


def report_refusals(socket: Any, on_closed: Callable[[], None], *, master: bool, secret: bool) -> None:
    """Report each handshake of a socket that fails, until it is closed; then call `on_closed`.

    Call it before the socket is bound or connected.
    """
    monitor = socket.get_monitor_socket(_FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_MONITOR_STOPPED)

    def watch() -> None:
        while True:
            told = parse_monitor_message(monitor.recv_multipart())
            if told["event"] == zmq.EVENT_MONITOR_STOPPED:
                monitor.close()
                on_closed()
                return
            if told["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                refusals.latest = ""
                continue
            refusals.note(why_refused(told["event"], told["value"], master=master, secret=secret), master=master)

    gevent.spawn(watch)
