"""Locust's own test around a run: ending it, bringing it back, and what has to be done because of Locust's flaws.

docs/locust-flaws.md lists them with their cures.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import gevent
import zmq
from locust.env import Environment
from locust.rpc import Message
from locust.runners import (
    STATE_CLEANUP,
    STATE_INIT,
    STATE_MISSING,
    STATE_RUNNING,
    STATE_SPAWNING,
    STATE_STOPPED,
    STATE_STOPPING,
    MasterRunner,
)

from traffic.clock import now_s
from traffic.core.protocol import REGISTER
from traffic.locust_patches.frames import bound, handled

logger = logging.getLogger(__name__)

# The workers send their last statistics when their users have ended; give them time to arrive.
LAST_STATISTICS_S = 1.0
# A worker whose users have ended leaves Locust's list until it registers again, which it does at once; or it is gone.
RETURN_S = 5.0
# A worker that missed Locust's one "stop" is told again after so long.
STOP_AGAIN_S = 3.0
# A worker that speaks to us and that Locust does not list for this long is asked to register again.
UNLISTED_S = 1.0


class LocustSession:
    """Locust's test, from its start (or several, where it lost its last worker) to its end."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self.environment, self.runner = environment, runner
        self._starter: gevent.Greenlet[..., Any] | None = None
        self._ending_until = 0.0
        self._stop_again_at = 0.0
        self._unlisted: dict[str, float] = {}
        self._returning: dict[str, float] = {}
        self._tended: object = None
        self._reader: object = None
        self._starts = 0
        self._own_start: gevent.Greenlet[..., Any] | None = None
        self.allow_reconnect()
        self._attend_messages()
        self._attend_starts()

    @property
    def headless(self) -> bool:
        """Whether there is no web UI, so that the process ends with the run."""
        return self.environment.web_ui is None

    @property
    def ending(self) -> bool:
        """Whether a test has ended of which the last statistics, or the workers themselves, may be on their way."""
        latest = max([self._ending_until, *self._returning.values()])
        return now_s() < latest or self.runner.state in {STATE_STOPPING, STATE_CLEANUP}

    @property
    def missing(self) -> list[str]:
        """The workers that Locust has not heard of for some seconds."""
        return [client.id for client in self.runner.clients.all if client.state == STATE_MISSING]

    def allow_reconnect(self) -> None:
        """Let a worker whose connection broke on its side alone come back under its old identity.

        Without it, ZeroMQ ignores the newcomer until the kernel gives the old connection up, half a minute later or
        more. Locust makes a new socket when it resets its connections, so look again now and then.
        """
        if self._tended is not self.runner.server:
            self._tended = self.runner.server
            self.runner.server.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
            bound(self.runner.server.socket)

    def worker_states(self) -> dict[str, str]:
        """What Locust says of each worker that is connected, in its words."""
        return {client.id: client.state for client in self.runner.clients.all}

    def present(self) -> list[str]:
        """The workers that a run can be dealt to, in the order in which they came."""
        workers = [client.id for client in self.runner.clients.all if client.state != STATE_MISSING]
        return sorted(workers, key=self.runner.get_worker_index)

    @property
    def idle(self) -> bool:
        """Whether no test runs in Locust."""
        return self.runner.state in {STATE_INIT, STATE_STOPPED, STATE_STOPPING, STATE_CLEANUP}

    def take_up(self, users: int, rate: float) -> None:
        """Make ready for a test that an earlier process had begun.

        Where Locust starts one by itself, it is to do so with one worker: others may never come back. Where it does
        not, `restart_test` starts it with so many users.
        """
        options = self.environment.parsed_options
        assert options is not None
        if self.headless or options.autostart:
            options.expect_workers = min(options.expect_workers, 1)
        else:
            self.runner.target_user_count = users or options.num_users or 1
            self.runner.spawn_rate = rate or options.spawn_rate or 1.0

    def _attend_messages(self) -> None:
        """Keep Locust from ending workers that it does not know, and from counting one twice that registers twice.

        The strangers are those of a master that has been restarted: theirs may be the last words to the master
        before. They are asked to register instead. Which are about to do so again is noted.
        """
        handle = self.runner.handle_message

        def handle_message(client_id: str, msg: Message) -> None:
            if msg.type in {"spawning", "spawning_complete"} and msg.node_id not in self.runner.clients:
                return
            if msg.type == "client_stopped":
                self._returning[msg.node_id] = now_s() + RETURN_S
            elif msg.type in {"client_ready", "quit"}:
                self._returning.pop(msg.node_id, None)
                if msg.type == "client_ready":
                    self._forget_share(msg.node_id)
            self._reader = gevent.getcurrent()
            handle(client_id, msg)

        def handle_all(client_id: str, msg: Message) -> None:
            handled(lambda: handle_message(client_id, msg), client_id, msg.type)

        self.runner.handle_message = handle_all  # type: ignore[method-assign]

    def _forget_share(self, worker: str) -> None:
        """Take a worker that Locust lists already out of those that get users: it is about to be added."""
        dispatcher = self.runner._users_dispatcher
        if dispatcher is not None and worker in self.runner.clients:
            dispatcher.remove_worker(self.runner.clients[worker])

    def _attend_starts(self) -> None:
        """Keep Locust from sharing users out anew in the midst of a message, as it does where workers come and go.

        It would read no other for a second each time: neither the workers' acks, nor that they have these users.
        `rebalance_users` does it instead.
        """
        start = self.runner.start

        def start_unless_reading(*args: Any, **options: Any) -> None:
            if gevent.getcurrent() is self._reader:
                return
            self._starts += 1
            try:
                start(*args, **options)
            finally:
                self._starts -= 1

        self.runner.start = start_unless_reading  # type: ignore[method-assign]

    def rebalance_users(self) -> None:
        """Share the users out anew where workers have come or gone since that was last done."""
        dispatcher = self.runner._users_dispatcher
        if dispatcher is None or not dispatcher._rebalance or not self.runner.worker_count:
            return
        if self._starts == 0 and self.runner.state in {STATE_RUNNING, STATE_SPAWNING}:
            self._start_beside()

    def _start_beside(self) -> "gevent.Greenlet[..., Any]":
        """Have Locust start as many users as were last asked for, in a greenlet that does not outlast the test."""
        self._own_start = gevent.spawn(self.runner.start, self.runner.target_user_count, self.runner.spawn_rate)
        return self._own_start

    def started(self) -> None:
        """Remember which greenlet is starting the users: call it from Locust's test_start."""
        self._starter = gevent.getcurrent()

    def stopped(self) -> None:
        """Forget it, and end what was begun beside: call it from Locust's test_stopping."""
        self._starter = None
        own, self._own_start = self._own_start, None
        if own is not None and own is not gevent.getcurrent():
            own.kill(block=True)  # it would call the test running once its users are there

    def restart_test(self) -> bool:
        """Start the test where Locust lost it for want of workers, or in a restart, and one is back; whether it did."""
        # Without users it has never been started: Locust, headless, is about to.
        if (
            not self.idle
            or not self.runner.target_user_count
            or not self.runner.worker_count
            or self._starter is not None
        ):
            return False
        self._starter = self._start_beside()
        return True

    def stop(self) -> None:
        """End the test; the process, too, where it is headless. Not from a message handler: it waits."""
        if self.runner.state == STATE_SPAWNING and self._starter is not None:
            # A stop in the midst of a ramp-up would be followed by more users.
            self._starter.kill(block=True)
        self._starter = None
        self.runner.stop()
        self.wind_up()

    def stop_again(self, now: float) -> None:
        """Tell workers that run on after a stop to stop: Locust tells each once, then waits for over a minute."""
        if self.runner.state != STATE_STOPPING:
            self._stop_again_at = now + self.environment.stop_timeout + STOP_AGAIN_S
        elif now >= self._stop_again_at:
            self._stop_again_at = now + STOP_AGAIN_S
            for client in [*self.runner.clients.running, *self.runner.clients.spawning]:
                self.runner.server.send_to_client(Message("stop", None, client.id))

    def wind_up(self) -> None:
        """Do what is left to do once the test has been stopped."""
        self._ending_until = now_s() + LAST_STATISTICS_S
        # A worker that is missing would keep Locust's state at "stopping" for a minute, and its page with it.
        for worker in self.missing:
            del self.runner.clients[worker]
        self.runner.check_stopped()
        if self.headless:
            # Where the run was over before Locust's start, that is still waiting for workers, and would for ever.
            assert self.environment.parsed_options is not None
            self.environment.parsed_options.expect_workers = 0
            gevent.sleep(LAST_STATISTICS_S)
            self.runner.quit()

    def end_process(self, exit_code: int) -> None:
        """End a headless process: it would wait for a test that never starts."""
        self.environment.process_exit_code = exit_code
        gevent.spawn(self.runner.quit)

    def ask_to_register(self, speaking: Iterable[str], run: str, now: float) -> None:
        """Have workers that speak to us register with Locust, which asks nobody twice: else they get no users.

        `run` is the one that the running test delivers; a worker with users of another test is to end these first.
        """
        absent = [worker for worker in speaking if worker not in self.runner.clients]
        self._unlisted = {worker: self._unlisted.get(worker, now) for worker in absent}
        for worker, since in self._unlisted.items():
            if now - since >= UNLISTED_S:
                self._unlisted[worker] = now
                self.runner.server.send_to_client(Message(REGISTER, {"run": run}, worker))


def watched(act: Callable[[], None], on_crash: Callable[["gevent.Greenlet[..., Any]"], None]) -> None:
    """Run `act` in a greenlet of its own whose failure does not go unseen."""
    gevent.spawn(act).link_exception(on_crash)
