"""What follows from an answer: the two rules over every status, the backoff, and Retry-After."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from traffic.core.outcome import (
    LONGEST_RETRY_AFTER_S,
    RULES,
    TRY_AGAIN,
    Answer,
    AtLeastOnce,
    AtMostOnce,
    Outcome,
    backoff,
    judged,
    retry_after_s,
)

DELIVERED, RETRY, REJECTED, IN_DOUBT = Outcome.DELIVERED, Outcome.RETRY, Outcome.REJECTED, Outcome.IN_DOUBT


def said(status: int) -> tuple[Outcome, Outcome]:
    """What a status means by docs/guarantees: at-least-once, at-most-once. Written down apart from the code."""
    if status in range(200, 300):
        return DELIVERED, DELIVERED
    if status in (408, 425, 429, 503):
        return RETRY, RETRY
    if status in range(500, 600):
        return RETRY, IN_DOUBT
    return REJECTED, REJECTED


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_its_outcome_by_both_rules(status):
    answer = Answer(status)
    assert (AtLeastOnce().judge(answer), AtMostOnce().judge(answer)) == said(status)


@pytest.mark.parametrize(
    ("sent", "at_least_once", "at_most_once"),
    [(True, RETRY, IN_DOUBT), (False, RETRY, RETRY)],
)
def test_no_answer_is_in_doubt_only_where_the_request_may_have_arrived(sent, at_least_once, at_most_once):
    answer = Answer(0, "connection reset", sent=sent)
    assert (AtLeastOnce().judge(answer), AtMostOnce().judge(answer)) == (at_least_once, at_most_once)


@pytest.mark.parametrize("status", [0, 200, 408, 429, 500, 503])
@pytest.mark.parametrize("sent", [True, False])
def test_at_most_once_never_sends_again_what_may_have_been_acted_on(status, sent):
    again = AtMostOnce().judge(Answer(status, sent=sent)) is RETRY
    assert again == ((not sent and status != 200) or status in (408, 429, 503))


def test_a_redirect_is_a_no_because_a_followed_one_may_lose_the_body():
    assert {AtLeastOnce().judge(Answer(status)) for status in range(300, 400)} == {REJECTED}


def test_an_unassigned_status_above_599_is_tried_again_as_a_servers_fault():
    assert AtLeastOnce().judge(Answer(999)) is RETRY


def test_an_answer_is_unknown_only_where_it_was_sent_and_nothing_was_read():
    known = [Answer(200), Answer(500), Answer(0, sent=False)]
    assert Answer(0).unknown
    assert not any(answer.unknown for answer in known)


def test_the_policies_name_their_rules():
    assert RULES["at-least-once"].judge(Answer(0)) is RETRY
    assert RULES["at-most-once"].judge(Answer(0)) is IN_DOUBT


def test_what_asks_for_patience_is_tried_again_by_both():
    assert {rule.judge(Answer(status)) for rule in RULES.values() for status in TRY_AGAIN} == {RETRY}


# Backoff.


@pytest.mark.parametrize(("attempts", "most"), [(1, 0.2), (2, 0.4), (3, 0.8), (8, 25.6), (9, 30.0), (10**6, 30.0)])
def test_the_backoff_doubles_up_to_its_cap_with_full_jitter(attempts, most):
    chance = random.Random(1)
    waits = [backoff(attempts, None, chance) for _ in range(2000)]
    assert 0 <= min(waits) < 0.02 * most
    assert 0.98 * most < max(waits) <= most
    assert sum(waits) / len(waits) == pytest.approx(most / 2, rel=0.05)


@pytest.mark.parametrize(
    ("asked", "least"), [(None, 0), (0.0, 0), (7.0, 7), (300.0, 300), (1e9, 300), (float("inf"), 300)]
)
def test_retry_after_is_waited_out_before_the_jitter_but_not_for_ever(asked, least):
    chance = random.Random(2)
    waits = [backoff(1, asked, chance) for _ in range(200)]
    assert all(least <= wait <= least + 0.2 for wait in waits)
    assert len(set(waits)) > 100, "those who were turned away together do not come back together"


# Retry-After.

NOW = datetime(1994, 11, 6, 8, 49, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7), ("007", 7), ("9" * 400, LONGEST_RETRY_AFTER_S)]
)
def test_a_retry_after_in_seconds_is_read(value, seconds):
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",  # RFC 9110 5.6.7: IMF-fixdate
        "Sunday, 06-Nov-94 08:49:37 GMT",  # the obsolete RFC 850 format
        "Sun Nov  6 08:49:37 1994",  # the obsolete asctime format
        "Sun, 06 Nov 1994 09:49:37 +0100",  # not HTTP, but clear
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_a_retry_after_as_a_date_is_read_in_every_format(value):
    assert retry_after_s(value, NOW) == 30


def test_a_date_is_held_against_the_present_time_of_any_zone():
    now = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert retry_after_s("Sun, 06 Nov 1994 08:49:37 GMT", now) == 30


def test_a_date_in_the_past_asks_for_no_wait():
    assert retry_after_s("Sun, 06 Nov 1994 08:49:06 GMT", NOW) == 0


@pytest.mark.parametrize(
    "value",
    [
        *[
            "",
            " ",
            "soon",
            "-5",
            "+5",
            "1e3",
            "5 s",
            "5, 10",
            "²",
            "٣",
            "５",
            "\0",
            "Sun",
            "," * 1000,
            "1-1-1-1-1-1",
        ],
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:00:00 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999999999",
        "Sun, 06 Nov 1994 08:49:37 +9999",
        "Sun, 06 Nov 1994",
        "31 Feb 2024 00:00:00 GMT",
    ],
)
def test_a_retry_after_that_nobody_can_read_asks_for_a_second(value):
    assert retry_after_s(value, NOW) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1.5", 2), (" 2.0 ", 2), ("0.2", 1), ("0.0", 1), (".5", 1), ("7.", 7), ("9" * 400 + ".5", LONGEST_RETRY_AFTER_S)],
)
def test_a_retry_after_with_decimals_is_rounded_up_to_a_second_at_least(value, seconds):
    assert retry_after_s(value, NOW) == seconds


def test_no_header_is_no_wish():
    assert retry_after_s(None, NOW) is None


class Raising:
    def __init__(self, what):
        self._what = what

    def judge(self, answer):
        if isinstance(self._what, Exception):
            raise self._what
        return self._what


@pytest.mark.parametrize("what", [LookupError("no such status"), None, "delivered"])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(201, "HTTP 201"), Outcome.IN_DOUBT),
        (Answer(503, "HTTP 503"), Outcome.IN_DOUBT),
        (Answer(0, "timed out"), Outcome.IN_DOUBT),
        (Answer(0, "refused", sent=False), Outcome.RETRY),
    ],
)
def test_what_a_rule_cannot_judge_is_in_doubt_unless_it_was_not_sent(what, answer, outcome):
    seen, found, error = judged(Raising(what), answer)
    assert (seen.status, seen.sent, found) == (answer.status, answer.sent, outcome)
    assert seen.reason.startswith(f"{answer.reason}; the rule that should judge it raised {type(error).__name__}: ")
    assert error is what or isinstance(error, TypeError)


def test_what_a_rule_judges_stays_as_it_is():
    answer = Answer(201, "HTTP 201")
    assert judged(AtLeastOnce(), answer) == (answer, Outcome.DELIVERED, None)
