"""What all requests of one user class in one run share: how a record is sent, and what an answer means."""

from collections.abc import Mapping
from datetime import UTC, datetime

from traffic.core.outcome import RULES, Answer, AtLeastOnce, AtMostOnce, Outcome, Rule, judged, retry_after_s
from traffic.core.protocol import RunConfig
from traffic.core.worker.feed import Record
from traffic.http.http1 import REMEMBERED, ResponseHead, request_bytes, request_prefix
from traffic.http.resolver import Target
from traffic.users.record_headers import KEY, REPLACEABLE, record_headers
from traffic.users.stats import StatsBuffer

USER_AGENT = "traffic-replayer"
# Headers that say where a request goes, how its body ends, and what becomes of the connection: no class sets them.
FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
# Rules that always judge the same answer alike, so that their judgements can be remembered.
_CONSTANT = (AtLeastOnce, AtMostOnce)

# The answer, its outcome, and what the rule raised instead of returning one.
Judgement = tuple[Answer, Outcome, Exception | None]


class RequestPlan:
    """The run's settings as bytes and rules that are ready for use. ValueError if they cannot stand in a request.

    `known` has judgements by the head that they are on.
    """

    __slots__ = ("_constant", "_prefix", "known", "rule", "run", "stats_buffer", "wait")

    def __init__(
        self,
        run: RunConfig,
        rule: Rule,
        target: Target,
        worker: str,
        headers: Mapping[str, str],
        stats: StatsBuffer,
    ) -> None:
        self.run, self.rule, self.stats_buffer = run.run, rule, stats
        self.wait = run.wait if run.wait[1] > 0 else None
        self._prefix = _prefix(run, target, worker, headers)
        self._constant = type(rule) in _CONSTANT
        self.known: dict[ResponseHead, Judgement] = {}

    def request(self, record: Record) -> bytes:
        """Return the bytes that send a record."""
        return request_bytes(self._prefix, record.index, record.body)

    def judge(self, head: ResponseHead) -> Judgement:
        """Judge a head that is not `known`."""
        value = head.get("retry-after")
        answer = Answer(head.status, f"HTTP {head.status}", retry_after=retry_after_s(value, datetime.now(UTC)))
        judgement = judged(self.rule, answer)
        # A Retry-After that is a date means a shorter wait each time it is read.
        if self._constant and (value is None or value.isdigit()):
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[head] = judgement
        return judgement


def rule_of(own: Rule | None, run: RunConfig) -> Rule:
    """Return a class's own rule, or that of the run's policy."""
    return own or RULES["at-most-once" if run.policy == "at-most-once" else "at-least-once"]


def _prefix(run: RunConfig, target: Target, worker: str, own: Mapping[str, str]) -> bytes:
    """Return the bytes of every request up to the record's index; `own` are the headers that the class adds."""
    fixed = record_headers(run.run, worker, "")
    refused = ({name.lower() for name in fixed} - REPLACEABLE | FRAMING) & {name.lower() for name in own}
    if refused:
        raise ValueError(f"the replay user sets {', '.join(sorted(refused))} itself: leave it out of default_headers")
    replaced = {name.lower() for name in own}
    headers = {
        "User-Agent": USER_AGENT,
        **({"Authorization": target.credentials} if target.credentials else {}),
        **fixed,
    }
    kept = {name: value for name, value in headers.items() if name.lower() not in replaced}
    key = kept.pop(KEY)
    return request_prefix(run.method, target.base + run.path, target.host, {**kept, **own, KEY: key})
