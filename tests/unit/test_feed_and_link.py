"""The worker's side: what it hands out, until when, and what it reports."""

import random
from dataclasses import replace

import numpy as np
import pytest

from support.dead_letters import failed
from support.feed import next_retry, take
from traffic.core.excerpt import MOST_BODY, Excerpt
from traffic.core.lease_terms import LeaseTerms
from traffic.core.outcome import LONGEST_REASON, Answer, Outcome
from traffic.core.protocol import Ack, AckReply, Failure, Hello, Hold, LeaseGrant, RunConfig, Welcome
from traffic.core.wire import ProtocolError
from traffic.core.worker.failures import MOST_ANSWERS, MOST_KINDS, Failures
from traffic.core.worker.feed import Feed
from traffic.core.worker.link import LeaseClient
from traffic.core.worker.reach import DEAD_AFTER, PROBE_S

RUN = RunConfig("run", "POST", "/", (0.0, 0.0), 3, "at-least-once")
OK, BUSY = Answer(201), Answer(503, retry_after=2.0)
LOST, REFUSED = Answer(0, "lost"), Answer(0, "refused", sent=False)


def grant(start: int, stop: int, session: int = 7, seq: int = 2, answers: int = 1) -> LeaseGrant:
    indexes = np.arange(start, stop, dtype="<u8")
    bodies = tuple(b'{"n":%d}' % n for n in range(start, stop))
    return LeaseGrant(session, seq, answers, seq, ((start, stop),), (), indexes.tobytes(), bodies)


@pytest.fixture
def link() -> LeaseClient:
    made = LeaseClient(Feed(random.Random(1)), LeaseTerms())
    made.users = 2
    assert isinstance(made.poll(0.0), Hello)
    made.receive(Welcome(7, 1, RUN), 0.1)
    return made


def joined(link: LeaseClient, now: float = 0.2) -> Ack:
    """The first ack, answered by a lease of four records."""
    ack = link.poll(now)
    assert isinstance(ack, Ack)
    link.receive(grant(0, 4), now + 0.1)
    return ack


def test_hello_is_repeated_until_it_is_answered() -> None:
    link = LeaseClient(Feed(random.Random(1)), LeaseTerms(hello_s=0.5))
    assert [link.poll(now) is not None for now in (0.0, 0.4, 0.5, 0.9, 1.0)] == [True, False, True, False, True]


def test_the_first_ack_asks_for_records_and_a_full_feed_asks_for_none(link: LeaseClient) -> None:
    assert joined(link).wants == 4
    later = link.poll(1.0)
    assert isinstance(later, Ack)
    assert later.wants == 0
    assert later.holds == ((0, 4),)


def test_custody_lasts_as_long_as_the_master_says_in_its_welcome() -> None:
    link = LeaseClient(Feed(random.Random(1)), LeaseTerms())
    link.users = 2
    link.poll(0.0)
    link.receive(Welcome(7, 1, RUN, LeaseTerms.of(20.0)), 0.1)
    joined(link, now=0.2)
    assert take(link.feed, 20.19) is not None
    assert take(link.feed, 20.2) is None
    assert link.feed.run is not None
    assert [link.poll(now) is None for now in (0.9, 1.19)] == [True, True], "an ack comes as often in a longer lease"
    assert isinstance(link.poll(1.21), Ack)


def test_a_lease_that_comes_once_the_worker_is_going_is_not_held(link: LeaseClient) -> None:
    link.poll(0.2)
    link.leaving = True
    link.feed.close()
    link.receive(grant(0, 4), 0.3)
    last = link.flush(0.4)
    assert isinstance(last, Ack)
    assert (last.leaving, last.holds) == (True, ())
    assert link.all_confirmed


def test_custody_counts_from_when_the_answered_ack_was_sent(link: LeaseClient) -> None:
    joined(link, now=0.2)
    assert take(link.feed, 5.19) is not None
    assert take(link.feed, 5.2) is None


def test_a_lapsed_worker_drops_what_waits_and_says_hello(link: LeaseClient) -> None:
    joined(link)
    hello = link.poll(5.3)
    assert isinstance(hello, Hello)
    assert hello.hello == 7
    assert link.feed.waiting == 0


def test_an_outcome_goes_with_every_ack_until_one_is_answered(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, OK, Outcome.DELIVERED, 0.5)
    acks = [link.poll(now) for now in (1.0, 2.0)]
    assert [ack.delivered for ack in acks if isinstance(ack, Ack)] == [((0, 1),), ((0, 1),)]
    link.receive(AckReply(7, 3, acks[-1].seq, over=False, paused=False), 2.1)  # type: ignore[union-attr]
    last = link.poll(2.5)
    assert isinstance(last, Ack)
    assert last.delivered == ()


def test_outcomes_of_a_lapsed_session_go_with_the_next_one(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, OK, Outcome.DELIVERED, 0.5)
    link.poll(1.0)
    assert isinstance(link.poll(6.0), Hello)
    link.receive(Welcome(8, 1, RUN), 6.1)
    ack = link.poll(6.2)
    assert isinstance(ack, Ack)
    assert (ack.session, ack.delivered, ack.holds) == (8, ((0, 1),), ())


def test_messages_of_a_former_session_or_out_of_their_order_are_not_read(link: LeaseClient) -> None:
    joined(link)
    link.receive(grant(10, 12, session=6, seq=9), 0.4)
    link.receive(grant(20, 22, seq=2), 0.4)
    link.receive(Welcome(7, 1, RUN), 0.4)
    assert link.feed.waiting == 4


def test_a_record_in_flight_over_a_lapse_serves_the_new_lease(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.poll(6.0)
    link.receive(Welcome(8, 1, RUN), 6.1)
    link.poll(6.2)
    link.receive(grant(0, 2, session=8), 6.3)
    assert link.feed.waiting == 1, "the one that is in flight is not queued again"
    link.feed.record_outcome(record, OK, Outcome.DELIVERED, 6.4)
    ack = link.poll(7.0)
    assert isinstance(ack, Ack)
    assert (ack.delivered, ack.holds) == (((0, 1),), ((1, 2),))


def test_a_record_that_failed_late_is_sent_again_once_the_master_has_read_so_and_leases_it(link: LeaseClient) -> None:
    """As it does if the record was a dead letter before, and is sent again."""
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.receive(Welcome(8, 1, RUN), 0.5)
    link.feed.record_outcome(record, Answer(422), Outcome.REJECTED, 0.6)
    ack = link.poll(0.7)
    assert isinstance(ack, Ack)
    assert failed(ack.failed) == [0]
    link.receive(grant(0, 1, session=8, answers=0), 0.8)
    assert take(link.feed, 0.9) is None, "that lease had been on its way"
    later = link.poll(1.7)
    assert isinstance(later, Ack)
    assert later.holds == ()
    link.receive(grant(0, 1, session=8, seq=3, answers=later.seq), 1.8)
    again = take(link.feed, 1.9)
    assert again
    assert again.key == record.key


def test_a_run_that_is_resumed_after_another_goes_on_with_its_own_counts(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, OK, Outcome.DELIVERED, 0.4)
    other = replace(RUN, run="other")
    counted = []
    for session, run in enumerate([other, None, RUN, other], 8):
        link.receive(Welcome(session, 1, run), 0.5)
        counted.append(link.feed.attempts_made[0])
    assert counted == [0, 0, 1, 0]


def test_the_feed_asks_to_be_looked_at_once_when_it_has_run_low(link: LeaseClient) -> None:
    joined(link)
    assert link.poll(0.4) is None, "four records wait: there is no hurry"
    assert link.feed.low_watermark == 2
    assert take(link.feed, 0.5)
    assert not link.feed.needs_poll
    assert take(link.feed, 0.5)
    assert link.feed.needs_poll
    link.feed.needs_poll = False
    assert take(link.feed, 0.5)
    assert not link.feed.needs_poll, "it is known already"
    ack = link.poll(0.5)
    assert isinstance(ack, Ack)
    assert ack.wants == 3


def test_retries_count_as_records_that_wait_when_the_feed_runs_low(link: LeaseClient) -> None:
    joined(link)
    for _ in range(2):
        record = take(link.feed, 0.3)
        assert record
        link.feed.record_outcome(record, BUSY, Outcome.RETRY, 0.3)
    link.feed.low_watermark, link.feed.needs_poll = 2, False
    assert take(link.feed, 0.4)
    assert not link.feed.needs_poll, "one has not been sent, and two are to be sent again"
    assert take(link.feed, 0.4)
    assert link.feed.needs_poll


def test_the_feed_asks_to_be_looked_at_when_nothing_is_in_hand_any_more(link: LeaseClient) -> None:
    joined(link)
    first, second = take(link.feed, 0.4), take(link.feed, 0.4)
    assert first
    assert second
    link.feed.needs_poll = False
    link.feed.record_outcome(first, OK, Outcome.DELIVERED, 0.5)
    assert not link.feed.needs_poll
    link.feed.record_outcome(second, OK, Outcome.DELIVERED, 0.5)
    assert link.feed.needs_poll


def test_several_records_at_once_are_retries_that_are_due_and_then_those_of_the_leases(link: LeaseClient) -> None:
    joined(link)
    link.feed.add_lease(grant(4, 7, seq=3), 1.0)
    first = take(link.feed, 0.3)
    assert first
    link.feed.record_outcome(first, Answer(503), Outcome.RETRY, 0.3)
    taken = link.feed.take_batch(2.0, 5)
    assert [record.position for record in taken] == [0, 1, 2, 3, 4]
    assert (link.feed.in_hand, link.feed.waiting, link.feed.counts.taken, link.feed.attempts_made) == (
        5,
        2,
        6,
        (1, 0, 0),
    )
    assert [record.position for record in link.feed.take_batch(2.0, 5)] == [5, 6], "as many as there are"
    assert link.feed.take_batch(2.0, 5) == []


def test_of_several_records_one_alone_probes_an_api_that_cannot_be_reached(link: LeaseClient) -> None:
    joined(link)
    link.feed.deadline = 1e9
    now = 1.0
    for _ in range(DEAD_AFTER):
        now += 100
        (record,) = link.feed.take_batch(now, 1)
        link.feed.record_outcome(record, REFUSED, Outcome.RETRY, now)
    assert len(link.feed.take_batch(now + 100, 3)) == 1
    assert link.feed.take_batch(now + 100, 3) == []


def test_a_record_that_another_may_have_sent_counts_as_maybe_sent_again(link: LeaseClient) -> None:
    link.poll(0.2)
    link.receive(replace(grant(0, 4), redelivered=((1, 3),)), 0.3)
    taken = [take(link.feed, 0.4) for _ in range(4)]
    assert [record.redelivered for record in taken if record] == [False, True, True, False]
    for record in taken:
        assert record
        link.feed.record_outcome(record, OK, Outcome.DELIVERED, 0.5)
    assert link.feed.attempts_made == (4, 0, 2), "nobody knows whether these two are repeats"


def test_a_retry_waits_for_its_time_while_other_records_go_out(link: LeaseClient) -> None:
    joined(link)
    first = take(link.feed, 0.4)
    assert first
    link.feed.record_outcome(first, BUSY, Outcome.RETRY, 0.5)
    assert [record.position for record in iter(lambda: take(link.feed, 0.6), None)] == [1, 2, 3]
    due = next_retry(link.feed)
    assert due is not None
    assert due >= 2.5, "Retry-After is waited out"
    assert take(link.feed, due) is first


def test_attempts_that_reached_the_api_are_counted_and_used_up(link: LeaseClient) -> None:
    joined(link)
    link.feed.deadline = 1e9
    record = take(link.feed, 0.4)
    for _ in range(2):
        assert record
        link.feed.record_outcome(record, Answer(503), Outcome.RETRY, 1.0)
        record = take(link.feed, 100.0)  # a retry that is due comes before what has not been sent
    assert record
    link.feed.record_outcome(record, Answer(503), Outcome.RETRY, 101.0)
    _, (failure,) = link.feed.drain_outcomes()
    assert (failure.positions, failure.attempts, failure.status, failure.in_doubt) == (((0, 1),), 3, 503, False)


def test_a_record_whose_answer_was_once_unknown_ends_in_doubt(link: LeaseClient) -> None:
    joined(link)
    link.feed.run = RunConfig("run", "POST", "/", (0.0, 0.0), 1, "at-least-once")
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, LOST, Outcome.RETRY, 0.5)
    _, (failure,) = link.feed.drain_outcomes()
    assert failure.in_doubt


def test_an_api_that_cannot_be_reached_uses_no_attempts_up_and_is_probed_once_a_second(link: LeaseClient) -> None:
    joined(link)
    link.feed.deadline = 1e9
    now = 1.0
    for _ in range(DEAD_AFTER):
        record = take(link.feed, now)
        assert record
        link.feed.record_outcome(record, REFUSED, Outcome.RETRY, now)
        now += 60.0
    assert link.feed.trouble == "the API cannot be reached: refused"
    probe = take(link.feed, now)
    assert probe
    assert take(link.feed, now + PROBE_S / 2) is None
    link.feed.record_outcome(probe, OK, Outcome.DELIVERED, now)
    assert link.feed.trouble == ""
    assert link.feed.drain_outcomes()[1] == ()


def test_when_the_run_is_over_what_waits_is_handed_back_and_what_was_doubted_is_in_doubt(link: LeaseClient) -> None:
    joined(link)
    first, second = take(link.feed, 0.4), take(link.feed, 0.4)
    assert first
    assert second
    link.feed.record_outcome(first, LOST, Outcome.RETRY, 0.5)
    link.feed.record_outcome(second, BUSY, Outcome.RETRY, 0.5)
    link.receive(AckReply(7, 3, 1, over=True, paused=False), 0.6)
    ack = link.poll(1.0)
    assert isinstance(ack, Ack)
    assert [(one.positions, one.in_doubt) for one in ack.failed] == [(((0, 1),), True)]
    assert ack.holds == ()
    assert take(link.feed, 0.7) is None


def test_a_second_word_on_one_attempt_changes_nothing(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, OK, Outcome.DELIVERED, 0.5)
    link.feed.record_outcome(record, LOST, Outcome.IN_DOUBT, 0.6)
    delivered, failures = link.feed.drain_outcomes()
    assert (list(delivered), failures) == ([(0, 1)], ())


def test_a_lease_that_contradicts_itself_is_refused(link: LeaseClient) -> None:
    joined(link)
    broken = LeaseGrant(7, 3, 1, 3, ((10, 12),), (), b"\0" * 8, (b"{}",))
    with pytest.raises(ProtocolError, match="lease 3"):
        link.receive(broken, 0.5)


def test_the_key_is_the_run_and_the_index(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    assert record.key == "run-0"


def test_while_outcomes_wait_for_an_answer_they_are_said_again_once_a_second(link: LeaseClient) -> None:
    """A master that is slow to read need not read the same four times a second."""
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, Answer(400), Outcome.REJECTED, 0.5)
    said = [(now / 20, link.poll(now / 20)) for now in range(20, 82)]
    acks = [(now, ack) for now, ack in said if isinstance(ack, Ack)]
    assert [now for now, _ in acks] == [1.0, 2.0, 3.0, 4.0]
    assert all(failed(ack.failed) == [0] for _, ack in acks)
    link.receive(AckReply(7, 3, acks[-1][1].seq, over=False, paused=False), 4.05)
    assert isinstance(link.poll(4.25), Ack), "and four times a second again when there is an answer"


def test_what_fails_alike_is_said_together_and_what_does_not_in_pieces() -> None:
    failures = Failures()
    for position in (5, 3, 4, 9):
        failures.add(position, (False, 1, 400, "HTTP 400", None))
    failures.add(6, (True, 1, 0, "x" * 2 * LONGEST_REASON, None))
    assert failures.take() == (
        Failure(((3, 6), (9, 10)), False, 1, 400, "HTTP 400"),
        Failure(((6, 7),), True, 1, 0, "x" * LONGEST_REASON),
    )
    for position in range(MOST_KINDS + 7):
        failures.add(position, (False, 1, 400, f"record {position}", None))
    first = failures.take()
    assert (len(first), len(failures)) == (MOST_KINDS, 7)
    failures.restore(first)
    assert failures.members() == set(range(MOST_KINDS + 7))


def test_a_report_has_room_for_so_many_bytes_of_answers() -> None:
    failures = Failures()
    fit = MOST_ANSWERS // MOST_BODY
    for position in range(2 * fit):
        body = (b"%d " % position).ljust(MOST_BODY)
        failures.add(position, (False, 1, 400, "HTTP 400", Excerpt("text/plain", (), body, MOST_BODY)))
    first, rest = failures.take(), len(failures)
    assert 0 < len(first) < fit < rest + len(first)
    assert sum(one.answer.size for one in first if one.answer) <= MOST_ANSWERS
    failures.restore(first)
    assert failures.members() == set(range(2 * fit))


def test_a_worker_asks_for_no_more_while_it_has_more_to_say_than_a_report_has_room_for(link: LeaseClient) -> None:
    joined(link)
    for position in range(2 * MOST_KINDS):
        link.feed._failed.add(position, (False, 1, 400, f"record {position}", None))
    first = link.poll(1.0)
    assert isinstance(first, Ack)
    assert (len(first.failed), first.wants) == (MOST_KINDS, 0)
    link.receive(AckReply(7, 3, first.seq, over=False, paused=False), 1.1)
    second = link.poll(1.3)
    assert isinstance(second, Ack)
    assert len(second.failed) == MOST_KINDS


HOLDS = replace(RUN, holds=True, max_attempts=1)


@pytest.fixture
def quota(link: LeaseClient) -> LeaseClient:
    """A worker whose run waits if the API asks for it, with four records that have one attempt each."""
    link.feed.run = HOLDS
    joined(link)
    return link


def test_the_api_asks_to_wait_and_the_worker_stops_at_once_tells_it_at_once_and_counts_no_attempt(
    quota: LeaseClient,
) -> None:
    first, second = take(quota.feed, 0.4), take(quota.feed, 0.4)
    assert first
    assert second
    quota.feed.record_outcome(first, Answer(429, retry_after=60.0), Outcome.RETRY, 0.5)
    assert quota.feed.needs_poll
    assert (take(quota.feed, 0.5), quota.feed.ready(0.5)) == (None, 0)
    ack = quota.poll(0.5)
    assert isinstance(ack, Ack)
    assert (ack.hold, ack.put_off, ack.wants) == (Hold(60.0, 429), 1, 0)
    assert quota.poll(0.55) is None, "it is said once, until an answer is missed"
    quota.feed.record_outcome(second, Answer(503, retry_after=90.0), Outcome.RETRY, 0.6)
    again = quota.poll(0.6)
    assert isinstance(again, Ack)
    assert again.hold == Hold(90.0, 503)
    quota.receive(AckReply(7, 3, again.seq, False, True), 0.7)
    quota.receive(AckReply(7, 4, again.seq, False, False), 95.0)
    assert quota.feed.deadline < 95.0  # only so that this is no test of leases
    quota.feed.deadline = 200.0
    assert take(quota.feed, 95.0) is first
    assert (first.attempts, first.put_off) == (2, 1)
    quota.feed.record_outcome(first, Answer(500), Outcome.RETRY, 95.1)
    assert failed(quota.feed.drain_outcomes()[1]) == [first.position], "and this attempt counts"


def test_while_it_tries_the_api_it_asks_for_one_record_and_says_when_one_was_answered(quota: LeaseClient) -> None:
    quota.poll(0.5)
    quota.receive(AckReply(7, 3, 2, False, False, probe=True), 0.6)
    (record,) = quota.feed.take_batch(0.7, 9)
    assert quota.feed.take_batch(0.8, 9) == []
    quota.feed.record_outcome(record, OK, Outcome.DELIVERED, 0.9)
    ack = quota.poll(0.9)
    assert isinstance(ack, Ack)
    assert ack.probed
    assert quota.poll(0.95) is None
    quota.receive(AckReply(7, 4, ack.seq, False, False), 1.0)
    assert len(quota.feed.take_batch(1.1, 9)) == 3


def test_a_limit_is_that_of_the_newest_answer(quota: LeaseClient) -> None:
    quota.poll(0.5)
    quota.receive(AckReply(7, 3, 2, False, False, limit=2.0), 0.6)
    assert [len(quota.feed.take_batch(now, 9)) for now in (0.6, 1.0, 1.2, 1.6, 1.8)] == [1, 0, 1, 0, 1]
    quota.receive(AckReply(7, 4, 2, False, False), 1.9)
    assert len(quota.feed.take_batch(1.9, 9)) == 1


def test_where_each_record_waits_for_itself_nothing_is_put_off(link: LeaseClient) -> None:
    joined(link)
    record = take(link.feed, 0.4)
    assert record
    link.feed.record_outcome(record, Answer(429, retry_after=60.0), Outcome.RETRY, 0.5)
    ack = link.poll(0.5)
    assert ack is None or (isinstance(ack, Ack) and ack.hold is None)
    assert len(link.feed.take_batch(0.6, 9)) == 3
    assert record.put_off == 0
