import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stub.faults import (
    MAX_PLAN_LENGTH,
    NO_FAULTS,
    PLAN_PATTERN,
    Draw,
    FaultPlan,
    FaultPlanError,
    RequestCounter,
    read_plan,
)

PIECES = (
    *("none", "latency", "error", "hang", "close", "reset", "cut", "retry-after", "attempts", "-after", "long:"),
    *("=", "-", "@", ",", " ", ".", "0", "1", "0.5", "503", "200", "61"),
)
BEYOND = "more than 1|from 0 to 1|up to 60|a whole number from"


def draws(plan: FaultPlan, seed: int = 0, keys: int = 10_000) -> list[Draw]:
    return [plan.draw(seed, f"run-{i}", 1) for i in range(keys)]


def names(plan: FaultPlan, seed: int = 0) -> list[str | None]:
    return [draw.fault.name if draw.fault else None for draw in draws(plan, seed)]


def test_without_words_nothing_happens() -> None:
    assert read_plan("") == read_plan("none") == NO_FAULTS
    assert set(draws(NO_FAULTS)) == {Draw()}


def test_a_fault_without_a_share_is_met_by_all() -> None:
    assert set(names(read_plan("reset-after"))) == {"reset-after"}


@pytest.mark.parametrize(
    "word",
    ["error=503", "error-after=500", "hang", "hang-after", "close", "close-after", "reset", "reset-after", "cut"],
)
def test_each_word_names_its_fault(word: str) -> None:
    (fault,) = read_plan(f"{word}@0.5").faults
    assert fault.name == word.partition("=")[0]
    assert fault.after == (word.partition("=")[0].endswith("-after") or word == "cut")
    assert fault.status == (int(word[-3:]) if "=" in word else None)


def test_shares_are_kept_and_exclude_each_other() -> None:
    met = names(read_plan("error=503@0.2, reset@0.1, cut@0.05"))
    assert abs(met.count("error") - 2000) < 200
    assert abs(met.count("reset") - 1000) < 150
    assert abs(met.count("cut") - 500) < 100


def test_what_a_request_meets_depends_on_seed_key_and_turn_not_on_the_order() -> None:
    plan = read_plan("latency=0.1-0.5, error=503@0.5")
    asked = [(f"run-{i}", nth) for i in range(50) for nth in (1, 2)]
    shuffled = Random(1).sample(asked, len(asked))
    assert {a: plan.draw(7, *a) for a in asked} == {a: plan.draw(7, *a) for a in shuffled}
    assert draws(plan, 7) != draws(plan, 8)
    assert len({plan.draw(7, "run-0", nth) for nth in range(1, 20)}) > 1


def test_shares_of_all_may_be_one_though_floats_do_not_add_up() -> None:
    assert None not in names(read_plan(", ".join(f"error={500 + i}@0.1" for i in range(10))))


def test_only_the_first_attempts_are_hurt_where_so_asked() -> None:
    plan = read_plan("reset, latency=1, attempts=2")
    assert [plan.draw(0, "k", nth).fault is not None for nth in (1, 2, 3)] == [True, True, False]
    assert plan.draw(0, "k", 3).latency == 0


def test_latency_is_fixed_uniform_or_long_tailed() -> None:
    assert {f.latency for f in draws(read_plan("latency=0.25"))} == {0.25}
    uniform = sorted(f.latency for f in draws(read_plan("latency=0.1-0.5")))
    assert 0.1 <= uniform[0] < 0.11
    assert 0.29 < uniform[5000] < 0.31
    assert 0.49 < uniform[-1] <= 0.5
    tailed = sorted(f.latency for f in draws(read_plan("latency=long:0.05")))
    assert 0.045 < tailed[5000] < 0.055
    assert 0.4 < tailed[9900] < 0.6
    assert tailed[-1] <= 60


def test_requests_are_counted_by_key_for_the_keys_seen_last() -> None:
    counter = RequestCounter(remembered=2)
    assert [counter.next(key) for key in ("a", "b", "a", "c", "a", "b")] == [1, 1, 2, 1, 3, 1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("explode", "'explode' is no misbehaviour"),
        ("cut-after", "is no misbehaviour"),
        ("error", "an error needs a status"),
        ("error=200", "an error needs a status"),
        ("error=600", "an error needs a status"),
        ("hang=3", "hang takes no value"),
        ("hang@1.5", "a share is from 0 to 1"),
        ("hang@x", "is not of the form"),
        ("hang@1.2.3", "is no number"),
        ("hang@0.6, reset@0.6", "add up to more than 1"),
        ("latency=fast", "is no number"),
        ("latency=0.5-0.1", "the least first"),
        ("latency=0.5-", "is no number"),
        ("latency=61", "up to 60"),
        ("latency", "is no number"),
        ("latency=1@0.5", "is no misbehaviour"),
        ("attempts=0", "from 1"),
        ("retry-after=-1", "whole number from 0"),
        ("none, hang", "is no misbehaviour"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: str, complaint: str) -> None:
    with pytest.raises(FaultPlanError, match=complaint):
        read_plan(words)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join))
def test_what_is_taken_is_what_the_description_says(words: str) -> None:
    words = words.strip(" ")
    try:
        read_plan(words)
    except FaultPlanError:
        return
    assert re.search(PLAN_PATTERN, words)


@given(
    st.from_regex(re.compile(PLAN_PATTERN, re.ASCII), fullmatch=True).filter(
        lambda words: len(words) <= MAX_PLAN_LENGTH
    )
)
def test_what_the_description_says_is_taken_unless_a_number_goes_too_far(words: str) -> None:
    complaint = None
    try:
        read_plan(words.strip(" "))
    except FaultPlanError as e:
        complaint = str(e)
    assert complaint is None or re.search(BEYOND, complaint) or "none" in words
