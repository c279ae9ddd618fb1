"""The sender of a user that has tasks: it sends a record when a task asks for it, and waits for the answer."""

from typing import Any

from traffic.clock import now_s
from traffic.core.outcome import Answer
from traffic.core.worker.feed import Record
from traffic.users.dispatcher import Dispatcher
from traffic.users.request_plan import RequestPlan
from traffic.users.sender import Sender


class TaskSender(Sender):
    """Sends one record after the other over one connection. `deliver` and `close` are called in the user's greenlet."""

    __slots__ = ("_answer",)

    def __init__(self, dispatcher: Dispatcher, user: Any) -> None:
        super().__init__(dispatcher, user)
        self._answer: Answer | None = None
        dispatcher.add(self)

    def deliver(self, record: Record) -> Answer:
        """Send a record and wait; return the answer once its outcome is reported. Raise what the rule raised."""
        self._answer = self._error = None
        self._done.clear()
        try:
            self._send(record, now_s())
            self._done.wait()
        except Exception as error:
            self._error = error
            raise
        finally:
            if self._record is not None:
                self._abandon()
        return self._result()

    def _result(self) -> Answer:
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer

    def close(self) -> None:
        """End with the user; its requests are in the statistics then."""
        self._abandon()
        self._dispatcher.remove(self)

    def _after_outcome(self, plan: RequestPlan, answer: Answer) -> None:
        self._answer = answer
        self._done.set()
