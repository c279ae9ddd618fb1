"""Who is to deliver what: shares equal to within one, and nothing in two remainders or in none."""

import pytest

from traffic.core.master.assignment import Assignment
from traffic.core.ranges import RangeSet


def dealt(records: int, workers: list[str]) -> Assignment:
    """A run's partition at its start."""
    partition = Assignment()
    partition.assign(RangeSet([(0, records)]), workers)
    return partition


def sizes(partition: Assignment) -> dict[str, int]:
    """How much each worker has."""
    return {name: remainder.count for name, remainder in partition.remainders.items()}


@pytest.mark.parametrize("workers", range(1, 12))
@pytest.mark.parametrize("records", [0, 1, 2, 3, 7, 10, 99, 100, 101, 1000, 10**9])
def test_slices_are_equal_to_within_one_record(records, workers):
    names = [f"worker-{nth}" for nth in range(workers)]
    partition = Assignment()
    told = partition.assign(RangeSet([(0, records)]), names)
    assert told == sizes(partition)
    assert sum(told.values()) == partition.pending == records
    assert max(told.values()) - min(told.values()) <= 1


def test_a_hundred_records_over_four_workers_are_25_each():
    assert sizes(dealt(100, ["a", "b", "c", "d"])) == {"a": 25, "b": 25, "c": 25, "d": 25}


def test_a_slice_is_one_range_at_the_start():
    assert [list(one) for one in dealt(10, ["a", "b", "c"]).remainders.values()] == [[(0, 4)], [(4, 7)], [(7, 10)]]


def test_without_a_worker_all_stays_unassigned():
    partition = Assignment()
    assert partition.assign(RangeSet([(0, 10)]), []) == {}
    assert (list(partition.unassigned), partition.pending) == ([(0, 10)], 10)
    assert partition.owner(3) is None


def test_what_is_dealt_later_goes_first_to_those_who_have_least():
    partition = dealt(10, ["a", "b"])
    partition.take(RangeSet([(0, 4)]), "a")
    partition.assign(RangeSet([(20, 23)]), ["b", "a"])
    assert sizes(partition) == {"a": 3, "b": 6}


def test_the_first_to_join_gets_all_that_is_unassigned():
    partition = dealt(10, [])
    assert partition.join("a") == {None: 10}
    assert (sizes(partition), bool(partition.unassigned)) == ({"a": 10}, False)


def test_one_that_joins_gets_an_equal_share_from_the_largest():
    partition = dealt(100, ["a", "b", "c"])
    taken = partition.join("d")
    assert sizes(partition)["d"] == sum(taken.values()) == 25
    assert max(sizes(partition).values()) - min(sizes(partition).values()) <= 1


def test_one_that_joins_takes_nothing_from_those_below_the_share():
    partition = dealt(100, ["a", "b"])
    partition.take(RangeSet([(0, 48)]), "a")
    assert partition.join("c") == {"b": 17}
    assert sizes(partition) == {"a": 2, "b": 33, "c": 17}


def test_joining_where_nothing_is_left_gives_nothing():
    partition = dealt(2, ["a", "b"])
    partition.take(RangeSet([(0, 1)]), "a")
    partition.take(RangeSet([(1, 2)]), "b")
    assert partition.join("c") == {}
    assert sizes(partition)["c"] == 0


def test_a_joiner_takes_from_the_far_end_of_a_slice():
    partition = dealt(10, ["a"])
    partition.join("b")
    assert [list(one) for one in partition.remainders.values()] == [[(0, 5)], [(5, 10)]]


def test_joining_twice_changes_nothing():
    partition = dealt(100, ["a", "b"])
    partition.join("c")
    before = sizes(partition)
    assert partition.join("c") == {}
    assert sizes(partition) == before


def test_one_that_has_run_dry_gets_half_of_the_largest_remainder():
    partition = dealt(90, ["a", "b", "c"])
    partition.take(RangeSet([(0, 30)]), "a")
    partition.take(RangeSet([(30, 50)]), "b")
    assert partition.steal("a", least=1) == ("c", 15)
    assert sizes(partition) == {"a": 15, "b": 10, "c": 15}


def test_a_refill_is_at_least_what_a_lease_takes_so_that_ends_are_not_halved_for_ever():
    partition = dealt(20, ["a", "b"])
    partition.take(RangeSet([(0, 10)]), "a")
    assert partition.steal("a", least=8) == ("b", 8)
    assert partition.steal("a", least=8) == ("b", 2)
    assert partition.steal("a", least=8) is None


def test_a_refill_takes_what_is_unassigned_first():
    partition = dealt(20, ["a", "b"])
    partition.take(RangeSet([(0, 10)]), "a")
    partition.assign(RangeSet([(30, 33)]), [])
    assert partition.steal("a", least=1) == (None, 3)
    assert (sizes(partition), bool(partition.unassigned)) == ({"a": 3, "b": 10}, False)


def test_nobody_else_has_nothing_to_give():
    partition = dealt(5, ["a"])
    partition.take(RangeSet([(0, 5)]), "a")
    assert partition.steal("a", least=1) is None


def test_the_remainder_of_one_that_leaves_is_handed_back_whole():
    partition = dealt(10, ["a", "b"])
    partition.take(RangeSet([(0, 2)]), "a")
    assert list(partition.leave("a")) == [(2, 5)]
    assert sizes(partition) == {"b": 5}
    assert list(partition.leave("stranger")) == []


def test_a_position_is_discarded_wherever_it_is_pending():
    partition = dealt(10, ["a", "b"])
    partition.assign(RangeSet([(20, 22)]), [])
    assert partition.discard(RangeSet([(1, 2), (7, 8), (21, 22)])) == {"a": 1, "b": 1, None: 1}
    assert (sizes(partition), list(partition.unassigned)) == ({"a": 4, "b": 4}, [(20, 21)])
    assert [partition.owner(position) for position in (1, 0, 9, 20)] == [None, "a", "b", None]
