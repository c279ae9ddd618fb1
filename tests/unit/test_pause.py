"""A person's pause, message by message: what a worker hands out, what the master answers, and who keeps what."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dead_letters import failed
from support.feed import next_retry, take
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import AllSettled, Decision
from traffic.core.master.invariants import check_ledger
from traffic.core.outcome import Outcome
from traffic.core.protocol import Ack, AckReply, Hello, LeaseGrant, Welcome
from traffic.core.ranges import RangeSet
from traffic.core.record_state import RecordState
from traffic.core.worker.feed import Feed
from traffic.core.worker.link import LeaseClient
from unit.a_run import close
from unit.test_coordinator import TERMS, Bench, sends, the_message
from unit.test_feed_and_link import BUSY, LOST, OK, RUN, grant, joined

# The worker's side. Its session is 7; the lease of `joined` was the master's second message.


@pytest.fixture
def link() -> LeaseClient:
    made = LeaseClient(Feed(random.Random(1)), LeaseTerms())
    made.users = 2
    assert isinstance(made.poll(0.0), Hello)
    made.receive(Welcome(7, 1, RUN), 0.1)
    joined(made)
    return made


def say(link: LeaseClient, *, paused: bool, seq: int, now: float, answers: int = 1, over: bool = False) -> None:
    link.receive(AckReply(7, seq, answers, over, paused), now)


def ack(link: LeaseClient, now: float) -> Ack:
    made = link.poll(now)
    assert isinstance(made, Ack)
    return made


def test_a_paused_worker_hands_out_nothing_keeps_what_it_has_and_asks_for_no_more(link: LeaseClient) -> None:
    assert take(link.feed, 0.4)
    link.users = 9  # it would take a larger window
    say(link, paused=True, seq=3, now=0.5)
    assert take(link.feed, 0.6) is None
    assert (link.feed.waiting, link.feed.ready(0.0)) == (3, 0)
    said = ack(link, 1.0)
    assert (said.wants, said.holds) == (0, ((0, 4),))


def test_what_is_in_flight_is_booked_in_a_pause_and_a_retry_waits_for_its_end(link: LeaseClient) -> None:
    first, second = take(link.feed, 0.4), take(link.feed, 0.4)
    assert first
    assert second
    say(link, paused=True, seq=3, now=0.5)
    link.feed.record_outcome(first, OK, Outcome.DELIVERED, 0.6)
    link.feed.record_outcome(second, BUSY, Outcome.RETRY, 0.6)
    due = next_retry(link.feed)
    assert due is not None
    said = ack(link, due)
    assert (said.delivered, said.holds) == (((0, 1),), ((1, 4),))
    say(link, paused=True, seq=4, answers=said.seq, now=due)
    assert take(link.feed, due) is None
    say(link, paused=False, seq=5, answers=said.seq, now=due)
    assert take(link.feed, due) is second


def test_however_long_a_pause_lasts_acks_renew_custody_and_all_goes_on_at_its_end(link: LeaseClient) -> None:
    say(link, paused=True, seq=3, now=0.5)
    now = 1.0
    for seq in range(4, 104):
        said = ack(link, now)
        assert said.holds == ((0, 4),)
        say(link, paused=True, seq=seq, answers=said.seq, now=now + 0.1)
        now += 1.0
    assert take(link.feed, now) is None
    say(link, paused=False, seq=104, answers=said.seq, now=now)
    assert [record.position for record in iter(lambda: take(link.feed, now), None)] == [0, 1, 2, 3]


def test_at_the_end_of_a_pause_an_empty_feed_asks_at_once(link: LeaseClient) -> None:
    assert len(list(iter(lambda: take(link.feed, 0.4), None))) == 4
    say(link, paused=True, seq=3, now=0.5)
    assert ack(link, 1.0).wants == 0
    assert link.poll(1.01) is None
    say(link, paused=False, seq=4, now=1.02)
    assert ack(link, 1.03).wants == 4


def test_a_lease_says_that_the_run_goes_on(link: LeaseClient) -> None:
    say(link, paused=True, seq=3, now=0.5)
    link.receive(grant(4, 6, seq=4), 0.6)  # "go on" itself was lost
    assert take(link.feed, 0.7)


def test_an_answer_that_was_overtaken_does_not_end_a_pause(link: LeaseClient) -> None:
    say(link, paused=True, seq=4, now=0.5)
    say(link, paused=False, seq=3, now=0.6)
    link.receive(grant(4, 6, seq=3), 0.6)
    assert take(link.feed, 0.7) is None


def test_a_new_session_hands_out_nothing_before_an_answer_has_said_whether_the_run_is_paused(link: LeaseClient) -> None:
    say(link, paused=True, seq=3, now=0.5)
    link.receive(Welcome(8, 1, RUN), 0.6)
    said = ack(link, 0.7)
    assert (said.wants, said.holds) == (4, ())
    assert take(link.feed, 0.7) is None
    link.receive(AckReply(8, 2, said.seq, over=False, paused=True), 0.8)
    assert ack(link, 1.8).wants == 0


def test_a_stop_in_a_pause_hands_back_what_waits_and_settles_what_is_doubted(link: LeaseClient) -> None:
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, LOST, Outcome.RETRY, 0.5)
    say(link, paused=True, seq=3, now=0.6)
    say(link, paused=False, over=True, seq=4, now=0.7)
    said = ack(link, 1.0)
    assert failed(said.failed) == [0]
    assert said.holds == ()
    assert take(link.feed, 1.1) is None


# The master's side.


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, 100)
    yield made
    check_ledger(made.run.ledger)
    close(made.run)


def words(made: list[Decision]) -> dict[str, bool]:
    """What the master says of a pause to the workers."""
    return {one.worker: one.message.paused for one in sends(made) if isinstance(one.message, AckReply)}


def test_every_worker_is_told_at_once_and_every_answer_says_it_again(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    assert words(bench.ack("a", sessions["a"], 1)) == {"a": False}
    assert words(bench.coordinator.pause()) == {"a": True, "b": True}
    for seq in (2, 3):
        assert words(bench.ack("a", sessions["a"], seq)) == {"a": True}
    assert words(bench.coordinator.unpause()) == {"a": False, "b": False}
    assert words(bench.ack("b", sessions["b"], 1)) == {"b": False}


def test_a_paused_run_leases_nothing_until_it_goes_on(bench: Bench) -> None:
    session = bench.start("a")["a"]
    bench.coordinator.pause()
    assert isinstance(the_message(bench.ack("a", session, 1, wants=5)), AckReply)
    assert bench.run.ledger.counts[RecordState.LEASED] == 0
    bench.coordinator.unpause()
    assert isinstance(the_message(bench.ack("a", session, 2, heard=9, wants=5)), LeaseGrant)


def test_leases_stay_with_workers_that_ack_and_nothing_is_sent_again(bench: Bench) -> None:
    session = bench.start("a")["a"]
    lease = the_message(bench.ack("a", session, 1, wants=5))
    assert isinstance(lease, LeaseGrant)
    bench.coordinator.pause()
    for seq in range(2, 30):
        bench.now += 4.0
        assert isinstance(the_message(bench.ack("a", session, seq, heard=lease.seq, holds=((0, 5),))), AckReply)
        assert bench.coordinator.expire(bench.now) == []
        assert bench.run.ledger.counts[RecordState.LEASED] == 5
    bench.coordinator.unpause()
    bench.ack("a", session, 30, heard=lease.seq, delivered=((0, 5),))
    assert bench.run.ledger.counts[RecordState.DELIVERED] == 5
    assert bench.run.ledger.repeats == 0


def test_what_a_worker_held_that_dies_in_a_pause_is_reclaimed_and_waits_with_its_heir(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.coordinator.pause()
    bench.now = 4.0
    bench.ack("b", sessions["b"], 1)
    bench.now = 6.0
    made = bench.coordinator.expire(bench.now)
    assert [type(one).__name__ for one in made] == ["LeaseReclaimed", "WorkerGone"]
    assert isinstance(the_message(bench.ack("b", sessions["b"], 2, wants=5)), AckReply)
    assert len(bench.run.ledger.assignment.remainders["b"]) == 100


def test_a_worker_that_joins_a_paused_run_is_told_by_the_first_answer(bench: Bench) -> None:
    bench.start("a")
    bench.coordinator.pause()
    session = bench.hello("b")
    assert words(bench.ack("b", session, 1, wants=5)) == {"b": True}
    assert len(bench.run.ledger.assignment.remainders["b"]) == 50


def test_the_last_outcome_ends_a_run_in_its_pause_and_the_pause_with_it(bench: Bench) -> None:
    session = bench.start("a")["a"]
    bench.run.ledger.record_leased("a", RangeSet([(0, 100)]))
    bench.coordinator.pause()
    made = bench.ack("a", session, 1, delivered=((0, 100),))
    assert AllSettled("run") in made
    assert words(made) == {"a": False}
    assert bench.coordinator.over
    bench.coordinator.pause()
    assert not bench.coordinator.paused, "there is nothing left to pause"


def test_a_stop_ends_the_pause_and_the_next_run_begins_without_one(bench: Bench) -> None:
    bench.start("a")
    bench.coordinator.pause()
    (notified,) = sends(bench.coordinator.stop())
    assert isinstance(notified.message, AckReply)
    assert (notified.message.over, notified.message.paused) == (True, False)
    bench.coordinator.close()
    session = bench.start("a")["a"]
    assert isinstance(the_message(bench.ack("a", session, 1, wants=5)), LeaseGrant)


def test_in_a_pause_a_dead_api_is_no_news_and_a_lost_worker_is(bench: Bench) -> None:
    session = bench.start("a")["a"]
    bench.ack("a", session, 1, trouble="refused")
    bench.coordinator.pause()
    assert bench.coordinator.stalled == ""
    bench.now = 6.0
    bench.coordinator.expire(bench.now)
    assert bench.coordinator.stalled == "no worker is there"


def test_a_master_that_takes_a_paused_run_up_pauses_it_before_it_leases_anything(bench: Bench) -> None:
    bench.coordinator = LeaseCoordinator(TERMS, first_session=1000)
    bench.coordinator.resume(bench.run, {}, 5.0, bench.now)
    bench.coordinator.pause()
    session = bench.hello("a")
    assert isinstance(the_message(bench.ack("a", session, 1, wants=5)), AckReply)
    bench.coordinator.unpause()
    made = bench.ack("a", session, 2, heard=9, wants=5)
    assert [type(one.message) for one in sends(made)] == [LeaseGrant]
