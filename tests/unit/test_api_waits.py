"""The API wants the run slower: a wait that it asks for, and a rate that comes down, on the master and on a worker."""

import pytest

from traffic.core.master.api_hold import ApiHold
from traffic.core.master.rate_backoff import LEAST_RATE, RECOVERY_S, SETTLE_S, RateBackoff
from traffic.core.outcome import Answer
from traffic.core.protocol import Hold
from traffic.core.worker.put_off import PutOff
from traffic.core.worker.rate_limit import RateLimit
from traffic.core.worker.record import Record

WELL = {"a": False, "b": False}


def held(seconds: float = 30.0, worker: str = "b") -> ApiHold:
    hold = ApiHold()
    assert hold.note(Hold(seconds, 429), worker, 0.0)
    return hold


def test_a_wait_stops_every_worker_until_it_is_over_and_the_one_that_was_asked_tries_first() -> None:
    hold = held()
    assert hold.stops("a")
    assert hold.stops("b")
    assert not hold.follow(WELL, 29.9)
    assert hold.follow(WELL, 30.0)
    assert (hold.stops("a"), hold.stops("b")) == (True, False)
    assert not hold.follow(WELL, 31.0)
    assert hold.lift(31.0)
    assert not hold.stops("a")
    assert (hold.times, hold.seconds, hold.lift(32.0)) == (1, 31.0, False)


def test_the_longest_of_several_waits_counts_and_one_of_them_is_news() -> None:
    hold = held(10.0)
    assert not hold.note(Hold(30.0, 503), "a", 1.0)
    assert not hold.note(Hold(1.0, 429), "a", 2.0)
    assert hold.until == 31.0


def test_a_wait_that_is_asked_for_again_is_the_same_wait_and_is_news_to_the_workers() -> None:
    hold = held(10.0)
    hold.follow(WELL, 10.0)
    assert hold.note(Hold(20.0, 429), "b", 11.0)
    assert (hold.since, hold.until, hold.prober, hold.times) == (0.0, 31.0, "", 1)
    assert hold.waited_s(40.0) == 40.0


@pytest.mark.parametrize("gone", [{"a": False}, {"a": False, "b": True}], ids=["it is gone", "it is in trouble"])
def test_another_one_tries_if_the_one_that_was_to_try_cannot(gone: dict[str, bool]) -> None:
    hold = held()
    hold.follow(WELL, 30.0)
    assert hold.follow(gone, 31.0)
    assert hold.prober == "a"


def test_the_first_of_the_others_tries_as_it_has_a_record_to_try_with() -> None:
    hold = held(worker="gone")
    hold.follow({"b": False, "a": False}, 30.0)
    assert hold.prober == "b"


def test_if_all_are_in_trouble_the_wait_is_over_and_without_workers_it_goes_on() -> None:
    assert not held().follow({}, 99.0)
    hold = held()
    assert hold.follow({"a": True, "b": True}, 30.0)
    assert not hold.held


def test_a_person_may_have_the_api_tried_at_once() -> None:
    hold = held(3600.0)
    hold.try_now(5.0)
    assert hold.follow(WELL, 5.0)
    assert hold.until - hold.since == 0.0


def test_a_restored_wait_goes_on_and_one_that_is_over_is_tried_first() -> None:
    hold = ApiHold()
    hold.restore(-5.0, 429, 100.0)
    assert hold.stops("a")
    assert hold.follow(WELL, 100.0)
    assert hold.prober == "a"


def test_answers_are_counted_by_worker_since_the_run_began_there() -> None:
    hold = ApiHold()
    for worker, count in (("a", 2), ("b", 1), ("a", 1), ("a", 5)):
        hold.count(worker, count)
    assert hold.answers == 6


def test_a_429_halves_the_share_once_a_second_and_it_grows_back() -> None:
    backoff = RateBackoff()
    assert backoff.note("a", 1, 100.0, 10.0)
    assert (backoff.share, backoff.usual) == (0.5, 100.0)
    assert not backoff.note("a", 5, 100.0, 10.0 + SETTLE_S / 2), "these were on their way"
    assert not backoff.note("a", 5, 100.0, 99.0), "and are no news later"
    backoff = RateBackoff()
    backoff.note("a", 1, 100.0, 10.0)
    assert backoff.note("b", 1, 7.0, 10.0 + SETTLE_S)
    assert (backoff.share, backoff.usual, backoff.answers) == (0.25, 100.0, 2)
    assert not backoff.grow(10.0 + SETTLE_S * 1.5)
    assert backoff.grow(10.0 + SETTLE_S + RECOVERY_S)
    assert backoff.share == pytest.approx(0.5), "in that time it comes back to where it was"
    assert backoff.grow(10.0 + SETTLE_S + 9 * RECOVERY_S)
    assert (backoff.share, backoff.slowed, backoff.limit(1, 4)) == (1.0, False, 0.0)


def test_a_run_is_never_slower_than_it_takes_to_find_out() -> None:
    backoff = RateBackoff()
    for at in range(60):
        backoff.note("a", at + 1, 8.0, at * SETTLE_S)
    assert backoff.share * backoff.usual == pytest.approx(LEAST_RATE)
    assert backoff.limit(1, 4) == pytest.approx(LEAST_RATE / 4)
    assert RateBackoff().limit(1, 0) == 0.0


def test_a_limit_lets_through_so_many_a_second_and_keeps_none_for_later() -> None:
    limit = RateLimit()
    assert limit.allowed(0.0, 7) == 7
    limit.set(50.0)
    limit.allowed(0.0, 9)
    passed = 0
    for step in range(1, 101):
        count = limit.allowed(step / 100, 9)
        limit.take(count)
        passed += count
    assert passed == pytest.approx(50, abs=1)
    assert limit.allowed(60.0, 99) == 5, "a tenth of a second's"
    limit.set(0.0)
    assert limit.allowed(60.0, 99) == 99


def test_a_slow_limit_lets_one_through_when_it_is_time() -> None:
    limit = RateLimit()
    limit.set(0.5)
    assert [limit.allowed(at, 3) for at in (0.0, 1.0, 2.0, 2.1)] == [0, 0, 1, 1]
    limit.take(1)
    assert [limit.allowed(at, 3) for at in (3.0, 4.0, 4.2)] == [0, 0, 1]


def asked(seconds: float) -> Answer:
    return Answer(429, "HTTP 429", retry_after=seconds)


def a_record() -> Record:
    return Record("run", 1, 0, 0, b"{}", redelivered=False)


def test_a_worker_stops_at_once_and_until_it_is_told_or_the_wait_is_over() -> None:
    state = PutOff()
    state.note(asked(30.0), 100.0)
    assert state.stops(129.9, 0)
    assert not state.stops(130.0, 0)
    assert state.request(110.0) == (1, Hold(20.0, 429))
    state.confirm(1)
    assert not state.stops(101.0, 0), "the master says by now whether it may go on"
    assert state.request(110.0) is None


def test_a_confirmation_of_an_older_request_does_not_end_a_newer_one() -> None:
    state = PutOff()
    state.note(asked(30.0), 100.0)
    state.note(asked(60.0), 101.0)
    state.confirm(1)
    assert state.stops(150.0, 0)
    state.note(asked(1.0), 102.0)
    request = state.request(102.0)
    assert request is not None
    assert request[1].seconds == 59.0, "the longest that is not confirmed"


def test_while_it_tries_one_record_is_in_flight_and_only_that_ones_answer_counts() -> None:
    state = PutOff()
    state.follow(probing=True)
    assert (state.stops(0.0, 0), state.stops(0.0, 1)) == (False, True)
    before, probe = a_record(), a_record()
    assert not state.note_outcome(before, Answer(201))
    state.begin_probe(probe)
    assert not state.note_outcome(before, Answer(201))
    assert state.note_outcome(probe, Answer(201))
    assert state.probed
    state.follow(probing=True)
    assert state.probed
    state.follow(probing=False)
    assert not state.probed


def test_a_try_that_has_no_answer_proves_nothing() -> None:
    state = PutOff()
    state.follow(probing=True)
    probe = a_record()
    state.begin_probe(probe)
    assert not state.note_outcome(probe, Answer(0, "lost"))
    assert not state.probed


@pytest.mark.parametrize(
    ("answer", "waits", "counts"),
    [
        (Answer(429, retry_after=0.0), True, False),
        (Answer(503, retry_after=5.0), True, False),
        (Answer(429), False, False),
        (Answer(503), False, True),
        (Answer(500, retry_after=5.0), False, True),
        (Answer(425, retry_after=5.0), False, True),
        (Answer(0), False, True),
    ],
)
def test_which_answers_ask_to_wait_and_which_attempts_do_not_count(answer: Answer, waits: bool, counts: bool) -> None:
    assert (answer.asks_to_wait, not answer.is_no_attempt) == (waits, counts)
