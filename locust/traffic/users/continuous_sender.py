"""The sender of a user that only replays: it takes a record, sends it, waits, and takes the next."""

import random
from typing import Any

from locust.user.task import LOCUST_STATE_STOPPING

from traffic.clock import now_s
from traffic.core.outcome import Answer
from traffic.core.worker.feed import Record
from traffic.http.http1 import ResponseHead
from traffic.users.dispatcher import Dispatcher
from traffic.users.request_plan import RequestPlan
from traffic.users.sender import Sender

# What this worker lacks it will not have a moment later: asking again at once would only take its time.
OWN_FAULT_S = 1.0


class ContinuousSender(Sender):
    """A user's place for as long as the run lasts. `run` is called in the user's greenlet, all else by the loop."""

    __slots__ = ("_data", "_heard", "_stopping", "_timer", "_waits")

    def __init__(self, engine: Dispatcher, user: Any, *, waits_as_told: bool) -> None:
        super().__init__(engine, user)
        self._waits = waits_as_told  # by --traffic-wait, and not as the locustfile says
        self._timer: Any = None
        self._stopping = False
        self._heard: tuple[RequestPlan, ResponseHead, int, float] | None = None  # an answer that is not booked yet
        self._data = b""  # the request that is sent next

    def run(self) -> None:
        """Deliver records until the run hands out no more, or the user is stopped; what the locustfile raised."""
        self._engine.enter(self)
        try:
            self.proceed_in_turn()
            self._done.wait()
        finally:
            self._leave()
        if self._error is not None:
            raise self._error

    def finish_current(self) -> None:
        """Take no more records; end once the one that is being sent is answered."""
        self._stopping = True
        if self._record is None:
            self._done.set()

    def proceed(self, now: float) -> None:
        """Take the next record and send it, or wait until there is one."""
        if self._ends():
            return
        record = self._source.take(now)
        if record is None:
            self.wait_for_record()
        else:
            self._send(record, now)

    def _ends(self) -> bool:
        """Whether the user takes no more records; its greenlet is told so."""
        ends = self._stopping or self._user._state == LOCUST_STATE_STOPPING
        if ends:
            self._done.set()
        return ends

    def wait_for_record(self) -> None:
        """There is no record at the moment: wait for one, or end."""
        if self._source.over:
            self._done.set()
        else:
            self._engine.idle(self)

    def proceed_in_turn(self) -> None:
        """As `proceed`, now; what is raised goes to its user."""
        try:
            self.proceed(now_s())
        except Exception as error:  # noqa: BLE001 - it would end whoever calls; the user is to know
            self.fail_user(error)

    # An answer is booked, and the next record sent, in a turn of the engine's.

    def answered(self, head: ResponseHead, body: int, now: float) -> None:
        """Keep an answer for the turn."""
        if self._record is not None and self._course is not None:
            self._heard = self._course, head, body, now
            self._engine.on_response(self)

    def record_response(self) -> bool:
        """Book the answer, unless that was done when the user ended; whether the user wants a record at once."""
        heard, self._heard = self._heard, None
        if heard is None:
            return False
        try:
            answer = self._book(*heard)
            if answer is None or self._ends():
                return False
            if heard[0].wait is None and self._waits:
                return True
            self._pause(heard[0])
        except Exception as error:  # noqa: BLE001 - it would end the turn for all; the user is to know
            self.fail_user(error)
        return False

    def prepare(self, record: Record) -> bool:
        """Make the request that sends a record; whether that could be done."""
        try:
            self._data = self._request(record)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail_user(error)
            return False
        return True

    def send(self) -> None:
        """Send what was prepared."""
        now = self._started = now_s()
        try:
            self.connection.request(self._data, now)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail_user(error)

    def _booked(self, course: RequestPlan, answer: Answer) -> None:
        self._pause(course, OWN_FAULT_S if answer.fault == "worker" else 0.0)

    # Waiting.

    def _pause(self, course: RequestPlan, least: float = 0.0) -> None:
        """Wait as long as the user waits between requests, but `least` seconds at least."""
        if self._stopping:
            self._done.set()
            return
        seconds = 0.0
        if not self._waits:
            seconds = self._user.wait_time()
        elif course.wait:
            seconds = random.uniform(*course.wait)  # noqa: S311 - spreads requests, keeps no secret
        self._timer = self._engine.loop.timer(max(least, seconds))
        self._timer.start(self._rested)

    def _rested(self) -> None:
        self._timer.close()
        self._timer = None
        self.proceed_in_turn()

    def _leave(self) -> None:
        if self._heard is not None:
            self._book(*self._heard)
            self._heard = None
        super()._leave()
        self._engine.leave(self)
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
