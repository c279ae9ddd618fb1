"""Cures of how a worker begins and ends the tests of Locust's master."""

import logging
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment
from locust.rpc import Message
from locust.runners import WorkerRunner, locust_exception_handler

from traffic.locust_patches import states

logger = logging.getLogger(__name__)

# The messages that end users.
ENDS = ("stop", "quit")
OnError = Callable[["gevent.Greenlet[..., Any]"], None]


class UserEnd:
    """The greenlet that ends the users of a test: at most one at a time."""

    def __init__(self) -> None:
        self._greenlet: gevent.Greenlet[..., Any] | None = None

    @property
    def under_way(self) -> bool:
        """Whether users are being ended."""
        return self._greenlet is not None and not self._greenlet.ready()

    def begin(self, act: Callable[[], None], on_error: OnError) -> None:
        """Call `act`, which ends the users, in a greenlet."""
        self._greenlet = gevent.spawn(act)
        self._greenlet.link_exception(on_error)

    def wait(self) -> None:
        """Wait until the users have ended."""
        if self._greenlet is not None:
            self._greenlet.join()


def stop_early_start(runner: WorkerRunner) -> None:
    """Let a "stop" that is read right behind its start end that start.

    Locust sees no test that runs yet: the users begin all the same, in a run that is over, and the worker reads no
    message for the stop timeout, so it is missing at the next start. Needed for Locust 2.47.
    """
    handle = runner.handle_message

    def handle_message(msg: Message) -> None:
        if msg.type == "stop" and runner.worker_state == states.SPAWNING:
            runner.update_state(states.SPAWNING)
        handle(msg)

    runner.handle_message = handle_message  # type: ignore[method-assign]


def end_users_beside_messages(environment: Environment, runner: WorkerRunner) -> UserEnd:
    """Read messages while users end; those that begin users, or end them, wait. Return what ends the users.

    Locust reads no message until the last answer is there: leases lapse, and records that were never sent are in doubt.
    Needed for Locust 2.47.
    """
    handle, ending = runner.handle_message, UserEnd()

    def handle_message(msg: Message) -> None:
        if msg.type in {"spawn", *ENDS}:
            ending.wait()
        if msg.type in ENDS:
            ending.begin(lambda: handle(msg), locust_exception_handler(environment))
        else:
            handle(msg)

    runner.handle_message = handle_message  # type: ignore[method-assign]
    return ending


def end_users_of_old_test(runner: WorkerRunner) -> None:
    """End the users as a "stop" does, within the stop timeout, because the master was restarted.

    Locust's new master would count a worker that runs users of the old test as busy, and a headless start would wait
    for ever. Needed for Locust 2.47.
    """
    runner.stop()
    runner.worker_state = states.READY
    # The new master's clock may be behind that of the old one, and Locust drops what is not newer.
    runner.last_received_spawn_timestamp = 0


def send_last_statistics(runner: WorkerRunner) -> None:
    """Send the statistics now that every user has ended.

    Locust sends them up to 3 s later, and the page shows 95 of 100 requests. Needed for Locust 2.47.
    """
    runner._send_stats()


def be_ready_at_once(environment: Environment) -> None:
    """Let the worker register for the next test at once, now that every user has ended.

    Locust waits for the stop timeout, and a second Start does nothing. The next start brings that timeout back.
    Needed for Locust 2.47.
    """
    environment.stop_timeout = 0
