"""Checks: what may be written, what is measured for each, and when one ends a run."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.histogram import Histogram
from traffic.core.master.checks import Check, CheckError, CheckWatch, Measured, failed_checks, read_checks

COUNTS = {"delivered": 96, "rejected": 3, "in_doubt": 1, "attempts": 150}


def times(*seconds: float) -> Histogram:
    made = Histogram()
    made.add(list(seconds))
    return made


def measured(rate: float | None = 80.0, counts: dict[str, int] = COUNTS) -> Measured:
    latency = times(*(at / 100 for at in range(1, 101)))
    return Measured(latency, times(0.01), Histogram(), rate, -0.02, counts)


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        ("latency.p(99) < 1000", 990, True),
        ("latency.p(99)<900", 990, False),
        ("latency.p(99.9) <= 1000", 1000, True),
        ("latency.med < 500", 500, False),
        ("latency.avg < 506", 505, True),
        ("latency.min >= 10", 10, True),
        ("latency.max == 1000", 1000, True),
        ("service.max < 11", 10, True),
        ("late.p(99) < 5", None, False),
        ("rate > 79.5", 80, True),
        ("rate_error < 1%", 0.02, False),
        ("rate_error < 0.03", 0.02, True),
        ("rejected == 0", 3, False),
        ("rejected.count < 4", 3, True),
        ("rejected.rate < 3%", 0.03, False),
        ("rejected.rate <= 0.03", 0.03, True),
        ("in_doubt != 0", 1, True),
        ("delivered >= 96", 96, True),
        ("attempts.rate < 1.5", 1.5, False),
        ("attempts < 200, abort: 30s", 150, True),
    ],
)
def test_each_metric_is_compared_with_its_bound(text: str, value: float | None, passed: bool) -> None:
    result = Check.read(text).result(measured())
    assert result.value == (None if value is None else pytest.approx(value, rel=0.021))
    assert (result.check, result.passed) == (text, passed)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "a check such as"),
        ("fast", "a check such as"),
        ("latency.p(99) 250", "a check such as"),
        ("latency < 250", "which latency is meant"),
        ("latency.p < 250", "which latency is meant"),
        ("latency.p(101) < 250", "N up to 100"),
        ("latency.count < 250", "which latency is meant"),
        ("late.max(3) < 5", "which late is meant"),
        ("latency.p(99) < 2%", "no % here"),
        ("rejected < 2%", "no % here"),
        ("rejected.p(9) < 2", "rejected, rejected.count or rejected.rate"),
        ("rate.avg > 5", "rate alone"),
        ("errors < 5", "one of latency, service"),
        ("latency.p(99) < 250 abort: soon", "a check such as"),
        ("__class__ < 5", "one of latency"),
    ],
)
def test_what_is_no_check_is_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(CheckError, match=f"^must .*{re.escape(rule)}"):
        Check.read(text)


@given(st.text(alphabet="latencyp.(9)<= >%1abort:s_", max_size=30))
def test_any_text_is_a_check_or_refused(text: str) -> None:
    try:
        check = Check.read(text)
    except CheckError:
        return
    assert check.result(measured()).check == text.strip()


def test_what_was_never_measured_fails() -> None:
    nothing = Measured(Histogram(), Histogram(), Histogram(), None, None, dict.fromkeys(COUNTS, 0))
    texts = [
        "latency.max < 5",
        "latency.avg < 5",
        "rate > 0",
        "rate_error < 5",
        "rejected.rate < 1",
    ]
    assert [Check.read(text).result(nothing).passed for text in texts] == [False] * len(texts)
    assert Check.read("rejected == 0").result(nothing).passed, "that is known"


def test_a_check_ends_a_run_once_it_has_failed_for_so_long_without_a_break() -> None:
    checks, watch = read_checks("rate > 50 abort: 10s\n\nrejected == 0\n"), CheckWatch()
    assert watch.expired(checks, measured(rate=None), 0.0) is None
    assert watch.expired(checks, measured(rate=40), 1.0) is None
    assert watch.expired(checks, measured(rate=60), 9.0) is None
    assert watch.expired(checks, measured(rate=40), 10.0) is None
    assert watch.expired(checks, measured(rate=40), 19.9) is None
    expired = watch.expired(checks, measured(rate=40), 20.0)
    assert expired is not None
    assert expired.to_json() == {"check": "rate > 50 abort: 10s", "value": 40, "passed": False}


def test_a_report_of_a_release_without_checks_has_failed_none() -> None:
    assert failed_checks({}) == failed_checks({"checks": None}) == []
    assert failed_checks({"checks": [{"passed": True}, {"passed": False}]}) == [{"passed": False}]
