"""Who is to deliver what: shares equal to within one, and nothing in two remainders or in none."""

import pytest

from traffic.core.master.assignment import Assignment
from traffic.core.ranges import RangeSet


def fresh_assignment(records: int, workers: list[str]) -> Assignment:
    """A run's partition at its start."""
    assignment = Assignment()
    assignment.assign(RangeSet([(0, records)]), workers)
    return assignment


def sizes(assignment: Assignment) -> dict[str, int]:
    """How much each worker has."""
    return {name: remainder.count for name, remainder in assignment.remainders.items()}


@pytest.mark.parametrize("workers", range(1, 12))
@pytest.mark.parametrize("records", [0, 1, 2, 3, 7, 10, 99, 100, 101, 1000, 10**9])
def test_slices_are_equal_to_within_one_record(records, workers):
    names = [f"worker-{nth}" for nth in range(workers)]
    assignment = Assignment()
    reported = assignment.assign(RangeSet([(0, records)]), names)
    assert reported == sizes(assignment)
    assert sum(reported.values()) == assignment.pending == records
    assert max(reported.values()) - min(reported.values()) <= 1


def test_a_hundred_records_over_four_workers_are_25_each():
    assert sizes(fresh_assignment(100, ["a", "b", "c", "d"])) == {"a": 25, "b": 25, "c": 25, "d": 25}


def test_a_slice_is_one_range_at_the_start():
    assert [list(one) for one in fresh_assignment(10, ["a", "b", "c"]).remainders.values()] == [
        [(0, 4)],
        [(4, 7)],
        [(7, 10)],
    ]


def test_without_a_worker_all_stays_unassigned():
    assignment = Assignment()
    assert assignment.assign(RangeSet([(0, 10)]), []) == {}
    assert (list(assignment.unassigned), assignment.pending) == ([(0, 10)], 10)
    assert not assignment.remainders


def test_what_is_dealt_later_goes_first_to_those_who_have_least():
    assignment = fresh_assignment(10, ["a", "b"])
    assignment.remove(RangeSet([(0, 4)]), "a")
    assignment.assign(RangeSet([(20, 23)]), ["b", "a"])
    assert sizes(assignment) == {"a": 3, "b": 6}


def test_the_first_to_join_gets_all_that_is_unassigned():
    assignment = fresh_assignment(10, [])
    assert assignment.join("a") == {None: 10}
    assert (sizes(assignment), bool(assignment.unassigned)) == ({"a": 10}, False)


def test_one_that_joins_gets_an_equal_share_from_the_largest():
    assignment = fresh_assignment(100, ["a", "b", "c"])
    taken = assignment.join("d")
    assert sizes(assignment)["d"] == sum(taken.values()) == 25
    assert max(sizes(assignment).values()) - min(sizes(assignment).values()) <= 1


def test_one_that_joins_takes_nothing_from_those_below_the_share():
    assignment = fresh_assignment(100, ["a", "b"])
    assignment.remove(RangeSet([(0, 48)]), "a")
    assert assignment.join("c") == {"b": 17}
    assert sizes(assignment) == {"a": 2, "b": 33, "c": 17}


def test_joining_where_nothing_is_left_gives_nothing():
    assignment = fresh_assignment(2, ["a", "b"])
    assignment.remove(RangeSet([(0, 1)]), "a")
    assignment.remove(RangeSet([(1, 2)]), "b")
    assert assignment.join("c") == {}
    assert sizes(assignment)["c"] == 0


def test_a_joiner_takes_from_the_far_end_of_a_slice():
    assignment = fresh_assignment(10, ["a"])
    assignment.join("b")
    assert [list(one) for one in assignment.remainders.values()] == [[(0, 5)], [(5, 10)]]


def test_joining_twice_changes_nothing():
    assignment = fresh_assignment(100, ["a", "b"])
    assignment.join("c")
    before = sizes(assignment)
    assert assignment.join("c") == {}
    assert sizes(assignment) == before


def test_one_that_has_run_dry_gets_half_of_the_largest_remainder():
    assignment = fresh_assignment(90, ["a", "b", "c"])
    assignment.remove(RangeSet([(0, 30)]), "a")
    assignment.remove(RangeSet([(30, 50)]), "b")
    assert assignment.steal("a", least=1) == ("c", 15)
    assert sizes(assignment) == {"a": 15, "b": 10, "c": 15}


def test_a_refill_is_at_least_what_a_lease_takes_so_that_ends_are_not_halved_for_ever():
    assignment = fresh_assignment(20, ["a", "b"])
    assignment.remove(RangeSet([(0, 10)]), "a")
    assert assignment.steal("a", least=8) == ("b", 8)
    assert assignment.steal("a", least=8) == ("b", 2)
    assert assignment.steal("a", least=8) is None


def test_a_refill_takes_what_is_unassigned_first():
    assignment = fresh_assignment(20, ["a", "b"])
    assignment.remove(RangeSet([(0, 10)]), "a")
    assignment.assign(RangeSet([(30, 33)]), [])
    assert assignment.steal("a", least=1) == (None, 3)
    assert (sizes(assignment), bool(assignment.unassigned)) == ({"a": 3, "b": 10}, False)


def test_nobody_else_has_nothing_to_give():
    assignment = fresh_assignment(5, ["a"])
    assignment.remove(RangeSet([(0, 5)]), "a")
    assert assignment.steal("a", least=1) is None


def test_the_remainder_of_one_that_leaves_is_handed_back_whole():
    assignment = fresh_assignment(10, ["a", "b"])
    assignment.remove(RangeSet([(0, 2)]), "a")
    assert list(assignment.leave("a")) == [(2, 5)]
    assert sizes(assignment) == {"b": 5}
    assert list(assignment.leave("stranger")) == []


def test_a_position_is_discarded_wherever_it_is_pending():
    assignment = fresh_assignment(10, ["a", "b"])
    assignment.assign(RangeSet([(20, 22)]), [])
    assert assignment.discard(RangeSet([(1, 2), (7, 8), (21, 22)])) == {"a": 1, "b": 1, None: 1}
    assert (sizes(assignment), list(assignment.unassigned)) == ({"a": 4, "b": 4}, [(20, 21)])
    assert {name: list(remainder) for name, remainder in assignment.remainders.items()} == {
        "a": [(0, 1), (2, 5)],
        "b": [(5, 7), (8, 10)],
    }
