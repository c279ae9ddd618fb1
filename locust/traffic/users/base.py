"""What every user of records shares: it takes one record at a time, and the outcome of each is reported once."""

import random
from collections.abc import Callable

import gevent
from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from traffic.core.outcome import Answer, Rule, judged
from traffic.core.protocol import TIMEOUT_S, RunConfig
from traffic.core.worker.feed import Record
from traffic.users.request_plan import rule_of
from traffic.users.source import RecordSource, sources

PATIENCE_S = 1.0
BEFORE_INIT_S = 0.05
NOT_DELIVERED = "the task took the record and did not deliver it"


class RecordUserBase(User):
    """What the users of records share: taking one at a time, and saying what came of each. `deliver` is a subclass's.

    `rule` judges the answers; None: the rule of `--traffic-policy`. The time between tasks is `--traffic-wait`.
    `network_timeout` is how many seconds an answer is waited for; None: as `--traffic-timeout` says.
    """

    abstract = True
    rule: Rule | None = None
    network_timeout: float | None = None
    _in_hand: Record | None = None
    _watched = False

    def wait_time(self) -> float:
        """Seconds until the next task, evenly spread over `--traffic-wait`."""
        run = self._source().run
        return random.uniform(*run.wait) if run else 0.0  # noqa: S311 - spreads requests, keeps no secret

    @property
    def answer_timeout(self) -> float:
        """Seconds that an answer is waited for: as the class says, or else the run."""
        source = sources.get(self.environment)
        run = source.run if source is not None else None
        return self.network_timeout or (run.timeout if run is not None else TIMEOUT_S)

    def next_record(self) -> Record:
        """The next record to send: waits until there is one, ends this user (StopUser) when the run needs it no more.

        A user has one record in hand at a time. One that it took before and did not `deliver`, because the task failed
        or the user ended, counts as sent without an answer: it may have been sent by other means.
        """
        self._let_go()
        source = self._source()
        while True:
            record = source.take()
            if record is not None:
                self._hold(record)
                return record
            if source.over:
                raise StopUser
            self._idle(lambda: source.wait(PATIENCE_S))

    def deliver(self, record: Record) -> Answer:
        """Send a record with the run's method and path, and book its outcome; what was answered.

        The statistics show it under its path; an outcome other than delivered counts as a failure there.
        """
        raise NotImplementedError

    def deliver_next(self) -> Answer:
        """Take the next record and deliver it."""
        return self.deliver(self.next_record())

    def _hold(self, record: Record) -> None:
        if not self._watched and self._greenlet is not None:
            self._watched = True
            self._greenlet.link(self._let_go)
        self._in_hand = record

    def _let_go(self, _ended: object = None) -> None:
        """Say of a record that was taken and not delivered that nobody knows what came of it."""
        record, self._in_hand = self._in_hand, None
        source = self._source() if record is not None else None
        if record is not None and source is not None and source.run is not None:
            answer, outcome, _ = judged(self._rule(source.run), Answer(0, NOT_DELIVERED, fault="user"))
            source.record_outcome(record, answer, outcome)

    def _rule(self, run: RunConfig) -> Rule:
        return rule_of(self.rule, run)

    def _source(self) -> RecordSource:
        while (source := sources.get(self.environment)) is None:
            self._idle(lambda: gevent.sleep(BEFORE_INIT_S))
        return source

    def _idle(self, wait: Callable[[], None]) -> None:
        """Wait with no record in hand; Locust may end the user at once meanwhile, as it may between tasks."""
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_WAITING
        wait()
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_RUNNING
