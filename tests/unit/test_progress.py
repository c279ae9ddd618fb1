"""Rate and remaining time, from what was settled in the last ten seconds."""

import pytest

from traffic.core.master.progress import SPAN_S, Progress


def seen(*looks: tuple[int, float]) -> Progress:
    """A progress that was noted so: records settled, and when."""
    progress = Progress()
    for settled, now in looks:
        progress.note(settled, now)
    return progress


def test_before_two_looks_nothing_is_known():
    assert (seen().rate, seen().eta_s(5)) == (0.0, None)
    assert (seen((3, 1.0)).rate, seen((3, 1.0)).eta_s(5)) == (0.0, None)


def test_the_rate_is_what_was_settled_between_the_looks():
    assert seen((0, 100.0), (50, 102.0)).rate == 25.0


def test_two_looks_at_one_time_say_nothing():
    assert seen((0, 5.0), (9, 5.0)).rate == 0.0


def test_only_the_last_ten_seconds_count():
    progress = seen(*((1000 if second else 0, float(second)) for second in range(30)))
    assert progress.rate == 0.0
    progress.note(1005, 30.0)
    assert progress.rate == 0.5


def test_a_look_of_exactly_ten_seconds_ago_still_counts():
    assert seen((0, 0.0), (100, SPAN_S)).rate == 10.0


def test_after_a_long_silence_the_rate_begins_anew():
    progress = seen((0, 0.0), (10, 1.0), (20, 60.0))
    assert progress.rate == 0.0


def test_what_is_kept_does_not_grow_with_the_run():
    progress = seen(*((second, second / 4) for second in range(10_000)))
    assert len(progress._seen) <= 4 * SPAN_S + 1
    assert progress.rate == pytest.approx(4.0)


def test_the_rest_takes_as_long_as_it_does_at_this_rate():
    progress = seen((0, 0.0), (50, 2.0))
    assert progress.eta_s(100) == 4.0


def test_nothing_left_takes_no_time_even_where_nothing_moves():
    assert seen().eta_s(0) == 0.0
