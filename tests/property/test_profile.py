"""A profile and its inverse agree, whatever its pieces are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.pace.profile import Piece, Profile

rates = st.one_of(st.just(0.0), st.floats(0.01, 5000))
pieces = st.builds(Piece, rates, rates, st.floats(0.01, 3600))
profiles = st.builds(Profile, st.lists(pieces, min_size=1, max_size=6))


@given(profile=profiles, shares=st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_so_many_are_due_by_the_time_at_which_the_next_is(profile, shares):
    most = min(profile.records, 1e7)
    counts = np.array(shares) * most * 0.999
    if not most:
        return
    assert np.allclose(profile.due_by(profile.times(counts)), counts, rtol=1e-9, atol=1e-6)


@given(profile=profiles, times=st.lists(st.floats(0, 20_000), min_size=2, max_size=50))
def test_never_fewer_are_due_later(profile, times):
    assert bool((np.diff(profile.due_by(np.sort(times))) >= -1e-6).all())


@given(profile=profiles, shares=st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_a_later_record_is_never_due_earlier(profile, shares):
    if most := min(profile.records, 1e7):
        assert bool((np.diff(profile.times(np.sort(shares) * most * 0.999)) >= -1e-6).all())


@given(profile=profiles)
def test_what_is_due_is_the_area_below_the_rate(profile):
    end = sum(piece.seconds for piece in profile.pieces)
    steps = 20_000
    times = (np.arange(steps) + 0.5) * (end / steps)
    area = float(profile.rates(times).sum()) * end / steps
    due = float(profile.due_by([end])[0])
    # The midpoint rule errs only in the steps in which one piece ends and another begins.
    assert due == pytest.approx(area, abs=len(profile.pieces) * 5000 * end / steps + 1e-6)
