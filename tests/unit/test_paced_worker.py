"""A worker in a run with a rate: what it hands out when, what it asks for, and how long it may sleep."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.feed import take
from traffic.core.lease_terms import LeaseTerms
from traffic.core.outcome import Answer, Outcome
from traffic.core.pace.measures import LateCause
from traffic.core.protocol import Ack, AckReply, Hold, LeaseGrant, RunConfig, Stamp, Welcome
from traffic.core.wire import ProtocolError
from traffic.core.worker.feed import Feed
from traffic.core.worker.link import LEAST_SLEEP_S, LeaseClient

RUN = RunConfig("run", "POST", "/", (0.0, 0.0), 3, "at-least-once", paced=True)
# The master's clock is so far ahead of the worker's.
AHEAD = 1000.0
TICK_S = 0.05


def stamp(left: float, second: float, *, running: bool = True) -> Stamp:
    return Stamp(AHEAD + left, AHEAD + left, second, float(running))


def grant(due: list[float], seq: int = 2, answers: int = 1, **more: Any) -> LeaseGrant:
    count = len(due)
    indexes = np.arange(count, dtype="<u8").tobytes()
    times = np.array(due, "<f8").tobytes()
    return LeaseGrant(7, seq, answers, seq, ((0, count),), (), indexes, (b"{}",) * count, (), times, 0.1, **more)


@pytest.fixture
def link() -> LeaseClient:
    """A worker with two users, at second 10 of the schedule at 0.2 s by its clock, and records for 10.5, 11 and 12."""
    made = LeaseClient(Feed(random.Random(1)), LeaseTerms())
    made.users = 2
    made.poll(0.0)
    made.receive(Welcome(7, 1, RUN), 0.1)
    assert isinstance(made.poll(0.2), Ack)
    made.receive(grant([10.5, 11.0, 12.0], stamp=stamp(0.2, 10.0)), 0.2)
    return made


def test_a_record_is_handed_out_when_it_is_due_and_knows_when_that_was(link: LeaseClient) -> None:
    assert take(link.feed, 0.69) is None
    first = take(link.feed, 0.71)
    assert first
    assert first.due == pytest.approx(0.7)
    assert take(link.feed, 0.71) is None


def test_two_that_are_due_are_handed_out_together(link: LeaseClient) -> None:
    assert len(link.feed.take_batch(1.21, 9)) == 2


def test_without_a_stamp_nothing_is_handed_out() -> None:
    link = LeaseClient(Feed(random.Random(1)), LeaseTerms())
    link.users = 1
    link.receive(Welcome(7, 1, RUN), 0.1)
    link.poll(0.2)
    link.receive(grant([0.0]), 0.2)
    assert take(link.feed, 1.0) is None


def test_it_asks_four_times_a_second_for_all_that_it_has_room_for(link: LeaseClient) -> None:
    acks = [link.poll(now) for now in (0.3, 0.44, 0.46, 0.6, 0.72)]
    assert [isinstance(ack, Ack) for ack in acks] == [False, False, True, False, True]
    assert isinstance(acks[2], Ack)
    assert acks[2].wants == LeaseTerms().window_records - 3


def test_at_most_once_it_asks_for_no_more_than_it_has_users() -> None:
    link = LeaseClient(Feed(random.Random(1)), LeaseTerms())
    link.users = 2
    link.receive(Welcome(7, 1, RunConfig("run", "POST", "/", (0.0, 0.0), 3, "at-most-once", paced=True)), 0.1)
    ack = link.poll(0.2)
    assert isinstance(ack, Ack)
    assert ack.wants == 2


def test_it_sleeps_until_the_next_record_is_due(link: LeaseClient) -> None:
    assert link.sleep_s(0.3, TICK_S) == TICK_S
    assert link.sleep_s(0.68, TICK_S) == pytest.approx(0.02)
    assert link.sleep_s(0.9, TICK_S) == LEAST_SLEEP_S


@pytest.mark.parametrize("why", ["paused", "trouble", "no rate"])
def test_where_nothing_may_be_handed_out_it_does_not_wake_for_what_is_due(link: LeaseClient, why: str) -> None:
    if why == "paused":
        link.feed.paused = True
    elif why == "trouble":
        link.feed.trouble = "the API cannot be reached"
    else:
        link.feed.run = None
    assert link.sleep_s(0.9, TICK_S) == TICK_S


def test_a_schedule_that_stands_still_hands_out_what_was_due_and_no_more(link: LeaseClient) -> None:
    link.poll(0.6)
    link.receive(AckReply(7, 3, 2, False, False, stamp(0.8, 10.6, running=False)), 0.8)
    assert take(link.feed, 9.0 - 4.5) is not None
    assert take(link.feed, 9.0 - 4.4) is None
    assert link.sleep_s(4.0, TICK_S) == TICK_S


def test_a_retry_waits_for_its_backoff_and_not_for_a_time_of_the_schedule(link: LeaseClient) -> None:
    record = take(link.feed, 0.71)
    assert record
    link.feed.record_outcome(record, Answer(503, retry_after=2.0), Outcome.RETRY, 0.8)
    assert link.feed.next_due() == pytest.approx(1.2)  # the next of the schedule
    again = [one for one in link.feed.take_batch(3.5, 9) if one.position == record.position]
    assert [(one.attempts, one.due) for one in again] == [(2, pytest.approx(2.8, abs=0.3))]


def test_a_new_session_forgets_the_clock_of_the_master_before(link: LeaseClient) -> None:
    link.receive(Welcome(9, 1, RUN), 0.6)
    assert not link.feed.schedule.known


def test_a_lease_with_too_few_times_contradicts_itself(link: LeaseClient) -> None:
    bad = LeaseGrant(7, 3, 1, 3, ((5, 7),), (), b"\0" * 16, (b"{}",) * 2, (), b"\0" * 8, 0.1)
    with pytest.raises(ProtocolError, match="1 times for 2 records"):
        link.receive(bad, 0.5)


def test_what_is_measured_goes_with_each_ack_and_counts_from_when_it_was_due(link: LeaseClient) -> None:
    record = take(link.feed, 0.72)
    assert record
    link.feed.record_outcome(record, Answer(201), Outcome.DELIVERED, 0.92)
    ack = link.poll(0.95)
    assert isinstance(ack, Ack)
    assert ack.pace
    assert (ack.pace.sent, ack.busy, ack.overdue) == (1, 1, 0)
    assert ack.pace.late.most == pytest.approx(0.02)
    assert ack.pace.service.most == pytest.approx(0.2)
    assert ack.pace.because[LateCause.BACKLOG] == 1
    again = link.poll(1.2)
    assert isinstance(again, Ack)
    assert again.busy == 0


def test_a_record_that_waits_for_a_user_is_overdue_and_late_for_want_of_one(link: LeaseClient) -> None:
    link.users = 1
    first = take(link.feed, 0.7)
    assert first
    ack = link.poll(1.4)
    assert isinstance(ack, Ack)
    assert (ack.busy, ack.overdue) == (1, 1)
    link.feed.record_outcome(first, Answer(201), Outcome.DELIVERED, 1.5)
    assert take(link.feed, 1.5)
    ack = link.poll(1.8)
    assert isinstance(ack, Ack)
    assert ack.overdue == 0
    assert ack.pace
    assert ack.pace.because == [1, 0, 0, 0, 0]


def test_a_slower_schedule_hands_out_later_and_nothing_is_late_because_of_it(link: LeaseClient) -> None:
    link.poll(0.6)
    slow = Stamp(AHEAD + 0.6, AHEAD + 0.6, 10.4, 0.5)
    link.receive(AckReply(7, 3, 2, False, False, slow), 0.6)
    assert take(link.feed, 0.79) is None
    record = take(link.feed, 0.81)
    assert record
    assert record.due == pytest.approx(0.8)


def test_a_record_that_the_api_put_off_is_due_when_the_run_goes_on(link: LeaseClient) -> None:
    link.feed.run = replace(RUN, holds=True)
    record = take(link.feed, 0.71)
    assert record
    link.feed.record_outcome(record, Answer(429, retry_after=30.0), Outcome.RETRY, 0.8)
    assert link.feed.take_batch(9.0 - 4.2, 9) == []
    ack = link.poll(0.8)
    assert isinstance(ack, Ack)
    assert ack.hold == Hold(30.0, 429)
    assert ack.put_off == 1
    link.receive(AckReply(7, 3, ack.seq, False, True, stamp(0.9, 10.7, running=False)), 0.9)
    assert take(link.feed, 4.0) is None
    link.receive(AckReply(7, 4, ack.seq, False, False, stamp(4.0, 10.7)), 4.0)
    again = take(link.feed, 4.1)
    assert again is record
    assert (again.attempts, again.put_off, again.due) == (2, 1, 4.1)
