"""What a worker asks for, and what a lease carries, for any terms, users and records."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.lease_sizing import (
    feed_target,
    low_watermark,
    most_records,
    records_that_fit,
    records_to_ask_for,
)
from traffic.core.lease_terms import LeaseTerms

counts = st.integers(0, 100_000)
terms = st.builds(
    lambda records, size, window: replace(LeaseTerms(), lease_records=records, lease_bytes=size, window_records=window),
    *[st.integers(1, 1 << 20)] * 3,
)
policies = st.sampled_from(["at-least-once", "at-most-once"])


@given(terms, policies, counts, counts)
def test_a_feed_holds_no_more_than_the_window(given_terms: LeaseTerms, policy: str, users: int, rate: int) -> None:
    most = users if policy == "at-most-once" else given_terms.window_records
    assert feed_target(given_terms, policy, users=users, records_per_s=rate) <= most


@given(counts, counts)
def test_a_feed_of_a_slow_worker_holds_two_records_for_each_user(users: int, rate: int) -> None:
    wide = replace(LeaseTerms(), window_records=1 << 30)
    target = feed_target(wide, "at-least-once", users=users, records_per_s=rate)
    assert target == max(2 * users, rate)


@given(counts, counts)
def test_a_worker_asks_for_what_is_missing_once_half_is_gone(target: int, waiting: int) -> None:
    asked = records_to_ask_for(target, waiting)
    assert asked == (target - waiting if waiting <= low_watermark(target) else 0)
    assert asked == 0 or asked >= target - target // 2


@given(terms, st.lists(st.integers(0, 1 << 21), min_size=1, max_size=50))
def test_a_lease_carries_as_many_records_as_fit_and_one_more_would_not(
    given_terms: LeaseTerms, sizes: list[int]
) -> None:
    fits = records_that_fit(given_terms, np.array(sizes, dtype=np.uint32))
    assert 1 <= fits <= len(sizes)
    assert fits == 1 or sum(sizes[:fits]) <= given_terms.lease_bytes
    assert fits == len(sizes) or sum(sizes[: fits + 1]) > given_terms.lease_bytes


@given(terms, counts)
def test_a_lease_carries_no_more_than_was_asked_for(given_terms: LeaseTerms, asked: int) -> None:
    assert most_records(given_terms, asked) == min(asked, given_terms.lease_records)
