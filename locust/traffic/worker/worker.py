"""Connect Locust to the worker's side of the core: leases fill the feed, users empty it, outcomes return in acks."""

import logging
import random
import time
from collections import deque
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import WorkerRunner

from traffic.clock import now_s
from traffic.core.lease_terms import LeaseTerms
from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import FROM_MASTER, REGISTER, Message, RunConfig
from traffic.core.wire import ProtocolError
from traffic.core.worker.feed import Feed, Record
from traffic.core.worker.link import LeaseClient
from traffic.core.worker.result_log import ResultLog
from traffic.locust_patches import states
from traffic.locust_patches.connecting import report_silent_master
from traffic.locust_patches.membership import register_again
from traffic.locust_patches.worker_tests import (
    be_ready_at_once,
    end_users_beside_messages,
    end_users_of_old_test,
    send_last_statistics,
)
from traffic.machine_limits import raise_open_files, too_few_files
from traffic.runs.results_file import compress
from traffic.worker import health
from traffic.worker.alarm import Alarm

logger = logging.getLogger(__name__)

TICK_S = 0.05
LAST_ACKS_S = 3.0
# The master asks a worker that it does not list once a second. Requests that arrive together are answered once.
REGISTER_ONCE_IN_S = 0.5


class Worker:
    """What the users of one worker process share: their `RecordSource`, and the lease client that fills it."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self.environment, self.runner = environment, runner
        self._feed = Feed(random.Random(), self._new_results)  # noqa: S311 - spreads retries, keeps no secret
        self._lease_client = LeaseClient(self._feed, LeaseTerms())
        self._poll_now = Event()
        self._alarm = Alarm(self._poll_now.set)
        self._waiters: deque[Event] = deque()
        self._users_checked = 0  # for how many users the limit of open files was last checked
        self._registered_at = -REGISTER_ONCE_IN_S
        self._answered = False
        # The first users may have been spawned before this object was made.
        self._run_id = getattr(environment.parsed_options, "traffic_run", "")
        self._own_run: RunConfig | None = None  # the run with that id, once the master has sent it
        raise_open_files()
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
        """The run of this test's users; None while the master has sent none."""
        run = self._feed.run
        return run if self._is_own(run) else None

    @property
    def over(self) -> bool:
        """Whether the run of this test hands out no more records."""
        return self.run is not None and self._feed.closed and self._lease_client.joined

    def take(self, now: float | None = None) -> Record | None:
        """Return a record to send now; None if there is none."""
        taken = self.take_batch(now_s() if now is None else now, 1)
        return taken[0] if taken else None

    def take_batch(self, now: float, most: int) -> list[Record]:
        """Return up to `most` records to send now."""
        feed = self._feed
        if feed.run is not self._own_run and not self._is_own(feed.run):
            return []
        taken = feed.take_batch(now, most)
        if feed.needs_poll:
            self._poll_soon()
        return taken

    def record_outcome(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        """Record the outcome of an attempt; call it once for each record taken."""
        feed = self._feed
        feed.record_outcome(record, answer, outcome, now_s() if now is None else now)
        if feed.needs_poll:
            self._poll_soon()

    def _poll_soon(self) -> None:
        self._feed.needs_poll = False
        self._poll_now.set()

    def _is_own(self, run: RunConfig | None) -> bool:
        """Return whether a run is that of this test's users, and remember the answer."""
        self._own_run = run if run is not None and run.run == self._run_id else None
        return self._own_run is not None

    def wait(self, timeout: float) -> None:
        """Let the calling user wait for a record, or for the run's end, at most `timeout` seconds."""
        woken = Event()
        self._waiters.append(woken)
        if self._own_run is not None and self._own_run.paced:
            self._poll_now.set()  # so that it is woken when the next record is due
        try:
            woken.wait(timeout)
        finally:
            if woken in self._waiters:
                self._waiters.remove(woken)

    # Messages.

    def _on_message(self, environment: Environment, msg: Any, **_: Any) -> None:
        kind = next(kind for kind in FROM_MASTER if kind.type == msg.type)
        try:
            self._lease_client.receive(kind.from_wire(msg.data), now_s())
        except ProtocolError as error:
            logger.warning("dropped a %s message from the master: %s", msg.type, error)
            return
        self._answered = True
        health.touch()
        self._poll_now.set()

    def _on_register(self, environment: Environment, msg: Any, **_: Any) -> None:
        """Register with the master's Locust, which does not know this worker, or no longer.

        If the master was restarted, users of the test before are ended first.
        """
        if self._user_end.under_way or now_s() - self._registered_at < REGISTER_ONCE_IN_S:
            return
        # Without users it may still say that it runs: those of a run that is over end by themselves.
        if self.runner.worker_state == states.READY or msg.data["run"] == self._run_id:
            self._register()
            return
        self._user_end.begin(self._end_users, self._on_crash)

    def _register(self) -> None:
        self._registered_at = now_s()
        register_again(self.runner)

    def _end_users(self) -> None:
        """End the users, who finish their records within the stop timeout; then register."""
        logger.info("the master was restarted and knows nothing of this worker's users: they end, and it registers")
        end_users_of_old_test(self.runner)
        self._register()

    def _serve(self) -> None:
        while True:
            self._lease_client.users = self.runner.user_count
            self._check_open_files(max(self.runner.user_count, self.runner.target_user_count))
            self._send(self._lease_client.poll(now_s()))
            self._wake_waiters()
            if self._waiters and (sleep_s := self._lease_client.sleep_s(now_s(), TICK_S)) < TICK_S:
                self._alarm.set(sleep_s)
            self._poll_now.wait(TICK_S)
            self._poll_now.clear()

    def _check_open_files(self, users: int) -> None:
        """Warn once if the limit of open files is too low for so many users."""
        if users == self._users_checked:
            return
        self._users_checked, self._lease_client.expected_fault = users, too_few_files(users)
        if self._lease_client.expected_fault:
            logger.warning("%s", self._lease_client.expected_fault)

    def _send(self, message: Message | None) -> None:
        """Send a message of the lease client, and the rows of results before it."""
        batches = self._lease_client.result_batches(now_s(), message)
        for one in [*batches, *([] if message is None else [message])]:
            self.runner.send_message(one.type, one.to_wire())

    def _new_results(self, run: RunConfig) -> ResultLog:
        log = ResultLog(run, self.name, compress)
        log.wall_s = time.time() - now_s()
        return log

    def _wake_waiters(self) -> None:
        """Wake as many waiting users as there are records for, and all of them if the run is over."""
        ready = len(self._waiters) if self.over else min(self._feed.ready(now_s()), len(self._waiters))
        for _ in range(ready):
            self._waiters.popleft().set()

    # The test starts and stops.

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        """Note which run the users that are about to start belong to."""
        assert environment.parsed_options is not None
        self._run_id, self._own_run = environment.parsed_options.traffic_run, None

    def _on_test_stop(self, environment: Environment, **_: Any) -> None:
        """Send the last statistics, and be ready for the next start: every user has ended."""
        send_last_statistics(self.runner)
        be_ready_at_once(environment)

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        """Wait for answers that are on their way, then report every outcome, before the process ends."""
        self._feed.close()
        self._lease_client.leaving = True
        deadline = now_s() + environment.stop_timeout
        while self._feed.in_hand and self.runner.user_count and now_s() < deadline:
            gevent.sleep(TICK_S)
        deadline = now_s() + LAST_ACKS_S
        while self._lease_client.joined and now_s() < deadline:
            self._send(self._lease_client.flush(now_s()))
            gevent.sleep(2 * TICK_S)
            if self._lease_client.all_confirmed:
                return

    def _on_crash(self, greenlet: "gevent.Greenlet[..., Any]") -> None:
        """End the process: a worker that cannot ack must leave, so that its records go to another."""
        logger.critical("the worker's side of the traffic protocol broke: %r", greenlet.exception)
        self.environment.process_exit_code = 2
        gevent.spawn(self.runner.quit)
