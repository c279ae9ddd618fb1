"""Share the users out among the workers without keeping the master from reading messages."""

from typing import Any

import gevent
from locust.rpc import Message
from locust.runners import MasterRunner

from traffic.locust_patches import states
from traffic.locust_patches.membership import filter_messages


def rebalance_beside_messages(runner: MasterRunner) -> "Rebalancer":
    """Return what shares the users out from now on; Locust no longer does so while it handles a message.

    When a worker comes or goes, Locust's master shares the users out in the middle of handling that message, and reads
    no other for a second each time. If several come at once, healthy workers count as missing and leases lapse.
    Needed for Locust 2.47.
    """
    rebalancer = Rebalancer(runner)
    rebalancer.install()
    return rebalancer


class Rebalancer:
    """Starts the users again, in a greenlet of its own, after workers have come or gone."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._reader: object = None  # the greenlet that handles messages
        self._starts = 0  # calls of the runner's `start` under way
        self._own_start: gevent.Greenlet[..., Any] | None = None

    def install(self) -> None:
        """Take the place of the runner's `start`; call it once."""
        start = self._runner.start

        def start_unless_reading(*args: Any, **options: Any) -> None:
            if gevent.getcurrent() is self._reader:
                return
            self._starts += 1
            try:
                start(*args, **options)
            finally:
                self._starts -= 1

        self._runner.start = start_unless_reading  # type: ignore[method-assign]
        filter_messages(self._runner, self._note_reader)

    def _note_reader(self, _: Message) -> bool:
        self._reader = gevent.getcurrent()
        return True

    def rebalance(self) -> None:
        """Share the users out if workers have come or gone since that was last done. Call it now and then."""
        dispatcher = self._runner._users_dispatcher
        if dispatcher is None or not dispatcher._rebalance or not self._runner.worker_count:
            return
        if self._starts == 0 and self._runner.state in states.ACTIVE:
            self.start()

    def start(self) -> "gevent.Greenlet[..., Any]":
        """Have Locust start as many users as were last asked for, in a greenlet that ends with the test."""
        self._own_start = gevent.spawn(self._runner.start, self._runner.target_user_count, self._runner.spawn_rate)
        return self._own_start

    def end(self) -> None:
        """End a start that is under way: call it when the test stops. It would set the state to running at its end."""
        own, self._own_start = self._own_start, None
        if own is not None and own is not gevent.getcurrent():
            own.kill(block=True)
