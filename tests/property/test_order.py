"""The order is a bijection for every number of records and every seed (P7)."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from traffic.core.order import Order

seeds = st.integers(-(2**70), 2**70)


@given(records=st.integers(1, 3000), seed=seeds)
def test_all_positions_have_different_indexes(records, seed):
    made = Order(records, seed, "random").indexes(np.arange(records))
    assert np.array_equal(np.sort(made), np.arange(records))


@settings(max_examples=10)
@given(records=st.integers(3000, 1_000_000), seed=seeds)
def test_all_positions_of_a_large_run_have_different_indexes(records, seed):
    made = Order(records, seed, "random").indexes(np.arange(records))
    assert int(made.max()) == records - 1
    assert bool((np.bincount(made.astype(np.int64), minlength=records) == 1).all())


@given(data=st.data(), records=st.integers(1, 2**64 - 1), seed=seeds)
def test_any_positions_of_any_run_have_indexes_in_it_and_different_ones(data, records, seed):
    positions = data.draw(st.lists(st.integers(0, records - 1), unique=True, max_size=50))
    made = Order(records, seed, "random").indexes(positions).tolist()
    assert len(set(made)) == len(positions)
    assert all(index < records for index in made)


@given(data=st.data(), records=st.integers(1, 10**6), seed=seeds)
def test_how_positions_are_asked_for_makes_no_difference(data, records, seed):
    positions = data.draw(st.lists(st.integers(0, records - 1), min_size=1, max_size=20))
    order = Order(records, seed, "random")
    singly = [int(order.indexes([position])[0]) for position in positions]
    assert Order(records, seed, "random").indexes(positions).tolist() == singly
