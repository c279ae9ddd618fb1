"""What a locustfile builds on: a user that takes records and delivers each once."""

import errno
import random
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from traceback import walk_tb
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import gevent
from locust import FastHttpUser, User
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from traffic.clock import now_s
from traffic.core.outcome import RULES, Answer, Outcome, Rule, judged, retry_after_s
from traffic.core.protocol import TIMEOUT_S, RunTerms
from traffic.core.worker.feed import Record
from traffic.http.scheme_mismatch import WRITE_HTTP, WRITE_HTTPS, asks_for_tls, met_plain
from traffic.machine_limits import own_fault

PATIENCE_S = 1.0
BEFORE_INIT_S = 0.05
STOPPED = "the user was stopped while the answer was awaited"
NOT_DELIVERED = "the task took the record and did not deliver it"
# Faults of which it is sure that no byte of the request left.
_NOT_SENT = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})


class Source(Protocol):
    """Where a worker's users get their records from, and say what came of them."""

    @property
    def name(self) -> str:
        """The worker's id."""

    @property
    def run(self) -> RunTerms | None:
        """The run that records are handed out of; None while there is none."""

    @property
    def over(self) -> bool:
        """Whether the run hands out no more records."""

    def take(self, now: float | None = None) -> Record | None:
        """A record to send now; None where there is none at the moment. `now`, where it was just read off the clock."""

    def take_some(self, now: float, most: int) -> list[Record]:
        """Up to `most` records to send now."""

    def book(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        """Say what came of an attempt; once for each record taken."""

    def wait(self, timeout: float) -> None:
        """Wait for a record, or for the run's end, `timeout` seconds at most."""


# Users can be started before Locust's init event has made the source: they find it here when it is there.
sources: "WeakKeyDictionary[Environment, Source]" = WeakKeyDictionary()


class RecordTaker(User):
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
            source.book(record, answer, outcome)

    def _rule(self, run: RunTerms) -> Rule:
        return self.rule or RULES["at-most-once" if run.policy == "at-most-once" else "at-least-once"]

    def _source(self) -> Source:
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


class RecordUser(RecordTaker, FastHttpUser):  # type: ignore[misc] # a FastHttpUser's timeout is never None
    """A FastHttpUser that delivers records. Subclass it, and call `deliver_next` in a task."""

    abstract = True
    # Less than Locust's 60, as in a ReplayUser: a machine that is gone answers nothing at all.
    connection_timeout = 10.0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._heed_timeout()

    def _heed_timeout(self) -> None:
        """Have the client wait as long as the class or the run says: its connections from now on."""
        pool = self.client.client.clientpool
        if pool.client_args.get("network_timeout") != self.answer_timeout:
            pool.client_args["network_timeout"] = self.answer_timeout
            pool.clients.clear()

    def deliver(self, record: Record) -> Answer:
        """Send a record, as RecordTaker says."""
        source = self._source()
        run = source.run
        assert run is not None, "a record was taken, so there is a run"
        answer, outcome, began = Answer(0, STOPPED, fault="user"), None, now_s()
        try:
            self._heed_timeout()
            headers = {
                "Content-Type": "application/json",
                "Idempotency-Key": record.key,
                "Traffic-Worker": source.name,
            }
            body: Any = record.body  # Locust's annotation forgets bytes
            with self.client.request(
                run.method, run.path, data=body, headers=headers, catch_response=True, allow_redirects=False
            ) as response:
                answer, outcome, fault = judged(self._rule(run), read_answer(response, began, self.answer_timeout))
                if outcome is Outcome.DELIVERED:
                    response.success()
                else:
                    response.failure(answer.reason)
            if fault is not None:
                raise fault  # noqa: TRY301 - the task fails of it, with the answer booked
        except Exception as error:
            if outcome is None:
                answer = Answer(0, f"{type(error).__name__}: {error}", fault="user")
            raise
        finally:
            # Also where the user was killed in the midst of it: then the answer is unknown.
            self._in_hand = None
            if outcome is None:
                answer, outcome, _ = judged(self._rule(run), answer)
            source.book(record, answer, outcome)
        return answer


def read_answer(response: Any, began: float | None = None, timeout: float | None = None) -> Answer:
    """What a FastHttpUser's response says of an attempt that began at `began`, by `now_s`; `timeout` in seconds."""
    error = getattr(response, "error", None)
    error = getattr(error, "original", error)  # in what says that there was no other try
    status = int(response.status_code or 0)
    if status and asks_for_tls(status, getattr(response, "content", None) or b""):
        return Answer(0, WRITE_HTTPS, sent=False)
    if status:
        retry_after = retry_after_s((response.headers or {}).get("Retry-After"), datetime.now(UTC))
        return Answer(status, f"HTTP {status}", retry_after=retry_after)
    sent = not _surely_not_sent(error)
    own = "" if sent else own_fault(error)
    reason, waited = own or _reason(error, timeout if sent else None), now_s() - began if began is not None else 0.0
    return Answer(0, reason, sent=sent, fault="worker" if own else "api", waited=waited)


def _reason(error: object, timeout: float | None) -> str:
    """What went wrong, for people; `timeout`: of a request that was sent."""
    if error is None:
        return "no answer"
    if met_plain(error):
        return WRITE_HTTP
    if timeout is not None and isinstance(error, TimeoutError):
        return f"TimeoutError: timed out after {timeout:g} s; a later answer is not waited for"
    return f"{type(error).__name__}: {error}"


def _surely_not_sent(error: object) -> bool:
    if isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno in _NOT_SENT):
        return True
    # Whatever failed while geventhttpclient made a connection, TLS included.
    trace = error.__traceback__ if isinstance(error, Exception) else None
    return any(frame.f_code.co_name == "_create_socket" for frame, _ in walk_tb(trace))
