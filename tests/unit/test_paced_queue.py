"""Records of a paced run are taken when they are due, in their order, and a backlog is worked off at a bounded rate."""

import pytest

from traffic.core.pace.measures import LateCause
from traffic.core.protocol import Tried
from traffic.core.ranges import RangeSet
from traffic.core.worker.paced_queue import PacedQueue


def queue(times: list[float], spacing: float = 1.0, catch_up: float = 2.0) -> PacedQueue:
    made = PacedQueue(catch_up)
    add(made, times, spacing)
    return made


def add(made: PacedQueue, times: list[float], spacing: float = 1.0, first: int = 0) -> None:
    made.add(((time, first + at, at, b"{}") for at, time in enumerate(times)), spacing, RangeSet(), {})


def taken(made: PacedQueue, second: float, most: int = 100, *, probe: bool = False) -> list[float]:
    return [due for due, _, _ in made.take(second, most, "run", 1, probe=probe)]


def test_nothing_is_taken_before_it_is_due():
    made = queue([1.0, 2.0])
    assert taken(made, 0.999) == []
    assert (made.next_second(), made.count) == (1.0, 2)
    assert taken(made, 1.0) == [1.0]
    assert taken(made, 2.5) == [2.0]
    assert made.next_second() == float("inf")


def test_records_of_several_leases_are_taken_in_the_order_of_their_times():
    made = queue([1.0, 4.0])
    add(made, [2.0, 3.0], first=10)
    assert [record.position for at in range(5) for _, record, _ in made.take(float(at), 9, "run", 1)] == [0, 10, 11, 1]


def test_no_more_are_taken_than_are_wanted():
    made = queue([1.0, 1.0, 1.0])
    assert taken(made, 1.0, most=2) == [1.0, 1.0]


def test_a_backlog_is_worked_off_at_twice_the_rate_until_there_is_none():
    made = queue([float(at) for at in range(20)])
    assert taken(made, 0.0) == [0.0]
    # Nobody took any for ten seconds.
    seconds = [at / 10 for at in range(100, 200)]
    when = {due: second for second in seconds for due in taken(made, second)}
    assert when[1.0] == 10.0
    assert [when[at + 1.0] - when[float(at)] for at in range(1, 17)] == pytest.approx([0.5] * 16, abs=0.051)
    assert (when[18.0], when[19.0]) == pytest.approx((18.5, 19.0), abs=0.051), "it has caught up"


def test_arrivals_that_crowd_by_themselves_are_not_spread():
    times = [0.0, 0.01, 0.02, 5.0, 5.001, 5.002]
    made = queue(times)
    assert [taken(made, time) for time in times] == [[time] for time in times]


def test_what_comes_back_from_another_worker_is_worked_off_at_the_same_rate():
    made = queue([10.0])
    assert taken(made, 10.0) == [10.0]
    add(made, [4.0, 5.0, 6.0], first=10)
    add(made, [11.0], first=20)
    assert taken(made, 10.4) == []
    assert [taken(made, second) for second in (10.5, 11.0, 11.5, 12.0)] == [[4.0], [5.0], [6.0], [11.0]]


def test_a_probe_is_taken_however_much_is_overdue():
    made = queue([1.0, 2.0, 3.0])
    assert taken(made, 3.0, most=1) == [1.0]
    assert taken(made, 3.0) == []
    assert taken(made, 3.0, most=1, probe=True) == [2.0]


def test_a_record_that_another_may_have_sent_is_marked_with_its_attempts():
    made = PacedQueue(2.0)
    tried = {1: Tried(1, 3, outcome_unknown=True)}
    made.add(iter([(0.0, 0, 0, b"a"), (0.0, 1, 1, b"b")]), 0.0, RangeSet([(1, 2)]), tried)
    first, second = (record for _, record, _ in made.take(0.0, 2, "run", 7))
    assert (first.redelivered, first.attempts, first.session) == (False, 1, 7)
    assert (second.redelivered, second.attempts, second.outcome_unknown, second.answered) == (True, 4, True, False)


def test_what_is_dropped_is_named_and_gone():
    made = queue([1.0, 2.0])
    assert made.drop() == RangeSet([(0, 2)])
    assert (made.count, taken(made, 9.0)) == (0, [])


def test_a_record_that_is_late_says_why_if_it_was_late_when_it_came():
    made = PacedQueue(2.0)
    records = [(float(at), at, at, b"{}") for at in range(4)]
    tried = {2: Tried(2, 1, outcome_unknown=False)}
    made.add(iter(records), 0.0, RangeSet([(1, 3)]), tried, second=0.5)
    causes = [cause for _, _, cause in made.take(9.0, 4, "run", 1, probe=True)]
    assert causes == [LateCause.LEASE_LATE, LateCause.WORKER_LOST, LateCause.API_UNREACHABLE, None]


def test_what_is_overdue_is_counted():
    made = queue([1.0, 2.0, 3.0])
    assert [made.overdue(second) for second in (1.0, 2.5, 9.0)] == [0, 2, 3]
