"""Connect Locust to the worker's side of the core: leases fill the feed, users empty it, outcomes return in acks."""

import logging
import random
from collections import deque
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import WorkerRunner

from traffic.clock import now_s
from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import FROM_MASTER, REGISTER, LeaseTerms, Message, RunConfig
from traffic.core.wire import ProtocolError
from traffic.core.worker.feed import Feed, Record
from traffic.core.worker.link import LeaseClient
from traffic.locust_patches.connecting import report_silent_master
from traffic.locust_patches.membership import register_again
from traffic.locust_patches.worker_tests import (
    be_ready_at_once,
    end_users_beside_messages,
    end_users_of_old_test,
    send_last_statistics,
    stop_early_start,
)
from traffic.machine_limits import raise_open_files, too_few_files
from traffic.worker import health

logger = logging.getLogger(__name__)

TICK_S = 0.05
LAST_ACKS_S = 3.0
# The master asks once a second whom it does not list. What it asked while nobody listened is answered once.
REGISTER_ONCE_IN_S = 0.5


class Worker:
    """What the users of one worker process share. It is the `Source` of `traffic.users.record_user`."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self.environment, self.runner = environment, runner
        self._feed = Feed(random.Random())  # noqa: S311 - spreads retries, keeps no secret
        self._link = LeaseClient(self._feed, LeaseTerms())
        self._nudge = Event()
        self._waiters: deque[Event] = deque()
        self._planned = 0  # users that it was last looked for whether there are files enough for them
        self._registered_at = -REGISTER_ONCE_IN_S
        self._answered = False
        # The first users may have been spawned before this object was made.
        self._expected = getattr(environment.parsed_options, "traffic_run", "")
        self._own: RunConfig | None = None  # the run of that name, once it is there
        raise_open_files()
        stop_early_start(runner)
        self._user_end = end_users_beside_messages(environment, runner)
        runner.register_message(REGISTER, self._on_register)
        for kind in FROM_MASTER:
            runner.register_message(kind.type, self._on_message)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stop.add_listener(self._on_test_stop)
        environment.events.quitting.add_listener(self._on_quitting)
        gevent.spawn(self._serve).link_exception(self._on_crash)
        report_silent_master(runner, lambda: self._answered)

    # What the users call.

    @property
    def name(self) -> str:
        """The worker's id, as the master knows it."""
        return self.runner.client_id

    @property
    def run(self) -> RunConfig | None:
        """The run that records are handed out of; None while there is none."""
        run = self._feed.run
        return run if self._is_own(run) else None

    @property
    def over(self) -> bool:
        """Whether the run of this test hands out no more records."""
        return self.run is not None and self._feed.closed and self._link.joined

    def take(self, now: float | None = None) -> Record | None:
        """A record to send now; None where there is none at the moment."""
        taken = self.take_batch(now_s() if now is None else now, 1)
        return taken[0] if taken else None

    def take_batch(self, now: float, most: int) -> list[Record]:
        """Up to `most` records to send now."""
        feed = self._feed
        if feed.run is not self._own and not self._is_own(feed.run):
            return []
        taken = feed.take_batch(now, most)
        if feed.needs_poll:
            self._stir()
        return taken

    def book(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        """Say what came of an attempt; once for each record taken."""
        feed = self._feed
        feed.book(record, answer, outcome, now_s() if now is None else now)
        if feed.needs_poll:
            self._stir()

    def _stir(self) -> None:
        self._feed.needs_poll = False
        self._nudge.set()

    def _is_own(self, run: RunConfig | None) -> bool:
        """Whether a run is that of this test's users; the answer is kept for the next time."""
        self._own = run if run is not None and run.run == self._expected else None
        return self._own is not None

    def wait(self, timeout: float) -> None:
        """Let the calling user wait for a record, or for the run's end, `timeout` seconds at most."""
        bell = Event()
        self._waiters.append(bell)
        try:
            bell.wait(timeout)
        finally:
            if bell in self._waiters:
                self._waiters.remove(bell)

    # Messages.

    def _on_message(self, environment: Environment, msg: Any, **_: Any) -> None:
        kind = next(kind for kind in FROM_MASTER if kind.type == msg.type)
        try:
            self._link.receive(kind.from_wire(msg.data), now_s())
        except ProtocolError as error:
            logger.warning("dropped a %s message from the master: %s", msg.type, error)
            return
        self._answered = True
        health.touch()
        self._nudge.set()

    def _on_register(self, environment: Environment, msg: Any, **_: Any) -> None:
        """The master's Locust does not know this worker (any more): say that it is ready, as at its start.

        Users of a test that is none of that master's, because it was restarted, are ended first.
        """
        if self._user_end.under_way or now_s() - self._registered_at < REGISTER_ONCE_IN_S:
            return
        if not self.runner.user_count or msg.data["run"] == self._expected:
            self._register()
            return
        self._user_end.begin(self._end_users, self._on_crash)

    def _register(self) -> None:
        self._registered_at = now_s()
        register_again(self.runner)

    def _end_users(self) -> None:
        """End the users; what they have in hand is finished within the stop timeout."""
        logger.info("the master was restarted and knows nothing of this worker's users: they end, and it registers")
        end_users_of_old_test(self.runner)
        self._register()

    def _serve(self) -> None:
        while True:
            self._link.users = self.runner.user_count
            self._foresee(max(self.runner.user_count, self.runner.target_user_count))
            self._send(self._link.poll(now_s()))
            self._ring()
            self._nudge.wait(TICK_S)
            self._nudge.clear()

    def _foresee(self, users: int) -> None:
        """Say at the start what so many users will lack."""
        if users == self._planned:
            return
        self._planned, self._link.foreseen = users, too_few_files(users)
        if self._link.foreseen:
            logger.warning("%s", self._link.foreseen)

    def _send(self, message: Message | None) -> None:
        if message is not None:
            self.runner.send_message(message.type, message.to_wire())

    def _ring(self) -> None:
        """Wake as many waiting users as there are records for, all of them where the run is over."""
        for _ in range(len(self._waiters) if self.over else min(self._feed.ready, len(self._waiters))):
            self._waiters.popleft().set()

    # The test's course.

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        """Learn which run the users that are about to start belong to."""
        assert environment.parsed_options is not None
        self._expected, self._own = environment.parsed_options.traffic_run, None

    def _on_test_stop(self, environment: Environment, **_: Any) -> None:
        """Every user has ended: send the last statistics now, and be ready for the next start at once."""
        send_last_statistics(self.runner)
        be_ready_at_once(environment)

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        """Hand in what is known before the process ends: wait for answers that are on their way, then ack."""
        self._feed.close()
        self._link.leaving = True
        deadline = now_s() + environment.stop_timeout
        while self._feed.in_hand and self.runner.user_count and now_s() < deadline:
            gevent.sleep(TICK_S)
        deadline = now_s() + LAST_ACKS_S
        while self._link.joined and now_s() < deadline:
            self._send(self._link.flush(now_s()))
            gevent.sleep(2 * TICK_S)
            if self._link.at_rest:
                return

    def _on_crash(self, greenlet: "gevent.Greenlet[..., Any]") -> None:
        """A fault of our own: a worker that cannot ack is to go, so that its records go to another."""
        logger.critical("the worker's side of the traffic protocol broke: %r", greenlet.exception)
        self.environment.process_exit_code = 2
        gevent.spawn(self.runner.quit)
