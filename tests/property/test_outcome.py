"""A server may say what it likes: the waits stay in their bounds."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from traffic.core.outcome import BACKOFF_CAP_S, LONGEST_RETRY_AFTER_S, RETRY_AFTER_CAP_S, backoff, retry_after_s

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
pieces = st.sampled_from(
    ["Sun", "Sunday", ",", " ", "06", "-", "Nov", "1994", "94", "08:49:37", ":", "GMT", "+0100", "²"]
)
values = st.text(max_size=40) | st.lists(pieces, max_size=12).map("".join) | st.lists(pieces, max_size=8).map(" ".join)


@given(value=values)
def test_no_header_breaks_the_reader(value):
    seconds = retry_after_s(value, NOW)
    assert seconds is None or seconds >= 0


@given(seconds=st.integers(0, 10**30))
def test_seconds_are_read_as_they_stand_up_to_a_hundred_years(seconds):
    assert retry_after_s(str(seconds), NOW) == min(float(seconds), LONGEST_RETRY_AFTER_S)


@given(ahead=st.integers(-(10**6), 10**9))
def test_a_date_is_read_to_the_second(ahead):
    date = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert retry_after_s(date, NOW) == max(0, ahead)


@given(attempts=st.integers(1, 10**9), asked=st.none() | st.floats(0, allow_nan=False), seed=st.integers(0, 99))
def test_a_wait_is_never_longer_than_both_caps(attempts, asked, seed):
    wait = backoff(attempts, asked, random.Random(seed))
    least = min(asked or 0.0, RETRY_AFTER_CAP_S)
    assert least <= wait <= least + BACKOFF_CAP_S
