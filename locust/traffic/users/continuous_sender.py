"""The sender of a user that only replays: it takes a record, sends it, waits, and takes the next."""

import random
from typing import Any

from locust.user.task import LOCUST_STATE_STOPPING

from traffic.clock import now_s
from traffic.core.outcome import Answer, Outcome
from traffic.core.worker.feed import Record
from traffic.http.http1 import ResponseHead
from traffic.machine_limits import OwnFaultError
from traffic.users.dispatcher import Dispatcher
from traffic.users.request_plan import RequestPlan
from traffic.users.sender import Sender
from traffic.users.unanswered import unanswered

# How long to wait after a fault of this worker's own (no file, no port), which will not pass in a moment.
OWN_FAULT_S = 1.0


class ContinuousSender(Sender):
    """Sends records for as long as the run lasts. `run` is called in the user's greenlet, all else by the loop."""

    __slots__ = ("_data", "_response", "_stopping", "_timer", "_waits_by_run")

    def __init__(self, dispatcher: Dispatcher, user: Any, *, waits_by_run: bool) -> None:
        super().__init__(dispatcher, user)
        self._waits_by_run = waits_by_run  # for --traffic-wait, not for the class's own wait_time
        self._timer: Any = None
        self._stopping = False
        # An answer whose outcome is not reported yet: with its plan, its body's length, and when it came.
        self._response: tuple[RequestPlan, ResponseHead, int, float] | None = None
        self._data = b""  # the request that is sent next

    def run(self) -> None:
        """Deliver records until the run is over, or the user is stopped. Raise what the locustfile's code raised."""
        self._dispatcher.add(self)
        try:
            self.proceed_now()
            self._done.wait()
        finally:
            self._abandon()
        if self._error is not None:
            raise self._error

    def finish_current(self) -> None:
        """Take no more records; end once the present one is answered."""
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
        elif self.prepare(record):
            self.send()

    def _ends(self) -> bool:
        """Return whether the user takes no more records; if so, wake its greenlet."""
        ends = self._stopping or self._user._state == LOCUST_STATE_STOPPING
        if ends:
            self._done.set()
        return ends

    def wait_for_record(self) -> None:
        """Wait for a record, or end if the run is over: there is none now."""
        if self._source.over:
            self._done.set()
        else:
            self._dispatcher.idle(self)

    def proceed_now(self) -> None:
        """Proceed; an error is raised by the user."""
        try:
            self.proceed(now_s())
        except Exception as error:  # noqa: BLE001 - it would end the caller; the user must raise it
            self.fail_user(error)

    # Outcomes are reported, and the next records sent, in the dispatcher's batches.

    def answered(self, head: ResponseHead, body: int, now: float) -> None:
        """Keep an answer for the next batch."""
        if self._record is not None and self._plan is not None:
            self._response = self._plan, head, body, now
            self._dispatcher.on_response(self)

    def record_response(self) -> bool:
        """Report the outcome, unless the user has ended; return whether it wants a record at once."""
        response, self._response = self._response, None
        if response is None:
            return False
        try:
            answer = self._record_outcome(*response)
            if answer is None or self._ends():
                return False
            if response[0].wait is None and self._waits_by_run:
                return True
            self._wait(response[0])
        except Exception as error:  # noqa: BLE001 - it would end the batch for all; the user must raise it
            self.fail_user(error)
        return False

    def prepare(self, record: Record) -> bool:
        """Make the request that sends a record; return whether that succeeded."""
        try:
            self._data = self._request(record)
        except OwnFaultError as error:
            self._record = None
            self._source.record_outcome(record, unanswered(error, sent=False), Outcome.RETRY)
            self._rest(OWN_FAULT_S)
            return False
        except Exception as error:  # noqa: BLE001 - as above
            self.fail_user(error)
            return False
        return True

    def send(self) -> None:
        """Send the prepared request."""
        now = now_s()
        if self._record is not None:
            self._record.sent = now
        try:
            self.connection.request(self._data, now)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail_user(error)

    def _after_outcome(self, plan: RequestPlan, answer: Answer) -> None:
        self._wait(plan, OWN_FAULT_S if answer.fault == "worker" else 0.0)

    # Waiting.

    def _wait(self, plan: RequestPlan, least: float = 0.0) -> None:
        """Wait as long as the user waits between requests, and `least` seconds at least."""
        if self._stopping:
            self._done.set()
            return
        seconds = 0.0
        if not self._waits_by_run:
            seconds = self._user.wait_time()
        elif plan.wait:
            seconds = random.uniform(*plan.wait)  # noqa: S311 - spreads requests, keeps no secret
        self._rest(max(least, seconds))

    def _rest(self, seconds: float) -> None:
        self._timer = self._dispatcher.loop.timer(seconds)
        self._timer.start(self._on_waited)

    def _on_waited(self) -> None:
        self._timer.close()
        self._timer = None
        self.proceed_now()

    def _abandon(self) -> None:
        if self._response is not None:
            self._record_outcome(*self._response)
            self._response = None
        super()._abandon()
        self._dispatcher.remove(self)
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
