"""When records are due at a rate that changes: values that were worked out by hand."""

import numpy as np
import pytest

from traffic.core.pace.profile import Piece, Profile


def test_at_one_rate_records_are_due_at_equal_distances_from_the_first_at_once():
    assert Profile.level(50).times([0, 1, 2, 100]).tolist() == [0, 0.02, 0.04, 2]


def test_on_a_ramp_from_nothing_the_count_grows_with_the_square_of_the_time():
    ramp = Profile([Piece(0, 10, 10)])
    assert ramp.due_by([0, 2, 10]).tolist() == [0, 2, 50]
    assert ramp.times([0, 2, 50, 60]).tolist() == [0, 2, 10, 11]


def test_a_ramp_down_to_nothing_ends():
    ramp = Profile([Piece(10, 0, 10)])
    assert ramp.records == 50
    assert ramp.times([0, 48]).tolist() == [0, 8]
    with pytest.raises(ValueError, match="only 50 records"):
        ramp.times([50])


def test_nothing_is_due_in_a_break_and_the_next_record_is_due_at_its_end():
    broken = Profile([Piece(5, 5, 2), Piece(0, 0, 30), Piece(1, 1, 1)])
    assert broken.times([9, 10, 11]).tolist() == [1.8, 32, 33]
    assert broken.due_by([2, 20, 32]).tolist() == [10, 10, 10]


def test_a_profile_that_begins_with_a_break_begins_late():
    assert Profile([Piece(0, 0, 30), Piece(10, 10, 1)]).times([0, 5]).tolist() == [30, 30.5]


def test_the_last_rate_holds():
    profile = Profile([Piece(0, 100, 10)])
    assert profile.times([500, 600]).tolist() == [10, 11]
    assert profile.rates([0, 5, 10, 1000]).tolist() == [0, 50, 100, 100]


def test_what_was_due_before_the_schedule_began_is_nothing():
    assert Profile.level(5).due_by([-3]).tolist() == [0]


@pytest.mark.parametrize(
    "values", [(-1, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, -1), (float("nan"), 1, 1), (1, float("inf"), 1)]
)
def test_what_is_no_piece_is_refused(values):
    with pytest.raises(ValueError, match="no piece"):
        Piece(*values)


def test_a_profile_without_a_piece_and_a_rate_of_nothing_are_refused():
    with pytest.raises(ValueError, match="needs a piece"):
        Profile([])
    with pytest.raises(ValueError, match="no rate"):
        Profile.level(0)


def test_ten_million_records_are_due_on_time():
    assert np.allclose(Profile.level(1000).times([9_999_999]), [9999.999], rtol=1e-12)
