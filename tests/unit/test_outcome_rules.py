"""What a person wrote of statuses and bodies decides what answers mean, and the policy decides the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.outcome import RULES, Answer, AtLeastOnce, AtMostOnce, Outcome, judged
from traffic.core.outcome_rules import OutcomesError, WrittenRule, read_outcomes, rule_for

DELIVERED, REJECTED, RETRY = Outcome.DELIVERED, Outcome.REJECTED, Outcome.RETRY


def test_a_single_status_beats_its_class_in_whatever_order_they_stand() -> None:
    for text in ("3xx=rejected, 304=delivered", " 304 = delivered,3XX=Rejected ,"):
        read = read_outcomes(text)
        assert (read[304], read[300], read[399], len(read)) == (DELIVERED, REJECTED, REJECTED, 100)
    assert read_outcomes("") == {}
    assert read_outcomes("409=retry, 409=retry") == {409: RETRY}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("409", "'409' is not STATUS=OUTCOME"),
        ("409=in_doubt", "is not STATUS=OUTCOME"),
        ("4x=delivered", "is not STATUS=OUTCOME"),
        ("700=delivered", "is not STATUS=OUTCOME"),
        ("409=delivered 404=delivered", "is not STATUS=OUTCOME"),
        ("409=delivered, 409=retry", "'409=retry' contradicts what was said of 409 before"),
        ("4xx=retry, 4xx=rejected", "'4xx=rejected' contradicts what was said of 4xx before"),
    ],
)
def test_what_is_no_outcome_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(OutcomesError, match=why):
        read_outcomes(text)


@given(st.sampled_from(["at-least-once", "at-most-once"]), st.integers(200, 599), st.booleans(), st.booleans())
def test_what_nobody_wrote_of_is_the_policys(policy: str, status: int, sent: bool, repeat: bool) -> None:
    answer = Answer(status, sent=sent, repeat=repeat)
    rule = rule_for(policy, "299=rejected")
    assert isinstance(rule, WrittenRule)
    assert rule.judge(answer) is (REJECTED if status == 299 else RULES[rule.policy].judge(answer))
    assert rule_for(policy) is RULES[rule.policy]


def test_a_missing_answer_is_never_what_a_person_wrote() -> None:
    rule = rule_for("at-least-once", "2xx=rejected, 5xx=delivered", "/errors", "/saved")
    assert rule.judge(Answer(0)) is RETRY
    assert rule_for("at-most-once", "5xx=delivered", "/errors", "/saved").judge(Answer(0)) is Outcome.IN_DOUBT


THERE = [b'{"e": ["no"]}', b'{"e": "no"}', b'{"e": 1}', b'{"e": true}', b'{"e": {"a": null}}', b'{"e": 0.1}']
NOT_THERE = [b'{"e": []}', b'{"e": ""}', b'{"e": 0}', b'{"e": false}', b'{"e": {}}', b'{"e": null}', b"{}", b"[]", b"7"]
NO_JSON = [b"", b"<html>", b'{"e": ', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("body", [*THERE, *NOT_THERE, *NO_JSON])
def test_the_body_decides_where_the_status_says_delivered_or_rejected(body: bytes) -> None:
    there = body in THERE
    reject, deliver = rule_for("at-least-once", reject_if="/e"), rule_for("at-least-once", deliver_if="/e")
    ok, bad, later = (Answer(status, f"HTTP {status}", body=body) for status in (200, 422, 503))
    assert reject.judge(ok) is (REJECTED if there else DELIVERED)
    assert deliver.judge(ok) is (DELIVERED if there else REJECTED)
    assert reject.judge(bad) is REJECTED
    assert deliver.judge(bad) is (DELIVERED if there else REJECTED)
    assert reject.judge(later) is deliver.judge(later) is RETRY


def test_a_dead_letter_says_that_it_was_the_body() -> None:
    ok = Answer(200, "HTTP 200", body=b'{"errors": ["no"]}')
    found, outcome, fault = judged(rule_for("at-least-once", reject_if="/errors", deliver_if="/saved"), ok)
    assert (found.reason, outcome, fault) == ("HTTP 200, and /errors is there", REJECTED, None)
    found, outcome, _ = judged(rule_for("at-least-once", deliver_if="/saved"), ok)
    assert (found.reason, outcome) == ("HTTP 200, and /saved is not there", REJECTED)
    bad = Answer(422, "HTTP 422", body=b'{"errors": ["no"]}')
    assert judged(rule_for("at-least-once", reject_if="/errors"), bad)[0].reason == "HTTP 422"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(409), REJECTED),
        (Answer(409, repeat=True), RETRY),
        (Answer(409, retry_after=1.0), RETRY),
        (Answer(422, repeat=True), REJECTED),
    ],
)
def test_409_to_a_repeat_may_be_about_the_request_before_it(answer: Answer, outcome: Outcome) -> None:
    assert AtLeastOnce().judge(answer) is outcome
    assert AtMostOnce().judge(answer) is REJECTED
    assert rule_for("at-least-once", "409=delivered").judge(answer) is (DELIVERED if answer.status == 409 else REJECTED)
