"""Decide what an attempt's answer means for its record.

The rule is one small object, so a locustfile can replace it by anything that has a `judge(answer) -> Outcome`.
"""

import math
import random
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Literal, Protocol

from traffic.core.excerpt import Excerpt

Policy = Literal["at-least-once", "at-most-once"]
# Whose fault a missing answer is: the API's or the way to it, this worker's, or a user's that was stopped.
Fault = Literal["api", "worker", "user"]

# RFC 9110 15.3 and 15.6.
_SUCCESSFUL = range(200, 300)
_SERVER_ERROR = 500
# Statuses by which a server asks for the request again, later (RFC 9110 15.5.9, RFC 8470, RFC 6585, RFC 9110 15.6).
TRY_AGAIN = frozenset({408, 425, 429})
# Of these, those by which it says that it did not act on this one.
NOT_ACTED_ON = TRY_AGAIN | {503}

UNAUTHORIZED, CONFLICT, TOO_MANY = 401, 409, 429
# Of these, those that with a Retry-After say it of every request (RFC 6585 4, RFC 9110 15.6.4).
QUOTA = frozenset({429, 503})

BACKOFF_BASE_S = 0.2
BACKOFF_CAP_S = 30.0
# Where each record waits for itself, a longer Retry-After is cut to this, so that a run does not hang on one answer.
RETRY_AFTER_CAP_S = 300.0
# Nobody waits longer: a hundred years.
LONGEST_RETRY_AFTER_S = 3.2e9
# A longer reason is cut: it is kept for each record that has one of its own.
LONGEST_REASON = 500
# A Retry-After that cannot be read counts as this.
RETRY_AFTER_LEAST_S = 1


class Outcome(StrEnum):
    """What an attempt showed."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one attempt.

    `status` is the HTTP status, 0 if no answer was read. `sent` is False only if the request surely never reached the
    API, because no connection could be made. `retry_after` is in seconds. `reason` is for people. Without a status,
    `fault` says whose fault that is, and `waited` how many seconds were waited for the answer. `refreshable`: the API
    refuses the credentials (401), and they come from a file that a person may replace. `excerpt` is what a dead letter
    keeps of it; None if it was delivered, or if there is no answer. `repeat`: the API may have had the record before.
    `body` is what came, the first MiB of it, for a rule that `needs_body`; otherwise it is empty.
    """

    status: int
    reason: str = ""
    sent: bool = True
    retry_after: float | None = None
    fault: Fault = "api"
    waited: float = 0.0
    refreshable: bool = False
    excerpt: Excerpt | None = None
    repeat: bool = False
    body: bytes = b""

    @property
    def unknown(self) -> bool:
        """Whether the API may have acted on the request, and nobody knows."""
        return self.status == 0 and self.sent

    @property
    def asks_to_wait(self) -> bool:
        """Whether the API asks by it for no further request for `retry_after` seconds."""
        return (self.status in QUOTA or self.refreshable) and self.retry_after is not None

    @property
    def is_no_attempt(self) -> bool:
        """Whether the API says by it that requests come too fast, which is no fault of the record's."""
        return self.status == TOO_MANY or self.asks_to_wait


class Rule(Protocol):
    """Decides what answers mean. A rule with an attribute `needs_body` that is true gets their bodies, too."""

    def judge(self, answer: Answer) -> Outcome:
        """Return the outcome of the attempt that got this answer."""
        ...


class AtLeastOnce:
    """2xx is delivered. A missing answer, 5xx, 408, 425 and 429 are tried again. Any other answer is rejected.

    409 is tried again if the API may have had the record before, or says when to come back: it may still be at work on
    the request with the same key (draft-ietf-httpapi-idempotency-key-header-07, 2.6).
    """

    def judge(self, answer: Answer) -> Outcome:
        """Return the outcome of the attempt that got this answer."""
        status = answer.status
        if status in _SUCCESSFUL:
            return Outcome.DELIVERED
        if status == 0 or status >= _SERVER_ERROR or status in TRY_AGAIN:
            return Outcome.RETRY
        if status == CONFLICT and (answer.repeat or answer.retry_after is not None):
            return Outcome.RETRY
        return Outcome.REJECTED


class AtMostOnce:
    """As AtLeastOnce, but tried again only if the API surely did not act; otherwise in doubt.

    500, 502 and 504 are in doubt: a server that failed, or one behind a gateway that got no answer, may have acted.
    409 is rejected: nothing was sent twice, so it is not about an earlier request with this key.
    """

    def judge(self, answer: Answer) -> Outcome:
        """Return the outcome of the attempt that got this answer."""
        if answer.status == CONFLICT:
            return Outcome.REJECTED
        outcome = AtLeastOnce().judge(answer)
        if outcome is not Outcome.RETRY or not answer.sent or answer.status in NOT_ACTED_ON:
            return outcome
        return Outcome.IN_DOUBT


RULES: dict[Policy, Rule] = {"at-least-once": AtLeastOnce(), "at-most-once": AtMostOnce()}


def judged(rule: Rule, answer: Answer) -> tuple[Answer, Outcome, Exception | None]:
    """Apply a rule to an answer. If it raises, or returns no Outcome, return the error and an answer that says so.

    Such a record is in doubt and not sent again, because the API has had it and its answer means nothing known. One
    that surely was not sent is tried again, and so is one whose credentials are `refreshable`, whatever the rule says.
    """
    if answer.refreshable:
        return answer, Outcome.RETRY, None
    try:
        outcome = rule.judge(answer)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"judge returned {outcome!r}, which is no Outcome")  # noqa: TRY301 - handled like what the rule raises
        if outcome is Outcome.REJECTED and (why := getattr(rule, "reason", None)) is not None and answer.body:
            answer = replace(answer, reason=why(answer) or answer.reason)
    except Exception as error:  # noqa: BLE001 - a locustfile's own rule may raise anything; the caller reports it
        reason = f"{answer.reason}; the rule that should judge it raised {type(error).__name__}: {error}"
        return replace(answer, reason=reason), Outcome.IN_DOUBT if answer.sent else Outcome.RETRY, error
    return answer, outcome, None


def backoff(attempts: int, retry_after: float | None, chance: random.Random) -> float:
    """Return the seconds to wait after the `attempts`-th attempt, before the next.

    Exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015); a
    server's Retry-After is waited out first.
    """
    jitter = chance.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(attempts - 1, 16)))
    return jitter + min(retry_after or 0.0, RETRY_AFTER_CAP_S)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait: a number of them, or an HTTP date (RFC 9110 10.2.3).

    A decimal is rounded up. A value that is none of these counts as a second. None if there is no header.
    """
    if value is None:
        return None
    if re.fullmatch(r"[ \t]*[0-9]+[ \t]*", value):
        return min(float(value), LONGEST_RETRY_AFTER_S)
    if re.fullmatch(r"[ \t]*(?:[0-9]+\.[0-9]*|\.[0-9]+)[ \t]*", value):
        return float(max(RETRY_AFTER_LEAST_S, math.ceil(min(float(value), LONGEST_RETRY_AFTER_S))))
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return float(RETRY_AFTER_LEAST_S)
    seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S)
