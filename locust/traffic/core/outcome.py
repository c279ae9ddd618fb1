"""Decide what an attempt's answer means for its record.

The rule is one small object, so a locustfile can replace it: anything with a `judge(answer) -> Outcome` will do.
"""

import math
import random
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Literal, Protocol

Policy = Literal["at-least-once", "at-most-once"]
# What a missing answer tells of: the way to the API, this worker's own means, or neither (a user that was stopped).
Fault = Literal["api", "worker", "user"]

# RFC 9110 15.3 and 15.6.
_SUCCESSFUL = range(200, 300)
_SERVER_ERROR = 500
# Statuses by which a server asks for the request again, later (RFC 9110 15.5.9, RFC 8470, RFC 6585, RFC 9110 15.6).
TRY_AGAIN = frozenset({408, 425, 429})
# Of these, those by which it says that it did not act on this one.
NOT_ACTED_ON = TRY_AGAIN | {503}

BACKOFF_BASE_S = 0.2
BACKOFF_CAP_S = 30.0
# A server that asks for more patience than this gets this much: a run is not to hang on one answer.
RETRY_AFTER_CAP_S = 300.0
# A longer reason is cut: it is kept for each record that has one of its own.
LONGEST_REASON = 500
# A server that asks for patience in words that nobody can read gets this much.
RETRY_AFTER_LEAST_S = 1


class Outcome(StrEnum):
    """What an attempt showed."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one attempt.

    `status` is the HTTP status, 0 where no answer was read. `sent` is False only where the request surely never
    reached the API (the connection could not be made). `retry_after` is in seconds. `reason` is for people.
    Without a status, `fault` says whose fault that is, and `waited` how many seconds were waited for the answer.
    """

    status: int
    reason: str = ""
    sent: bool = True
    retry_after: float | None = None
    fault: Fault = "api"
    waited: float = 0.0

    @property
    def unknown(self) -> bool:
        """Whether the API may have acted on the request without our knowing."""
        return self.status == 0 and self.sent


class Rule(Protocol):
    """Judges answers."""

    def judge(self, answer: Answer) -> Outcome:
        """The outcome of the attempt that was answered so."""
        ...


class AtLeastOnce:
    """2xx is delivered; what may pass is tried again, an unknown answer included; any other answer is a no."""

    def judge(self, answer: Answer) -> Outcome:
        """The outcome of the attempt that was answered so."""
        status = answer.status
        if status in _SUCCESSFUL:
            return Outcome.DELIVERED
        if status == 0 or status >= _SERVER_ERROR or status in TRY_AGAIN:
            return Outcome.RETRY
        return Outcome.REJECTED


class AtMostOnce:
    """As AtLeastOnce, but tried again only where the API surely did not act; otherwise in doubt.

    500, 502 and 504 are in doubt: a server that broke, or a gateway that heard nothing, may have acted.
    """

    def judge(self, answer: Answer) -> Outcome:
        """The outcome of the attempt that was answered so."""
        outcome = AtLeastOnce().judge(answer)
        if outcome is not Outcome.RETRY or not answer.sent or answer.status in NOT_ACTED_ON:
            return outcome
        return Outcome.IN_DOUBT


RULES: dict[Policy, Rule] = {"at-least-once": AtLeastOnce(), "at-most-once": AtMostOnce()}


def judged(rule: Rule, answer: Answer) -> tuple[Answer, Outcome, Exception | None]:
    """What a rule makes of an answer; where it raises, or judges by no Outcome, the error and an answer that says so.

    Such a record is in doubt, and not sent again: the API has had it, and what its answer means nobody can tell. One
    that surely was not sent is tried again.
    """
    try:
        outcome = rule.judge(answer)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"judge returned {outcome!r}, which is no Outcome")  # noqa: TRY301 - told as what it raises
    except Exception as error:  # noqa: BLE001 - a locustfile's own rule may raise anything; the caller is to tell
        reason = f"{answer.reason}; the rule that should judge it raised {type(error).__name__}: {error}"
        return replace(answer, reason=reason), Outcome.IN_DOUBT if answer.sent else Outcome.RETRY, error
    return answer, outcome, None


def backoff(attempts: int, retry_after: float | None, chance: random.Random) -> float:
    """Seconds to wait after the `attempts`-th attempt asked for another.

    Exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015); a
    server's Retry-After is waited out first.
    """
    jitter = chance.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(attempts - 1, 16)))
    return jitter + min(retry_after or 0.0, RETRY_AFTER_CAP_S)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number of seconds or an HTTP date (RFC 9110 10.2.3).

    A decimal is rounded up. A value that is none of these asks for a second all the same: the server wants patience.
    None if there is no header.
    """
    if value is None:
        return None
    if re.fullmatch(r"[ \t]*[0-9]+[ \t]*", value):
        return float(value)
    if re.fullmatch(r"[ \t]*(?:[0-9]+\.[0-9]*|\.[0-9]+)[ \t]*", value):
        return float(max(RETRY_AFTER_LEAST_S, math.ceil(min(float(value), RETRY_AFTER_CAP_S))))
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return float(RETRY_AFTER_LEAST_S)
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
