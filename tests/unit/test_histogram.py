"""Times in buckets: quantiles within 2%, and sums that are those of all times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.histogram import GROWTH, LEAST_S, Histogram
from traffic.core.pace.measures import PaceMeasures
from traffic.core.wire import ProtocolError

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


def of(times: list[float]) -> Histogram:
    made = Histogram()
    made.add(times)
    return made


@given(TIMES, st.floats(0, 1))
def test_a_quantile_is_at_most_two_percent_above_the_true_one_and_never_below(times, share):
    true = sorted(times)[max(0, int(np.ceil(share * len(times))) - 1)]
    found = of(times).quantile(share)
    assert found is not None
    assert true * (1 - 1e-9) <= found <= max(LEAST_S, true * GROWTH) * (1 + 1e-9)
    assert found <= max(times)


@given(TIMES, TIMES)
def test_histograms_add_up_to_that_of_all_times(one, other):
    both = of(one)
    both.update(of(other))
    assert both == of(one + other)
    assert both.total == len(one) + len(other)


@given(TIMES)
def test_it_comes_back_from_the_wire_as_it_was(times):
    assert Histogram.from_wire(of(times).to_wire()) == of(times)


@pytest.mark.parametrize(
    "bad", [[0.0], [0.0, 0.0, [1]], [0.0, 0.0, [1, -1]], [0.0, 0.0, [9999, 1]], ["", 0.0, []], [0.0, "", []], 7]
)
def test_what_is_no_histogram_is_refused(bad):
    with pytest.raises((ProtocolError, ValueError)):
        Histogram.from_wire(bad)


def test_without_times_there_is_no_quantile():
    assert Histogram().quantile(0.5) is None
    assert of([]).total == 0


def test_the_buckets_of_a_metric_are_cumulative():
    assert of([0.0005, 0.003, 0.003, 0.7, 9.0]).cumulative([0.001, 0.01, 1.0]) == [1, 3, 4]


def test_a_copy_does_not_change_with_the_original():
    times = of([0.5])
    copy = times.copy()
    times.add([1.0])
    assert (copy.total, copy.most) == (1, 0.5)


@pytest.mark.parametrize("bad", [[1, 2.0], [1, 2.0, [0.0, []], [0.0, []], [1, 2], [0] * 5], "x"])
def test_what_are_no_measures_is_refused(bad):
    with pytest.raises((ProtocolError, ValueError)):
        PaceMeasures.from_wire(bad)
