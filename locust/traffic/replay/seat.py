"""The place of a user that does nothing but replay: it takes a record, has it sent, waits, and takes the next."""

import random
from typing import TYPE_CHECKING, Any

import gevent
from locust.user.task import LOCUST_STATE_STOPPING

from traffic.clock import now_s
from traffic.core.outcome import Answer

from .course import Course
from .place import Place

if TYPE_CHECKING:
    from .engine import Engine


class Seat(Place):
    """A user's place for as long as the run lasts. `sit` is called in the user's greenlet, all else by the loop."""

    __slots__ = ("_stopping", "_timer", "_waits")

    def __init__(self, engine: "Engine", user: Any, *, waits_as_told: bool) -> None:
        super().__init__(engine, user)
        self._waits = waits_as_told  # by --traffic-wait, and not as the locustfile says
        self._timer: Any = None
        self._stopping = False

    def sit(self) -> None:
        """Deliver records until the run hands out no more, or the user is stopped; what the locustfile raised."""
        self._engine.enter(self)
        try:
            self.proceed_in_turn()
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
        self._send(record, now)
        return True

    def proceed_in_turn(self) -> None:
        """As `proceed`, now; what is raised goes to its user."""
        try:
            self.proceed(now_s())
        except Exception as error:  # noqa: BLE001 - it would end whoever calls; the user is to know
            self.broke(error)

    def _booked(self, course: Course, answer: Answer, now: float | None) -> None:
        if now is not None and course.wait is None and self._waits:
            self.proceed(now if course.constant else now_s())  # a locustfile's own rule may have taken its time
        else:
            self._pause(course)

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
        super()._leave()
        self._engine.leave(self)
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()


def hub_loop() -> Any:
    """The loop of this thread."""
    return gevent.get_hub().loop
