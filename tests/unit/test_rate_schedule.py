"""When the positions of a run are due, at a rate that is changed while it goes."""

import numpy as np
import pytest

from traffic.core.pace.arrivals import EvenArrivals, PoissonArrivals
from traffic.core.pace.profile import Piece, Profile
from traffic.core.pace.schedule import RateSchedule


def test_positions_are_due_at_the_rate():
    schedule = RateSchedule(EvenArrivals(100), Profile.level(10))
    assert schedule.due([0, 1, 99]).tolist() == [0, 0.1, 9.9]
    assert [schedule.before(time) for time in (-5, 0, 0.05, 0.1, 9.9, 50)] == [0, 0, 1, 1, 99, 100]
    assert schedule.rate(3) == 10


def test_a_change_counts_from_its_moment_on_and_moves_nothing_before_it():
    schedule = RateSchedule(EvenArrivals(100), Profile.level(10))
    before = schedule.due(np.arange(20)).tolist()
    schedule.change(2.0, Profile.level(50))
    assert schedule.due(np.arange(20)).tolist() == before
    assert schedule.due([20, 21, 70]).tolist() == pytest.approx([2.0, 2.02, 3.0])
    assert (schedule.rate(1.9), schedule.rate(2.0)) == (10, 50)
    schedule.change(3.0, Profile([Piece(10, 20, 10)]))
    assert schedule.due([70, 80]).tolist() == pytest.approx([3.0, 3.9544511501], abs=1e-9)


@pytest.mark.parametrize("kind", [EvenArrivals, lambda records: PoissonArrivals(records, 3)])
def test_after_any_changes_no_position_is_due_before_an_earlier_one_and_counts_agree_with_times(kind):
    schedule = RateSchedule(kind(5000), Profile([Piece(0, 100, 5)]))
    for time, rate in ((3.33, 7), (4.0, 300), (9.99, 20)):
        schedule.change(time, Profile.level(rate))
    due = schedule.due(np.arange(5000))
    assert bool((np.diff(due) >= -1e-9).all())
    for time in np.linspace(0, float(due[-1]) + 1, 97):
        assert abs(schedule.before(float(time)) - int(np.count_nonzero(due < time))) <= 1


def test_a_profile_that_ends_too_early_is_refused_at_the_start_and_as_a_change():
    with pytest.raises(ValueError, match="ends at 0/s after 50 of 100 records"):
        RateSchedule(EvenArrivals(100), Profile([Piece(10, 0, 10)]))
    schedule = RateSchedule(EvenArrivals(100), Profile.level(10))
    with pytest.raises(ValueError, match="ends at 0/s after 50 of 80 records"):
        schedule.change(2.0, Profile([Piece(10, 0, 10)]))
    assert schedule.due([99]).tolist() == [9.9]
    schedule.change(6.0, Profile([Piece(10, 0, 10)]))  # forty are left


def test_a_break_in_the_profile_is_one_in_the_schedule():
    schedule = RateSchedule(EvenArrivals(10), Profile([Piece(5, 5, 1), Piece(0, 0, 60), Piece(5, 5, 1)]))
    assert schedule.due([4, 5]).tolist() == pytest.approx([0.8, 61.0])
    assert [schedule.before(time) for time in (1.0, 30.0, 61.0, 61.1)] == [5, 5, 5, 6]
