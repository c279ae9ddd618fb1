"""Whether a worker gets anything done: how many attempts it takes to know, and what happens to its records then."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.feed import take
from traffic.core.lease_terms import LeaseTerms
from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import Ack, LeaseGrant, RunConfig, Tried, Welcome
from traffic.core.worker.feed import Feed
from traffic.core.worker.link import LeaseClient
from traffic.core.worker.reach import DEAD_AFTER, FAULT_S, PROBE_S, Reach

RUN = RunConfig("run", "POST", "/", (0.0, 0.0), 3, "at-least-once")
OK, BUSY = Answer(201), Answer(503)
REFUSED = Answer(0, "refused", sent=False)
NO_CONNECTION = Answer(0, "no connection within 10 s", sent=False, waited=10.0)
TIMED_OUT, CUT = Answer(0, "timed out after 60 s", waited=60.0), Answer(0, "connection closed")
NO_FILE = Answer(0, "this worker has no file descriptor left", sent=False, fault="worker")


def grant(start: int, stop: int, seq: int, **more: Any) -> LeaseGrant:
    indexes = np.arange(start, stop, dtype="<u8")
    bodies = tuple(b"{}" for _ in range(start, stop))
    return LeaseGrant(
        7, seq, 1, seq, ((start, stop),), indexes=indexes.tobytes(), bodies=bodies, **({"redelivered": ()} | more)
    )


class Bench:
    """A worker with a lease of ten records, and custody for ever."""

    def __init__(self, run: RunConfig = RUN) -> None:
        self.feed = Feed(random.Random(1))
        self.link = LeaseClient(self.feed, LeaseTerms())
        self.link.users = 3
        self.link.poll(0.0)
        self.link.receive(Welcome(7, 1, run), 0.0)
        self.ack(0.0)
        self.give(0, 10)

    def give(self, start: int, stop: int, **more: Any) -> None:
        self.link.receive(grant(start, stop, self.link._heard + 1, **more), 0.0)
        self.feed.deadline = self.link._expires = 1e9

    def ack(self, now: float) -> Ack:
        ack = self.link.poll(now)
        assert isinstance(ack, Ack), "nothing is to be said"
        return ack

    def attempt(self, answer: Answer, now: float, outcome: Outcome = Outcome.RETRY) -> int:
        """Take a record, report its outcome, and return it."""
        record = take(self.feed, now)
        assert record is not None
        self.feed.record_outcome(record, answer, outcome, now)
        return record.position


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_one_connection_that_is_waited_for_in_vain_is_enough(bench: Bench) -> None:
    bench.attempt(NO_CONNECTION, 10.0)
    assert bench.feed.trouble == "the API cannot be reached: no connection within 10 s"


def test_it_is_not_while_others_are_answered(bench: Bench) -> None:
    bench.attempt(OK, 9.0, Outcome.DELIVERED)
    bench.link.poll(9.1)
    bench.attempt(NO_CONNECTION, 10.0)
    assert bench.feed.trouble == ""


def test_an_answer_that_never_comes_is_enough_where_none_ever_came_and_two_are_else(bench: Bench) -> None:
    bench.attempt(TIMED_OUT, 60.0)
    assert bench.feed.trouble == "the API does not answer: timed out after 60 s"
    another = Bench()
    another.attempt(OK, 1.0, Outcome.DELIVERED)
    another.link.poll(1.1)
    another.attempt(TIMED_OUT, 61.0)
    assert another.feed.trouble == "", "one may be lost"
    another.attempt(TIMED_OUT, 121.0)
    assert another.feed.trouble == "the API does not answer: timed out after 60 s"


def test_fast_failures_count_up_and_one_answer_clears_them(bench: Bench) -> None:
    for _ in range(DEAD_AFTER - 1):
        bench.attempt(CUT, 1.0)
    bench.attempt(BUSY, 1.0)
    for _ in range(DEAD_AFTER - 1):
        bench.attempt(CUT, 1.0)
    assert bench.feed.trouble == ""
    bench.attempt(CUT, 1.0)
    assert bench.feed.trouble == "the API does not answer: connection closed"
    bench.attempt(BUSY, 3.0)
    assert bench.feed.trouble == ""


def test_a_user_that_is_stopped_says_nothing_of_the_api(bench: Bench) -> None:
    for _ in range(2 * DEAD_AFTER - 1):
        bench.attempt(Answer(0, "the user was stopped", fault="user"), 1.0, Outcome.IN_DOUBT)
    assert bench.feed.trouble == ""


def test_a_fault_of_the_workers_own_is_told_while_others_go_on_and_then_for_a_while(bench: Bench) -> None:
    bench.attempt(NO_FILE, 1.0)
    bench.attempt(OK, 1.0, Outcome.DELIVERED)
    assert bench.feed.trouble == ""
    assert bench.ack(2.0).fault == NO_FILE.reason
    assert bench.ack(1.0 + FAULT_S).fault == ""
    for _ in range(DEAD_AFTER):
        bench.attempt(NO_FILE, 20.0)
    assert bench.feed.trouble == NO_FILE.reason


def test_in_trouble_all_goes_back_and_one_record_a_second_is_asked_for(bench: Bench) -> None:
    bench.attempt(NO_CONNECTION, 10.0)
    ack = bench.ack(10.0)
    assert (ack.holds, ack.wants, ack.tried) == ((), 1, ())
    bench.give(3, 4)
    assert bench.attempt(REFUSED, 10.1) == 3
    ack = bench.ack(10.1)
    assert (ack.holds, ack.wants) == ((), 0), "others are to have their chance"
    assert bench.ack(10.1 + PROBE_S).wants == 1


def test_what_is_leased_for_the_next_attempt_stays_until_it_is_made(bench: Bench) -> None:
    bench.attempt(NO_CONNECTION, 10.0)
    bench.ack(10.0)
    bench.give(3, 4)
    assert bench.ack(10.5).holds == ((3, 4),)
    assert take(bench.feed, 10.5) is not None


def test_the_first_answer_ends_the_trouble_and_the_worker_asks_for_as_much_as_before(bench: Bench) -> None:
    bench.attempt(NO_CONNECTION, 10.0)
    bench.ack(10.0)
    bench.give(3, 4)
    bench.attempt(OK, 10.1, Outcome.DELIVERED)
    ack = bench.ack(10.1)
    assert (ack.trouble, ack.wants) == ("", 6)


def test_what_was_sent_goes_back_with_how_often_once_it_has_waited(bench: Bench) -> None:
    assert bench.attempt(replace(BUSY, retry_after=100.0), 1.0) == 0
    cut = [bench.attempt(CUT, 1.0) for _ in range(DEAD_AFTER)]
    assert (bench.ack(1.0).holds, bench.feed.waiting) == (((0, DEAD_AFTER + 1),), DEAD_AFTER + 1)
    assert take(bench.feed, 5.0) is None, "who cannot reach the API would try it in vain, and keep it once more"
    ack = bench.ack(5.0)
    assert ack.holds == ((0, 1),), "it has yet to wait"
    assert {one.position for one in ack.tried} == set(cut)
    assert {(one.attempts, one.outcome_unknown) for one in ack.tried} == {(1, True)}
    assert ack.tried == bench.ack(5.3).tried, "until it is known that the master has read it"


def test_under_at_most_once_nothing_goes_back_whose_answer_is_unknown() -> None:
    bench = Bench(replace(RUN, policy="at-most-once"))
    bench.attempt(replace(TIMED_OUT, waited=60.0), 60.0)  # by a locustfile's own rule
    ack = bench.ack(70.0)
    assert (ack.holds, ack.tried) == (((0, 1),), ())


def test_who_gets_a_record_that_was_handed_back_goes_on_counting_its_attempts(bench: Bench) -> None:
    for _ in range(10):
        bench.attempt(OK, 1.0, Outcome.DELIVERED)
    bench.give(20, 21, redelivered=((20, 21),), tried=(Tried(20, RUN.max_attempts - 1, outcome_unknown=True),))
    bench.attempt(BUSY, 2.0)
    _, (failure,) = bench.feed.drain_outcomes()
    assert (failure.positions, failure.attempts, failure.in_doubt) == (((20, 21),), RUN.max_attempts, True)


def test_while_nothing_is_answered_one_attempt_at_a_time_is_under_way(bench: Bench) -> None:
    records = [take(bench.feed, 0.0) for _ in range(2)]
    assert records[0]
    assert records[1]
    bench.feed.record_outcome(records[0], TIMED_OUT, Outcome.RETRY, 60.0)
    assert bench.ack(65.0).wants == 0
    bench.feed.record_outcome(records[1], TIMED_OUT, Outcome.RETRY, 65.5)
    assert bench.ack(67.0).wants == 1


def test_while_a_person_pauses_the_run_all_stays_where_it_is(bench: Bench) -> None:
    record = take(bench.feed, 1.0)
    assert record
    bench.feed.paused = True
    bench.feed.record_outcome(record, NO_CONNECTION, Outcome.RETRY, 11.0)
    assert bench.ack(11.0).holds == ((0, 10),)
    bench.feed.paused = False
    assert bench.ack(12.0).holds == ()


def test_another_run_begins_without_the_trouble_of_the_one_before(bench: Bench) -> None:
    bench.attempt(NO_CONNECTION, 10.0)
    bench.link.receive(Welcome(8, 1, replace(RUN, run="another")), 11.0)
    assert bench.feed.trouble == ""


# What is counted.


def test_an_attempt_counts_once_it_has_left_the_worker(bench: Bench) -> None:
    record = take(bench.feed, 1.0)
    assert record
    assert bench.feed.attempts_made == (0, 0, 0), "nobody knows yet whether it will"
    bench.feed.record_outcome(record, REFUSED, Outcome.RETRY, 1.0)
    assert bench.feed.attempts_made == (0, 0, 0)
    assert bench.attempt(OK, 2.0, Outcome.DELIVERED) == record.position
    assert bench.feed.attempts_made == (1, 0, 0), "the API has had it once"


def test_a_repeat_is_an_attempt_at_what_was_answered_and_a_possible_one_at_what_was_not(bench: Bench) -> None:
    first, second = take(bench.feed, 1.0), take(bench.feed, 1.0)
    assert first
    assert second
    bench.feed.record_outcome(first, BUSY, Outcome.RETRY, 1.0)
    bench.feed.record_outcome(second, CUT, Outcome.RETRY, 1.0)
    assert bench.feed.attempts_made == (2, 0, 0)
    for record in bench.feed.take_batch(5.0, 2):
        bench.feed.record_outcome(record, OK, Outcome.DELIVERED, 5.0)
    assert bench.feed.attempts_made == (4, 1, 1)


def test_a_repeat_that_did_not_leave_is_none(bench: Bench) -> None:
    bench.attempt(CUT, 1.0)
    assert bench.attempt(REFUSED, 2.0) == 0
    assert bench.feed.attempts_made == (1, 0, 0)
    assert bench.attempt(OK, 9.0, Outcome.DELIVERED) == 0
    assert bench.feed.attempts_made == (2, 0, 1)


def test_what_did_not_leave_is_in_no_dead_letter(bench: Bench) -> None:
    bench.attempt(REFUSED, 1.0)
    bench.attempt(Answer(422), 2.0, Outcome.REJECTED)
    _, (failure,) = bench.feed.drain_outcomes()
    assert failure.attempts == 1


def test_the_reach_forgets_nothing_it_needs_between_two_looks() -> None:
    reach = Reach()
    reach.note_progress(1, 0.0)
    reach.note_progress(1, 50.0)
    for now in (60.0, 120.0):
        reach.fail(TIMED_OUT, now)
    assert reach.trouble
