"""How records are spread: Poisson arrivals pass the tests that statistics has for them."""

import numpy as np
import pytest

from traffic.core.pace.arrivals import BLOCK, EvenArrivals, PoissonArrivals, arrivals

RECORDS = 3 * BLOCK + 5000

# Of seed 42: the first two, the last of a whole block, and the first and the last of a block of three.
FIXED = [4.111266806678461, 4.745674933268109, 16383.49643351553, 16384.68496409944, 16385.795684578934]


@pytest.fixture(scope="module")
def poisson():
    return PoissonArrivals(RECORDS, seed=7).at(np.arange(RECORDS))


def test_even_arrivals_are_one_after_another():
    assert EvenArrivals(5).at([0, 3]).tolist() == [0, 3]
    assert [EvenArrivals(5).before(time) for time in (-1, 0, 0.5, 1, 4.5, 9)] == [0, 0, 1, 1, 5, 5]


def test_every_block_has_exactly_its_arrivals(poisson):
    counts = np.bincount((poisson // BLOCK).astype(int))
    assert counts.tolist() == [BLOCK, BLOCK, BLOCK, 5000]
    assert bool((np.diff(poisson) >= 0).all())


def test_within_a_block_they_are_uniform(poisson):
    for block in range(3):
        sample = poisson[block * BLOCK : (block + 1) * BLOCK] / BLOCK - block
        steps = np.arange(1, BLOCK + 1) / BLOCK
        # Kolmogorov and Smirnov's distance; above 1.63/sqrt(n) in one of 100 samples that are uniform.
        distance = max(float((steps - sample).max()), float((sample - steps + 1 / BLOCK).max()))
        assert distance < 1.63 / np.sqrt(BLOCK)


def test_the_number_in_a_time_varies_as_much_as_its_mean(poisson):
    for window in (1, 10):
        counts = np.bincount((poisson[: 3 * BLOCK] // window).astype(int), minlength=3 * BLOCK // window)
        freedom = len(counts) - 1
        index = float(counts.var(ddof=1) / counts.mean())
        # (n-1)V/M is near to a chi-squared variable, which is near to a normal one: 2.576 deviations hold 99 of 100.
        assert abs(index - (1 - window / BLOCK)) < 2.576 * np.sqrt(2 / freedom)


def test_gaps_do_not_follow_from_each_other(poisson):
    gaps = np.diff(poisson[:BLOCK])
    correlation = float(np.corrcoef(gaps[:-1], gaps[1:])[0, 1])
    assert abs(correlation) < 2.576 / np.sqrt(BLOCK)


def test_a_part_is_what_it_is_in_the_whole(poisson):
    positions = [RECORDS - 1, 0, BLOCK, BLOCK - 1, 2 * BLOCK + 77]
    assert PoissonArrivals(RECORDS, seed=7).at(positions).tolist() == poisson[positions].tolist()


@pytest.mark.parametrize("records", [1, 2, BLOCK, BLOCK + 1])
def test_any_number_of_records_is_spread(records):
    made = PoissonArrivals(records, seed=3)
    times = made.at(np.arange(records))
    assert bool((times >= 0).all())
    assert bool((times < records).all())
    assert [made.before(time) for time in (0.0, records, 2.0 * records)] == [0, records, records]


def test_how_many_are_due_before_a_time_is_what_their_times_say(poisson):
    made = PoissonArrivals(RECORDS, seed=7)
    for time in (0.3, 17.0, BLOCK - 0.01, float(BLOCK), 2.5 * BLOCK, float(poisson[100]), RECORDS - 0.5):
        assert made.before(time) == int(np.count_nonzero(poisson < time))


def test_another_seed_makes_other_arrivals_and_any_integer_is_one():
    first, other = (PoissonArrivals(100, seed).at(np.arange(100)) for seed in (7, 8))
    assert first.tolist() != other.tolist()
    assert PoissonArrivals(100, -(2**70)).at([0]).shape == (1,)


def test_the_arrivals_of_a_seed_stay_what_they_are_from_release_to_release():
    assert np.allclose(PoissonArrivals(BLOCK + 3, 42).at([0, 1, BLOCK - 1, BLOCK, BLOCK + 2]), FIXED, rtol=1e-9)


def test_an_option_names_them():
    assert isinstance(arrivals("even", 3, 1), EvenArrivals)
    assert isinstance(arrivals("poisson", 3, 1), PoissonArrivals)
