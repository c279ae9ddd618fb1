"""The schedule's clock runs, stands still and says why; a worker's estimate of it is as good as the way to it."""

import random

import pytest

from traffic.core.pace.schedule_clock import ScheduleClock, Stop
from traffic.core.worker.schedule_estimate import ScheduleEstimate


def test_it_runs_while_there_is_no_reason_to_stop():
    clock = ScheduleClock(-1.0)
    assert (clock.read(50.0), clock.running, clock.started) == (-1.0, False, False)
    assert clock.set(50.0, "") is True
    assert clock.set(51.0, "") is False
    assert (clock.read(52.5), clock.running, clock.started) == (1.5, True, True)


def test_it_stands_still_for_a_reason_and_notes_how_long():
    clock = ScheduleClock()
    clock.set(0.0, "")
    assert clock.set(2.0, "no worker is there") is True
    assert clock.set(3.0, "paused by a person") is False
    assert (clock.read(9.0), clock.running, clock.started) == (2.0, False, True)
    clock.set(9.0, "")
    assert clock.read(10.0) == 3.0
    assert clock.stops == [Stop(2.0, 7.0, "no worker is there")]


def test_the_wait_before_the_beginning_is_a_stop_too_if_it_has_a_reason():
    clock = ScheduleClock()
    clock.set(5.0, "the workers are starting")
    clock.set(6.5, "")
    assert clock.stops == [Stop(0.0, 1.5, "the workers are starting")]


def test_one_that_stands_still_can_be_put_forward_and_never_back():
    clock = ScheduleClock()
    clock.stand_at(4.0)
    clock.stand_at(3.0)
    assert clock.read(0.0) == 4.0
    clock.set(0.0, "")
    clock.stand_at(99.0)
    assert clock.read(1.0) == 5.0


def test_an_estimate_is_unknown_before_the_first_round_trip():
    estimate = ScheduleEstimate()
    estimate.note_second(100.0, 5.0, 1.0)
    assert (estimate.second(1.0), estimate.when(5.0), estimate.known) == (-float("inf"), float("inf"), False)


def test_on_a_way_that_is_as_long_there_as_back_the_estimate_is_exact():
    estimate = ScheduleEstimate()
    # The master's clock is 1,000 s ahead; the ack took 0.1 s, the master 0.5 s, the answer 0.1 s.
    estimate.note_round_trip(sent=10.0, read=1010.1, left=1010.6, received=10.7)
    estimate.note_second(1010.6, 3.0, 1.0)
    assert estimate.second(10.7) == pytest.approx(3.1)
    assert estimate.when(4.0) == pytest.approx(11.6)
    assert estimate.delay_s == pytest.approx(0.2)


def test_a_schedule_that_stands_still_is_at_its_second_at_any_time():
    estimate = ScheduleEstimate()
    estimate.note_round_trip(0.0, 0.0, 0.0, 0.0)
    estimate.note_second(0.0, 3.0, 0.0)
    assert (estimate.second(0.0), estimate.second(99.0)) == (3.0, 3.0)
    assert (estimate.when(3.0), estimate.when(3.1)) == (-float("inf"), float("inf"))


@pytest.mark.parametrize("seed", range(20))
def test_the_error_is_half_the_delay_of_the_best_sample_at_most(seed):
    chance = random.Random(seed)
    distance, drift = chance.uniform(-500, 500), chance.uniform(-2e-4, 2e-4)
    masters = lambda time: time * (1 + drift) + distance  # noqa: E731
    estimate, time = ScheduleEstimate(), 100.0
    for _ in range(40):
        there, work, back = chance.expovariate(20), chance.choice([0, 0.5]), chance.expovariate(chance.choice([2, 200]))
        read, left = masters(time + there), masters(time + there + work)
        received = time + there + work + back
        estimate.note_round_trip(time, read, left, received)
        estimate.note_second(left, left, 1.0)  # a schedule that is the master's clock itself
        # Eight samples are two seconds old at most here, in which the clocks drift apart a little.
        error = abs(estimate.second(received) - masters(received))
        assert error <= estimate.delay_s / 2 + 8 * 4 * abs(drift) * 2 + 1e-9
        time = received + 0.25
