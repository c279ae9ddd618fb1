"""One user's connection, and the record that is on its way there.

Guarded here: the outcome of a record that was taken is reported exactly once, however its attempt ends: by an answer,
a failure, an error in the locustfile, or the user's end.
"""

from typing import Any

from gevent.event import Event

from traffic.clock import now_s
from traffic.core.outcome import Answer, Outcome, judged
from traffic.core.worker.feed import Record
from traffic.http.connection import Connection
from traffic.http.http1 import ResponseHead
from traffic.machine_limits import own_fault
from traffic.users.dispatcher import Dispatcher
from traffic.users.request_plan import RequestPlan

_DELIVERED = Outcome.DELIVERED  # one look-up less for each record
STOPPED = "the user was stopped while the answer was awaited"


class Sender:
    """What is done with one record, from taken to booked. `_booked` is a subclass's: what comes after.

    The loop calls it, but for `_send` and `_leave`; `_done` wakes the user's greenlet.
    """

    __slots__ = ("_course", "_done", "_engine", "_error", "_record", "_source", "_started", "_user", "connection")

    def __init__(self, engine: Dispatcher, user: Any) -> None:
        self._engine, self._user, self._source = engine, user, engine.source
        self.connection = Connection(engine.route(user), self)
        self._course: RequestPlan | None = None
        self._record: Record | None = None
        self._started = 0.0
        self._done = Event()
        self._error: Exception | None = None

    def _send(self, record: Record, now: float) -> None:
        data = self._request(record)
        self._started = now
        self.connection.request(data, now)

    def _request(self, record: Record) -> bytes:
        """The bytes that send a record; from here on it is this place's to book."""
        self._record = record
        course = self._course
        if course is None or course.run != record.run:
            self._course = None  # where making one fails, nothing was sent
            course = self._course = self._engine.course(self._user)
        return course.request(record)

    def _booked(self, course: RequestPlan, answer: Answer) -> None:
        raise NotImplementedError

    def expire(self, now: float) -> None:
        """Give up the answer, or the connection, that is awaited."""
        try:
            self.connection.expire(now)
        except Exception as error:  # noqa: BLE001 - it would end whoever calls; the user is to know
            self.fail_user(error)

    # What the connection calls.

    def answered(self, head: ResponseHead, body: int, now: float) -> None:
        """Book an answer, and go on."""
        course = self._course
        if course is not None and (answer := self._book(course, head, body, now)) is not None:
            self._booked(course, answer)

    def _book(self, course: RequestPlan, head: ResponseHead, body: int, now: float) -> Answer | None:
        """Book what was answered; None where there was nothing to book, or it is the user that must be told of it."""
        record, self._record = self._record, None
        if record is None:
            return None
        answer, outcome, fault = course.known.get(head) or course.verdict(head)
        self._source.record_outcome(record, answer, outcome, now)
        if self._engine.bulk_stats:
            tally = course.tally
            tally.log(now - self._started)
            tally.content += body
            if outcome is not _DELIVERED:
                tally.failures[answer.reason] += 1
        else:
            self._engine.tell(self._user, course, head, answer, outcome, body, self._started, now)
        if fault is None:
            return answer
        self.fail_user(fault)
        return None

    def failed(self, error: Exception, *, sent: bool) -> None:
        """Book that there was no answer, and go on."""
        record, course = self._record, self._course
        if record is None or course is None:
            return
        now = now_s()
        answer, outcome, fault = judged(course.rule, unanswered(error, sent=sent, waited=now - self._started))
        self._record = None
        self._source.record_outcome(record, answer, outcome)
        if self._engine.bulk_stats:
            course.tally.log(now - self._started)
            course.tally.failures[answer.reason] += 1
        else:
            self._engine.tell(self._user, course, None, answer, outcome, 0, self._started, now)
        if fault is not None:
            self.fail_user(fault)
        else:
            self._booked(course, answer)

    def fail_user(self, error: Exception) -> None:
        """The locustfile's own code, or ours, raised: the user's greenlet is to say so."""
        self._error = error
        self._done.set()

    def _leave(self) -> None:
        """Close the connection; book a record whose answer was awaited.

        Nobody knows what came of it, unless it could not be sent at all.
        """
        self.connection.close()
        record, self._record = self._record, None
        if record is None:
            return
        sent, reason = self._course is not None, STOPPED if self._error is None else reason_of(self._error)
        answer, outcome = Answer(0, reason, sent=sent, fault="user"), Outcome.RETRY
        if self._course is not None:
            answer, outcome, _ = judged(self._course.rule, answer)
        self._source.record_outcome(record, answer, outcome)


def unanswered(error: Exception, *, sent: bool, waited: float) -> Answer:
    """What an attempt shows that ended in an error after `waited` seconds. `sent` False: no byte of it left."""
    own = "" if sent else own_fault(error)
    return Answer(0, own or reason_of(error), sent=sent, fault="worker" if own else "api", waited=waited)


def reason_of(error: BaseException) -> str:
    """An error in the words of a report."""
    return f"{type(error).__name__}: {error}"
