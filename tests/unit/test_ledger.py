"""The ledger's own accounts, as far as tests/unit/test_coordinator.py does not show them."""

import tracemalloc
from unittest.mock import patch

import pytest

from traffic.core.master.dead_letters import DeadLetters
from traffic.core.master.invariants import check_ledger
from traffic.core.master.ledger import Ledger
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, RecordState


def a_ledger(records: int = 20) -> Ledger:
    """A ledger, all of it in the custody of one worker."""
    ledger = Ledger(records)
    ledger.assign(["w1"])
    ledger.lease("w1", RangeSet([(0, records)]))
    return ledger


def test_deliveries_that_are_said_again_are_no_news_and_are_not_looked_at_one_by_one() -> None:
    ledger = a_ledger()
    ledger.record_delivered("w1", RangeSet([(0, 15)]))
    with patch.object(RangeSet, "members", side_effect=AssertionError("looked at one by one")):
        newly = ledger.record_delivered("w1", RangeSet([(0, 18)]))
    assert newly == RangeSet([(15, 18)])
    assert ledger.repeats == 15
    assert ledger.shares["w1"].delivered == 18
    check_ledger(ledger)


def test_among_deliveries_that_are_said_again_those_that_overrule_a_dead_letter_are_news() -> None:
    ledger = a_ledger()
    ledger.record_delivered("w1", RangeSet([(0, 4), (6, 10)]))
    ledger.record_failure(RangeSet([(5, 6)]), Cause(RecordState.REJECTED, 1, 422, "HTTP 422", "w1"))
    assert ledger.record_delivered("w1", RangeSet([(0, 10)])) == RangeSet([(4, 6)])
    assert ledger.repeats == 9
    assert not ledger.dead
    assert ledger.counts[RecordState.DELIVERED] == 10
    check_ledger(ledger)


@pytest.mark.parametrize("delivered", [[], [(0, 1)], [(19, 20)], [(0, 20)], [(3, 7), (8, 9), (12, 20)]])
def test_the_positions_of_a_state_are_found_at_either_end_and_between(delivered: list[tuple[int, int]]) -> None:
    ledger = a_ledger()
    ledger.record_delivered("w1", RangeSet(delivered))
    assert ledger.positions(RecordState.DELIVERED) == RangeSet(delivered)
    assert ledger.positions(RecordState.LEASED) == RangeSet([(0, 20)]).minus(RangeSet(delivered))
    assert ledger.positions(RecordState.LEASED, RecordState.DELIVERED) == RangeSet([(0, 20)])
    assert ledger.positions(RecordState.PENDING) == RangeSet()


def test_the_search_for_positions_takes_a_few_bytes_a_record() -> None:
    records = 1_000_000
    ledger = a_ledger(records)
    tracemalloc.start()
    try:
        ledger.positions(RecordState.PENDING, RecordState.LEASED)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * records


def test_a_hundred_thousand_that_are_rejected_alike_are_booked_without_an_object_a_record() -> None:
    records = 100_000
    ledger = a_ledger(records)
    cause = Cause(RecordState.REJECTED, 1, 400, "HTTP 400", "w1")
    tracemalloc.start()
    try:
        with patch.object(RangeSet, "members", side_effect=AssertionError("looked at one by one")):
            assert ledger.record_failure(RangeSet([(0, records)]), cause) == RangeSet([(0, records)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * records
    assert len(ledger.dead) == ledger.shares["w1"].rejected == records
    assert ledger.dead[99_999] == cause.of(99_999)


def test_dead_letters_are_a_mapping_by_position() -> None:
    dead = DeadLetters(10)
    assert (dead, list(dead), 3 in dead, dead.places().tolist()) == ({}, [], False, [])
    cause, other = (Cause(RecordState.REJECTED, 1, status, "no", "w1") for status in (400, 422))
    dead.put(RangeSet([(2, 4), (9, 10)]), cause)
    dead.put(RangeSet([(4, 5)]), other)
    kept = dead.copy()
    assert dict(dead) == {2: cause.of(2), 3: cause.of(3), 4: other.of(4), 9: cause.of(9)}
    assert dead.by_cause(RangeSet([(0, 10)])) == [
        (RangeSet([(2, 4), (9, 10)]), cause),
        (RangeSet([(4, 5)]), other),
    ]
    dead.drop(RangeSet([(0, 3), (4, 6)]))
    assert (len(dead), dead) == (2, {3: cause.of(3), 9: cause.of(9)})
    assert dead.among(RangeSet([(0, 9)])) == RangeSet([(3, 4)])
    assert len(kept) == 4, "a copy stays what it was"
    for position in (-1, 0, 10):
        with pytest.raises(KeyError):
            dead[position]
