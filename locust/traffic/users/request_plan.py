"""What all requests of one user class in one run share: how a record is sent, and what an answer means."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from traffic.core.excerpt import MOST_BODY
from traffic.core.outcome import (
    CONFLICT,
    UNAUTHORIZED,
    Answer,
    AtLeastOnce,
    AtMostOnce,
    Outcome,
    Rule,
    judged,
    retry_after_s,
)
from traffic.core.outcome_rules import MOST_JUDGED, WrittenRule, rule_for
from traffic.core.protocol import RunConfig
from traffic.core.reading import REQUESTS
from traffic.core.results import ALL, OFF
from traffic.core.worker.feed import Record
from traffic.http.http1 import REMEMBERED, ResponseHead
from traffic.http.resolver import Target
from traffic.http.response_reader import KEPT_FROM
from traffic.users.option_headers import OptionHeaders
from traffic.users.request_maker import RequestMaker
from traffic.users.spans import AttemptSpans
from traffic.users.stats import StatsBuffer

# Rules that always judge the same answer alike, so that their judgements can be remembered.
_CONSTANT = (AtLeastOnce, AtMostOnce, WrittenRule)

# The answer, its outcome, and what the rule raised instead of returning one.
Judgement = tuple[Answer, Outcome, Exception | None]
StatsBufferOf = Callable[[tuple[str, str]], StatsBuffer]
"""Returns the statistics that a name and a method have."""


class RequestPlan:
    """The run's settings as bytes and rules that are ready for use. ValueError if they cannot stand in a request.

    `known` has judgements by the head that they are on. `keep_from` is the status from which on an answer's content may
    be wanted: with a rule that may reject anything, from the lowest; `most_kept` is how many bytes of it. `wants_rows`:
    the run has rows of results. `spans` takes the attempts' spans, if somebody collects them.
    `stats_buffer` has all requests if the records are bodies; None: `whole_request` says which has a record's.
    """

    __slots__ = (
        *("_buffer_of", "_buffers", "_by_body", "_constant", "_maker", "_own", "_target", "_told", "_version"),
        *("_worker", "config", "keep_from", "known", "most_kept", "rule", "run", "spans", "stats_buffer", "wait"),
        "wants_rows",
    )

    def __init__(
        self,
        run: RunConfig,
        rule: Rule,
        target: Target,
        worker: str,
        own: Mapping[str, str],
        told: OptionHeaders,
        buffer_of: StatsBufferOf,
        spans: AttemptSpans | None = None,
    ) -> None:
        self.run, self.config, self.rule = run.run, run, rule
        self.wait = run.wait if run.wait[1] > 0 else None
        self._target, self._worker, self._own, self._told, self._buffer_of = target, worker, own, told, buffer_of
        self._by_body = bool(getattr(rule, "needs_body", False))
        self._constant = type(rule) in _CONSTANT and not self._by_body
        self.keep_from = KEPT_FROM if type(rule) in (AtLeastOnce, AtMostOnce) else 0
        self.wants_rows = run.results != OFF
        self.spans = spans
        self.most_kept = MOST_JUDGED if self._by_body or run.keep else max(MOST_BODY, run.answer_size)
        if run.keep or run.answers == ALL:
            self.keep_from = 0
        self.known: dict[ResponseHead, Judgement] = {}
        self._buffers: dict[bytes, StatsBuffer] = {}
        self._renew()
        self.stats_buffer = None if run.records == REQUESTS else buffer_of(self._maker.counted_as(b""))

    def _renew(self) -> None:
        """Make requests with the headers of the options as they are now."""
        self._version = self._told.version
        self._maker = RequestMaker(self.config, self._target, self._worker, self._own, self._told.fields)

    def check_headers(self) -> None:
        """Take other headers if the header file has changed."""
        self._told.refresh()
        if self._told.version != self._version:
            self._renew()

    def request(self, record: Record) -> bytes:
        """Return the bytes that send a record."""
        if self.spans is not None:
            self.spans.begin(record)
        return self._maker.request(record.index, record.body, record.span)

    def whole_request(self, record: Record) -> tuple[bytes, StatsBuffer]:
        """Return the bytes that send a record which is a whole request, and the statistics that have it."""
        if self.spans is not None:
            self.spans.begin(record)
        data, counted = self._maker.whole(record.index, record.body, record.span)
        stats_buffer = self._buffers.get(counted)
        if stats_buffer is None:
            stats_buffer = self._buffers[counted] = self._buffer_of(self._maker.counted_as(record.body))
        return data, stats_buffer

    def judge(self, head: ResponseHead, record: Record, content: bytes) -> Judgement:
        """Judge an answer whose head is not `known`; `content` is the beginning of its body, if that is kept."""
        if head.status == UNAUTHORIZED and self._told.refreshable:
            return self._refused()
        value = head.get("retry-after")
        answer = Answer(
            head.status,
            f"HTTP {head.status}",
            retry_after=retry_after_s(value, datetime.now(UTC)),
            repeat=record.repeat,
            body=content if self._by_body else b"",
        )
        judgement = judged(self.rule, answer)
        # A Retry-After that is a date means a shorter wait each time it is read; 409 is judged by the record, too.
        if self._constant and head.status != CONFLICT and (value is None or value.isdigit()):
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[head] = judgement
        return judgement

    def _refused(self) -> Judgement:
        answer = self._told.refused()
        if self._told.version != self._version:
            self._renew()
        return judged(self.rule, answer)


def rule_of(own: Rule | None, run: RunConfig) -> Rule:
    """Return a class's own rule, or that of the run."""
    return own or rule_for(run.policy, run.outcomes, run.reject_if, run.deliver_if)
