"""One user's place at the engine: it takes a record, has it sent, books what came of it, waits, and takes the next.

The rule that this module guards: a record that was taken is booked exactly once, whatever ends its attempt: an answer,
a failure, a fault of the locustfile's own, or the user's end.
"""

import random
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from locust.user.task import LOCUST_STATE_STOPPING

from traffic.clock import now_s
from traffic.core.outcome import RULES, Answer, Outcome

from .connection import Connection
from .course import Course
from .http import Head

if TYPE_CHECKING:
    from traffic.core.feed import Record

    from .engine import Engine

STOPPED = "the user was stopped while the answer was awaited"


class Seat:
    """A user's place. `sit` is called in the user's greenlet; everything else by the loop."""

    __slots__ = (
        *("_bell", "_course", "_engine", "_error", "_record", "_source", "_started", "_stopping", "_timer"),
        *("_user", "_waits", "connection"),
    )

    def __init__(self, engine: "Engine", user: Any, *, waits_as_told: bool) -> None:
        self._engine, self._user, self._source = engine, user, engine.source
        self._waits = waits_as_told  # by --traffic-wait, and not as the locustfile says
        self.connection = Connection(engine.route(user), self)
        self._course: Course | None = None
        self._record: Record | None = None
        self._started = 0.0
        self._bell = Event()
        self._timer: Any = None
        self._error: Exception | None = None
        self._stopping = False

    def sit(self) -> None:
        """Deliver records until the run hands out no more, or the user is stopped; what the locustfile raised."""
        self._engine.enter(self)
        try:
            self.proceed(now_s())
            self._bell.wait()
        finally:
            self._leave()
        if self._error is not None:
            raise self._error

    def retire(self) -> None:
        """Take no more records; end once the one that is being sent is answered."""
        self._stopping = True
        if self._record is None:
            self._bell.set()

    def proceed(self, now: float) -> bool:
        """Take the next record and send it; False where there is none at the moment."""
        if self._stopping or self._user._state == LOCUST_STATE_STOPPING:
            self._bell.set()
            return True
        record = self._source.take(now)
        if record is None:
            if self._source.over:
                self._bell.set()
            else:
                self._engine.idle(self)
            return False
        self._record, self._started = record, now
        course = self._course
        if course is None or course.run != record.run:
            course = self._course = self._engine.course(self._user)
        self.connection.request(course.request(record), now)
        return True

    def proceed_in_turn(self) -> None:
        """As `proceed`, for a seat that waited; what is raised goes to its user."""
        try:
            self.proceed(now_s())
        except Exception as error:  # noqa: BLE001 - it would end whoever calls; the user is to know
            self.broke(error)

    def expire(self, now: float) -> None:
        """Give up the answer, or the connection, that is awaited."""
        try:
            self.connection.expire(now)
        except Exception as error:  # noqa: BLE001 - as above
            self.broke(error)

    # What the connection calls.

    def answered(self, head: Head, body: int, now: float) -> None:
        """Book an answer, and go on."""
        record, course = self._record, self._course
        if record is None or course is None:
            return
        answer, outcome = course.verdict(head)
        self._record = None
        self._source.book(record, answer, outcome, now)
        if self._engine.quiet:
            course.tally.log(now - self._started)
            course.tally.content += body
            if outcome is not Outcome.DELIVERED:
                course.tally.failures[answer.reason] += 1
        else:
            self._engine.tell(self._user, course, head, answer, outcome, body, self._started, now)
        if course.wait is None and self._waits:
            self.proceed(now_s())  # by a fresh clock: the rule, a locustfile's own, may have taken its time
        else:
            self._pause(course)

    def failed(self, error: Exception, *, sent: bool) -> None:
        """Book that there was no answer, and go on."""
        record, course = self._record, self._course
        if record is None or course is None:
            return
        answer = Answer(0, reason_of(error), sent=sent)
        outcome = course.rule.judge(answer)
        self._record = None
        now = now_s()
        self._source.book(record, answer, outcome)
        if self._engine.quiet:
            course.tally.log(now - self._started)
            course.tally.failures[answer.reason] += 1
        else:
            self._engine.tell(self._user, course, None, answer, outcome, 0, self._started, now)
        self._pause(course)

    def broke(self, error: Exception) -> None:
        """The locustfile's own code, or ours, raised: the user's greenlet is to say so."""
        self._error = error
        self._bell.set()

    # Waiting.

    def _pause(self, course: Course) -> None:
        """Wait as long as the user waits between requests."""
        if self._stopping:
            self._bell.set()
            return
        seconds = 0.0
        if not self._waits:
            seconds = self._user.wait_time()
        elif course.wait:
            seconds = random.uniform(*course.wait)  # noqa: S311 - spreads requests, keeps no secret
        self._timer = self._engine.loop.timer(max(0.0, seconds))
        self._timer.start(self._rested)

    def _rested(self) -> None:
        self._timer.close()
        self._timer = None
        self.proceed_in_turn()

    def _leave(self) -> None:
        """Book a record whose answer was awaited: nobody knows what came of it."""
        self._engine.leave(self)
        self.connection.close()
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        record, self._record = self._record, None
        if record is None:
            return
        answer = Answer(0, reason_of(self._error) if self._error is not None else STOPPED)
        try:
            outcome = self._course.rule.judge(answer) if self._course is not None else Outcome.IN_DOUBT
        except Exception:  # noqa: BLE001 - the locustfile's rule is what broke: then the default one
            outcome = RULES["at-least-once"].judge(answer)
        self._source.book(record, answer, outcome)


def reason_of(error: BaseException) -> str:
    """An error in the words of a report."""
    return f"{type(error).__name__}: {error}"


def hub_loop() -> Any:
    """The loop of this thread."""
    return gevent.get_hub().loop
