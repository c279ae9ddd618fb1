"""What every user of records shares: it takes one record at a time, and reports the outcome of each once."""

import random
from collections.abc import Callable

import gevent
from locust import User
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from traffic.core.outcome import Answer, Rule, judged
from traffic.core.protocol import TIMEOUT_S, RunConfig
from traffic.core.worker.feed import Record
from traffic.users.at_stub import tasks_for
from traffic.users.request_plan import rule_of
from traffic.users.source import RecordSource, sources

RECHECK_S = 1.0
BEFORE_INIT_S = 0.05
STOPPED = "the user was stopped while the answer was awaited"
NOT_DELIVERED = "the task took the record and did not deliver it"


class RecordUserBase(User):
    """Takes records one at a time and reports their outcomes. A subclass defines `deliver`.

    `rule` judges the answers; None: the rule of `--traffic-policy`. The time between tasks is `--traffic-wait`.
    `network_timeout` is how many seconds to wait for an answer; None: `--traffic-timeout`.
    """

    abstract = True
    rule: Rule | None = None
    network_timeout: float | None = None
    _in_hand: Record | None = None
    _linked = False

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.tasks = tasks_for(self.tasks, self.host)

    def wait_time(self) -> float:
        """Return the seconds until the next task, spread evenly over `--traffic-wait`."""
        run = self._source().run
        return random.uniform(*run.wait) if run else 0.0  # noqa: S311 - spreads requests, keeps no secret

    @property
    def answer_timeout(self) -> float:
        """How many seconds to wait for an answer: as the class says, or else the run."""
        source = sources.get(self.environment)
        run = source.run if source is not None else None
        return self.network_timeout or (run.timeout if run is not None else TIMEOUT_S)

    def next_record(self) -> Record:
        """Return the next record to send: wait until there is one, or end this user (StopUser) when the run is over.

        A user has one record in hand at a time. A record that it took before and did not `deliver`, because the task
        failed or the user ended, counts as sent without an answer: it may have been sent by other means.
        """
        self._release_record()
        source = self._source()
        while True:
            record = source.take()
            if record is not None:
                self._keep_record(record)
                return record
            if source.over:
                raise StopUser
            self._wait_idle(lambda: source.wait(RECHECK_S))

    def deliver(self, record: Record) -> Answer:
        """Send a record with the run's method and path, report its outcome, and return the answer.

        The statistics show the request under its path; an outcome other than delivered counts as a failure there.
        """
        raise NotImplementedError

    def deliver_next(self) -> Answer:
        """Take the next record and deliver it."""
        return self.deliver(self.next_record())

    def _keep_record(self, record: Record) -> None:
        if not self._linked and self._greenlet is not None:
            self._linked = True
            self._greenlet.link(self._release_record)
        self._in_hand = record

    def _release_record(self, _ended: object = None) -> None:
        """Report a record that was taken and not delivered as sent without an answer."""
        record, self._in_hand = self._in_hand, None
        source = self._source() if record is not None else None
        if record is not None and source is not None and source.run is not None:
            record.sent = 0.0  # nobody knows when
            answer, outcome, _ = judged(self._rule(source.run), Answer(0, NOT_DELIVERED, fault="user"))
            source.record_outcome(record, answer, outcome)

    def _rule(self, run: RunConfig) -> Rule:
        return rule_of(self.rule, run)

    def _source(self) -> RecordSource:
        while (source := sources.get(self.environment)) is None:
            self._wait_idle(lambda: gevent.sleep(BEFORE_INIT_S))
        return source

    def _wait_idle(self, wait: Callable[[], None]) -> None:
        """Wait with no record in hand; meanwhile Locust may end the user at once, as between tasks."""
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_WAITING
        wait()
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_RUNNING
