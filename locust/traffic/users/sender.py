"""One user's connection, and the record that is on its way there.

Guarded here: the outcome of a record that was taken is reported exactly once, whether its attempt ends by an answer, a
failure, an error in the locustfile, or the user's end.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gevent.event import Event

from traffic.clock import now_s
from traffic.core.excerpt import Excerpt
from traffic.core.outcome import Answer, Outcome, judged
from traffic.core.worker.feed import Record
from traffic.core.worker.record import Wire
from traffic.http.connection import Connection
from traffic.http.http1 import ResponseHead
from traffic.users.base import STOPPED
from traffic.users.dispatcher import Dispatcher
from traffic.users.request_plan import RequestPlan
from traffic.users.unanswered import unanswered

if TYPE_CHECKING:
    from traffic.users.stats import StatsBuffer

_DELIVERED = Outcome.DELIVERED  # saves one look-up for each record


class Sender:
    """Sends one record at a time and reports its outcome; a subclass defines what follows in `_after_outcome`.

    The loop calls all methods but `_send` and `_abandon`. `_done` wakes the user's greenlet.
    """

    __slots__ = (
        *("_dispatcher", "_done", "_error", "_plan", "_record", "_source", "_stats", "_user"),
        "connection",
    )

    def __init__(self, dispatcher: Dispatcher, user: Any) -> None:
        self._dispatcher, self._user, self._source = dispatcher, user, dispatcher.source
        self.connection = Connection(dispatcher.endpoint(user), self)
        self._plan: RequestPlan | None = None
        self._stats: StatsBuffer | None = None  # of the record that is under way
        self._record: Record | None = None
        self._done = Event()
        self._error: Exception | None = None

    def _send(self, record: Record, now: float) -> None:
        data = self._request(record)
        record.sent = now
        self.connection.request(data, now)

    def _request(self, record: Record) -> bytes:
        """Return the bytes that send a record; from here on, its outcome is reported by this sender."""
        self._record = record
        plan = self._plan
        if plan is None or plan.run != record.run:
            self._plan = None  # if making a plan fails, nothing was sent
            plan = self._plan = self._dispatcher.plan(self._user)
            self.connection.keep_content(plan.keep_from, plan.most_kept)
            self._stats = plan.stats_buffer
        if plan.stats_buffer is None:
            data, self._stats = plan.whole_request(record)
            record.request = self._stats.request
            return data
        record.request = plan.stats_buffer.request
        return plan.request(record)

    def _after_outcome(self, plan: RequestPlan, answer: Answer) -> None:
        raise NotImplementedError

    def expire(self, now: float) -> None:
        """End the wait for an answer, or for a connection: its timeout is over."""
        try:
            self.connection.expire(now)
        except Exception as error:  # noqa: BLE001 - it would end the caller; the user must raise it
            self.fail_user(error)

    # What the connection calls.

    def answered(self, head: ResponseHead, body: int, now: float) -> None:
        """Report the outcome of an answer, and continue."""
        plan = self._plan
        if plan is not None and (answer := self._record_outcome(plan, head, body, now)) is not None:
            self._after_outcome(plan, answer)

    def _record_outcome(self, plan: RequestPlan, head: ResponseHead, body: int, now: float) -> Answer | None:
        """Report the outcome and return the answer; None if no record was under way, or if the user must raise."""
        record, self._record = self._record, None
        if record is None:
            return None
        known = plan.known.get(head)
        answer, outcome, fault = known or plan.judge(head, record, self.connection.content_of(head))
        if plan.wants_rows:
            first = self.connection.first_byte_at or now
            record.wire = Wire(self.connection.connect_s, first, body, self.connection.content_of(head))
        if outcome is not _DELIVERED:
            excerpt = Excerpt.of(head.fields, self.connection.content_of(head), body)
            answer = replace(answer, excerpt=excerpt, body=b"")
        self._source.record_outcome(record, answer, outcome, now)
        if plan.spans is not None:
            plan.spans.note(record, answer, outcome, now)
        stats_buffer = self._stats
        assert stats_buffer is not None, "it was set as the request was made"
        if self._dispatcher.bulk_stats:
            stats_buffer.log(now - (record.due or record.sent))
            stats_buffer.content += body
            if outcome is not _DELIVERED:
                stats_buffer.failures[answer.reason] += 1
        else:
            self._dispatcher.report_request(
                self._user, stats_buffer, head, answer, outcome, body, record.due or record.sent, now
            )
        if fault is None:
            return answer
        self.fail_user(fault)
        return None

    def failed(self, error: Exception, *, sent: bool) -> None:
        """Report that there was no answer, and continue."""
        record, plan = self._record, self._plan
        if record is None or plan is None:
            return
        now = now_s()
        answer, outcome, fault = judged(plan.rule, unanswered(error, sent=sent, waited=now - record.sent))
        self._record = None
        record.wire = Wire(self.connection.connect_s) if plan.wants_rows else None
        self._source.record_outcome(record, answer, outcome)
        if plan.spans is not None:
            plan.spans.note(record, answer, outcome, now)
        stats_buffer = self._stats
        assert stats_buffer is not None, "it was set as the request was made"
        if self._dispatcher.bulk_stats:
            stats_buffer.log(now - (record.due or record.sent))
            stats_buffer.failures[answer.reason] += 1
        else:
            self._dispatcher.report_request(
                self._user, stats_buffer, None, answer, outcome, 0, record.due or record.sent, now
            )
        if fault is not None:
            self.fail_user(fault)
        else:
            self._after_outcome(plan, answer)

    def fail_user(self, error: Exception) -> None:
        """Have the user's greenlet raise an error of the locustfile's code, or of ours."""
        self._error = error
        self._done.set()

    def _abandon(self) -> None:
        """Close the connection; report a record that is under way as unanswered, or as not sent if it was not."""
        self.connection.close()
        record, self._record = self._record, None
        if record is None:
            return
        sent, reason = self._plan is not None, STOPPED if self._error is None else ""
        answer, outcome = unanswered(self._error, sent=sent, otherwise="user", reason=reason), Outcome.RETRY
        if self._plan is not None:
            answer, outcome, _ = judged(self._plan.rule, answer)
        self._source.record_outcome(record, answer, outcome)
        if self._plan is not None and self._plan.spans is not None:
            self._plan.spans.note(record, answer, outcome, now_s())
