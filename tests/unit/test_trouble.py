"""The master's side of a worker in trouble: who gets its records, what is known of them, and when a run is stalled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from traffic.core.master.decisions import LeaseHandedBack, LeaseReturned, WorkerTroubled
from traffic.core.master.invariants import check_ledger
from traffic.core.master.prior_attempts import PriorAttempts
from traffic.core.protocol import LeaseGrant, Tried
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, RecordState
from unit.a_run import close
from unit.test_coordinator import Bench, sends, the_message

TROUBLE = "the API cannot be reached: refused"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, 20)
    yield made
    check_ledger(made.run.ledger)
    close(made.run)


def granted(made: list) -> LeaseGrant:
    message = the_message(made)
    assert isinstance(message, LeaseGrant)
    return message


def test_what_a_worker_in_trouble_hands_back_goes_to_one_that_is_well(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    lease = granted(bench.ack("a", sessions["a"], 1, wants=10))
    made = bench.ack("a", sessions["a"], 2, heard=lease.seq, trouble=TROUBLE)
    assert WorkerTroubled("a", TROUBLE) in made
    own = granted(bench.ack("b", sessions["b"], 1, wants=10))
    held = RangeSet(own.positions)
    for seq in (2, 3):
        held.update(
            RangeSet(granted(bench.ack("b", sessions["b"], seq, heard=seq, holds=tuple(held), wants=5)).positions)
        )
    assert held.count == 20
    assert not granted_again(bench, "b", held)


def granted_again(bench: Bench, worker: str, positions: RangeSet) -> RangeSet:
    return bench.run.ledger.prior_attempts.repeats_among(positions)


def test_a_worker_in_trouble_gets_one_record_and_none_that_another_is_to_deliver(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    probe = granted(bench.ack("a", sessions["a"], 1, wants=10, trouble=TROUBLE))
    assert RangeSet(probe.positions).count == 1
    bench.ack("b", sessions["b"], 1)
    bench.run.ledger.steal("b", 20)  # all that was a's
    seq = probe.seq
    made = bench.ack("a", sessions["a"], 2, heard=seq, holds=((0, 1),), wants=1, trouble=TROUBLE)
    assert not [one for one in sends(made) if isinstance(one.message, LeaseGrant)]
    bench.ack("b", sessions["b"], 2, trouble=TROUBLE)
    assert granted(bench.ack("a", sessions["a"], 3, heard=seq + 1, holds=((0, 1),), wants=1, trouble=TROUBLE)), (
        "nobody is well"
    )


def test_what_was_sent_in_vain_is_known_to_have_been_and_how_often(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    lease = granted(bench.ack("a", sessions["a"], 1, wants=3))
    tried = (Tried(1, 2, outcome_unknown=True),)
    made = bench.ack("a", sessions["a"], 2, heard=lease.seq, trouble=TROUBLE, tried=tried)
    assert [type(one) for one in made if isinstance(one, LeaseHandedBack | LeaseReturned)] == [
        LeaseHandedBack,
        LeaseReturned,
    ]
    assert bench.state(1) is RecordState.PENDING
    bench.coordinator.worker_lost("a", "test")
    held = RangeSet()
    for seq in (1, 2):
        grant = granted(bench.ack("b", sessions["b"], seq, heard=seq, holds=tuple(held), wants=10))
        held.update(RangeSet(grant.positions))
        if 1 in RangeSet(grant.positions):
            assert (grant.redelivered, grant.tried) == (((1, 2),), tried)
    assert 1 in held
    bench.ack("b", sessions["b"], 3, heard=3, delivered=((1, 2),), holds=((0, 1), (2, 20)))
    assert not bench.run.ledger.prior_attempts.tries, "nobody asks any more"


def test_what_was_sent_in_vain_and_nobody_sent_again_is_in_doubt_when_the_run_is_stopped(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    lease = granted(bench.ack("a", sessions["a"], 1, wants=3))
    bench.ack("a", sessions["a"], 2, heard=lease.seq, trouble=TROUBLE, tried=(Tried(1, 2, outcome_unknown=True),))
    bench.coordinator.stop()
    bench.coordinator.close()
    assert bench.run.ledger.counts == [19, 0, 0, 0, 1]


def test_single_records_that_go_to_and_fro_are_no_news_but_the_trouble_and_its_end_are(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    probe = granted(bench.ack("a", sessions["a"], 1, wants=1, trouble=TROUBLE))
    made = bench.ack("a", sessions["a"], 2, heard=probe.seq, trouble=TROUBLE)
    assert [one.reported for one in made if isinstance(one, LeaseReturned)] == [False]
    made = bench.ack("a", sessions["a"], 3, heard=probe.seq)
    assert [str(one) for one in made if isinstance(one, WorkerTroubled)] == ["worker a is out of its trouble"]


def test_a_run_is_stalled_while_the_last_records_are_with_a_worker_in_trouble(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    for seq in (1, 2):
        granted(bench.ack("a", sessions["a"], seq, heard=seq, holds=((0, 10),) if seq > 1 else (), wants=10))
    holds = tuple(RangeSet([(0, 20)]))
    bench.ack("a", sessions["a"], 3, heard=2, holds=holds)
    bench.ack("b", sessions["b"], 1)
    assert bench.coordinator.stalled == ""
    bench.ack("a", sessions["a"], 4, heard=3, holds=holds, trouble=TROUBLE)
    assert bench.coordinator.stalled == TROUBLE
    bench.ack("a", sessions["a"], 5, heard=4, holds=((0, 19),), trouble=TROUBLE)
    assert bench.coordinator.stalled == "", "one is for b to send"


def test_what_a_worker_lacks_itself_is_told_with_its_name_and_stalls_nothing(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, fault="this worker has no file descriptor left")
    assert bench.coordinator.troubles == {"a": "worker a has no file descriptor left"}
    assert bench.coordinator.stalled == ""
    bench.ack("a", sessions["a"], 2, trouble="this worker has no file descriptor left")
    bench.ack("b", sessions["b"], 1, users=0)
    assert bench.coordinator.stalled == "worker a has no file descriptor left"


def test_a_worker_that_comes_back_is_given_what_was_moved_and_no_second_slice(bench: Bench) -> None:
    bench.start("a", "b")
    for _ in range(3):
        bench.coordinator.worker_lost("a", "test")
        bench.hello("a")
        check_ledger(bench.run.ledger)
    shares = bench.run.ledger.shares
    assert {name: share.slice for name, share in shares.items()} == {"a": 10, "b": 10}
    bench.coordinator.worker_lost("a", "test")
    bench.coordinator.worker_lost("b", "test")
    bench.hello("a")
    assert (shares["a"].slice, shares["a"].moved) == (10, 10)


def test_of_a_dead_letter_that_is_sent_again_it_is_known_whether_the_api_had_answered_it() -> None:
    prior = PriorAttempts(records=9)
    prior.former.put(RangeSet([(3, 4)]), Cause(RecordState.REJECTED, 5, 422, "HTTP 422", "a"))
    prior.former.put(RangeSet([(4, 5)]), Cause(RecordState.IN_DOUBT, 1, 0, "lost", "a"))
    assert prior.tries_among(RangeSet([(0, 9)])) == (Tried(3, 0, outcome_unknown=False),)
