"""The order: a bijection, the same from the same seed on every machine (P7), as good as a shuffle."""

import hashlib
import math
from collections import Counter

import numpy as np
import pytest

from traffic.core.order import Order

# Chi-square beyond this many standard deviations of its own is no chance. The seeds are fixed, so nothing flickers.
FAR = 4.0


def shuffled(records: int, seed: int) -> list[int]:
    """The whole order."""
    return Order(records, seed, "random").indexes(np.arange(records)).tolist()


def deviation(counts: list[int], cells: int) -> float:
    """How far `counts`, of `cells` equally likely cells, are from even, in standard deviations of chi-square."""
    even = sum(counts) / cells
    chi_square = sum((count - even) ** 2 for count in counts) / even + (cells - len(counts)) * even
    return (chi_square - (cells - 1)) / math.sqrt(2 * (cells - 1))


@pytest.mark.parametrize("records", [*range(1, 70), 127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 1999, 2000])
def test_every_index_stands_at_exactly_one_position(records):
    for seed in (0, 1, 2, 3, 2**63 - 1):
        assert sorted(shuffled(records, seed)) == list(range(records))


# Written down once. Another machine, Python or numpy must agree, or a resumed run would send other records.
GOLDEN = [
    (1, 5, [0], [0]),
    (2, 0, [0, 1], [0, 1]),
    (2, 1, [0, 1], [1, 0]),
    (10, 0, range(10), [2, 3, 9, 5, 4, 0, 8, 7, 1, 6]),
    (10, 1, range(10), [1, 9, 0, 5, 2, 6, 4, 3, 8, 7]),
    (100, 42, range(10), [18, 63, 97, 17, 53, 66, 39, 74, 59, 71]),
    (10**7, 2**64 - 1, [0, 1, 5 * 10**6, 10**7 - 1], [4898873, 7462584, 1863289, 9149171]),
    (10**12, 7, [0, 1, 5 * 10**11, 10**12 - 1], [191731366931, 941205479130, 656257529304, 728211139322]),
    (2**63, 7, [0, 2**63 - 1], [5152650890486548685, 5807308361063222563]),
    (2**64 - 1, 3, [0, 2**64 - 2], [9802486751550230655, 9346127859592431934]),
]


@pytest.mark.parametrize(("records", "seed", "positions", "indexes"), GOLDEN)
def test_the_order_of_a_seed_is_the_same_on_every_machine(records, seed, positions, indexes):
    assert Order(records, seed, "random").indexes(list(positions)).tolist() == indexes


def test_a_whole_order_is_the_same_on_every_machine():
    packed = Order(1000, 2026, "random").indexes(np.arange(1000)).astype("<u8").tobytes()
    assert hashlib.sha256(packed).hexdigest() == "09e0e9b460060bb0bfe870d2f2eaa98684ac747f471026cdf43b95518f5b2987"


def test_the_order_of_a_file_is_the_identity():
    order = Order(10, 99, "file")
    assert order.indexes(range(10)).tolist() == list(range(10))
    assert order.indexes([7, 7, 0]).tolist() == [7, 7, 0]


def test_one_seed_gives_one_order_and_another_seed_another():
    orders = [shuffled(100, seed) for seed in range(100)]
    assert orders == [shuffled(100, seed) for seed in range(100)]
    assert len({tuple(order) for order in orders}) == 100


def test_seeds_are_taken_modulo_two_to_the_64():
    assert shuffled(100, -1) == shuffled(100, 2**64 - 1)
    assert shuffled(100, 2**64 + 3) == shuffled(100, 3)


@pytest.mark.parametrize("kind", ["random", "file"])
@pytest.mark.parametrize("positions", [[10], [0, 10], [2**63], [2**64 - 1], [2**64], [-1], np.array([-1])])
def test_a_position_outside_the_run_is_an_index_error(kind, positions):
    with pytest.raises(IndexError, match="a run of 10 records"):
        Order(10, 1, kind).indexes(positions)


@pytest.mark.parametrize("kind", ["random", "file"])
def test_indexes_are_unsigned_64_bit_integers_whatever_the_positions_came_as(kind):
    order = Order(300, 1, kind)
    plain = order.indexes([5, 250])
    for positions in ((5, 250), np.array([5, 250], np.uint64), np.array([5, 250], np.int32)):
        made = order.indexes(positions)
        assert made.dtype == np.uint64
        assert made.tolist() == plain.tolist()


@pytest.mark.parametrize("kind", ["random", "file"])
def test_no_positions_have_no_indexes(kind):
    made = Order(300, 1, kind).indexes([])
    assert (made.dtype, made.shape) == (np.uint64, (0,))


def test_one_position_at_a_time_is_the_same_as_all_at_once():
    order = Order(500, 8, "random")
    assert [int(order.indexes([position])[0]) for position in range(500)] == shuffled(500, 8)


@pytest.mark.parametrize("kind", ["random", "file"])
def test_the_positions_handed_in_are_left_as_they_are(kind):
    positions = np.arange(50, dtype=np.uint64)
    order = Order(50, 1, kind)
    order.indexes(positions)[:] = 0
    assert positions.tolist() == list(range(50))


@pytest.mark.parametrize("records", [2, 3, 4, 5])
def test_every_permutation_of_a_few_records_is_equally_likely(records):
    count = Counter(tuple(shuffled(records, seed)) for seed in range(3000))
    assert abs(deviation(list(count.values()), math.factorial(records))) < FAR


@pytest.mark.parametrize("records", [16, 20])
def test_half_of_the_orders_are_odd_permutations(records):
    odd = 0
    for seed in range(1000):
        order = np.array(shuffled(records, seed))
        odd += int(np.triu(order[:, None] > order[None, :], 1).sum()) % 2
    assert abs(deviation([odd, 1000 - odd], 2)) < FAR


@pytest.mark.parametrize(("records", "position"), [(7, 3), (10, 0), (17, 16), (50, 1), (100, 99)])
def test_every_record_is_equally_likely_at_a_position(records, position):
    made = (int(Order(records, seed, "random").indexes([position])[0]) for seed in range(2500))
    assert abs(deviation(list(Counter(made).values()), records)) < FAR


def test_every_pair_of_records_is_equally_likely_at_the_first_two_positions():
    pairs = Counter(tuple(Order(20, seed, "random").indexes([0, 1]).tolist()) for seed in range(4000))
    assert abs(deviation(list(pairs.values()), 20 * 19)) < FAR


def test_neighbours_in_the_file_are_not_neighbours_in_the_order():
    order = np.array(shuffled(100_000, 5), dtype=np.int64)
    correlation = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(correlation) < FAR / math.sqrt(100_000)
    # A shuffle leaves 1 record where it was, on average, and 1 behind its neighbour.
    assert int((order == np.arange(100_000)).sum()) <= 8
    assert int((np.diff(order) == 1).sum()) <= 8


def test_each_tenth_of_the_order_draws_evenly_from_each_tenth_of_the_file():
    order = np.array(shuffled(100_000, 6)).reshape(10, -1) // 10_000
    table = [np.bincount(part, minlength=10).tolist() for part in order]
    even = 1000
    chi_square = sum((count - even) ** 2 / even for row in table for count in row) / 0.9
    assert abs(chi_square - 81) / math.sqrt(2 * 81) < FAR
