"""What workers measure of a pace, and what the master makes of it: how late, by whose fault, and how many users."""

from typing import Any

import pytest

from traffic.core.master.decisions import UsersJudged
from traffic.core.master.pace_monitor import SHORT_LEAST, SHORT_S, PaceMonitor
from traffic.core.master.pace_report import pace_status
from traffic.core.master.pacer import Pacer
from traffic.core.master.session import Session
from traffic.core.pace.arrivals import EvenArrivals
from traffic.core.pace.measures import LATE_S, LateCause, PaceMeasures
from traffic.core.pace.profile import Profile
from traffic.core.pace.schedule import RateSchedule
from traffic.core.worker.pace_meter import PaceMeter


def session(name: str, users: int = 4, **more: Any) -> Session:
    return Session(name, 1, 99.0, users=users, **more)


def measured(sent: int = 1, *, late: float = 0.0, answer_s: float = 0.1, second: float = 1.0) -> PaceMeasures:
    meter = PaceMeter()
    for _ in range(sent):
        meter.note_taken(late, second, LateCause.NO_FREE_USER)
        meter.note_over(answer_s, 0.0)
    return meter.measures()


def test_a_meter_counts_what_was_late_and_why() -> None:
    meter = PaceMeter()
    for late in (0.0, LATE_S, 0.011, 0.11, 1.1):
        meter.note_taken(late, late, LateCause.LEASE_LATE)
    meter.note_taken(0.5, 0.9, LateCause.WORKER_LOST)
    made = meter.measures()
    assert (made.sent, made.second, made.over) == (6, 1.1, [4, 3, 1])
    assert made.because == [0, 3, 1, 0, 0]
    assert made.late.most == 1.1
    meter.note_taken(0.0, 2.0, LateCause.BACKLOG)
    assert (made.sent, meter.measures().sent) == (6, 7), "what was returned does not change any more"


def test_measures_of_workers_add_up_and_an_older_message_changes_nothing() -> None:
    monitor = PaceMonitor()
    monitor.note("a", measured(3, second=1.0))
    monitor.note("b", measured(2, second=7.0, late=0.5))
    monitor.note("a", measured(1))
    monitor.note("a", None)
    total = monitor.total()
    assert (total.sent, monitor.sent, total.second, total.over) == (5, 5, 7.0, [2, 2, 0])


def test_the_users_that_are_needed_are_rate_times_answer() -> None:
    monitor = PaceMonitor()
    assert monitor.needed(monitor.total()) is None
    monitor.note("a", measured(100, answer_s=0.2))
    monitor.watch([session("a")], 50.0, 0.0)
    monitor.watch([session("a")], 10.0, 1.0)
    assert monitor.needed(monitor.total()) == pytest.approx(10, abs=1), "at the highest rate so far"


def test_users_are_too_few_if_records_are_late_for_want_of_one_and_then_enough_again() -> None:
    monitor = PaceMonitor()
    few = [session("a", users=2)]
    monitor.note("a", measured(10, answer_s=1.0))
    assert monitor.watch(few, 10.0, 0.0) is None
    monitor.note("a", measured(10 + SHORT_LEAST, late=0.5, answer_s=1.0))
    judged = monitor.watch(few, 10.0, 1.0)
    assert judged == UsersJudged(13, 3, 2, 10, short=True)
    assert str(judged).startswith(
        "too few users: 13 of the latest 3 records are late because none is free. The rate takes"
    )
    assert monitor.watch(few, 10.0, 2.0) is None, "it is said once"
    better = monitor.watch([session("a", users=20)], 10.0, 2.0 + SHORT_S + 0.1)
    assert better is not None
    assert str(better) == "the users are enough again: records go out when they are due, by 20 users"


def test_records_that_wait_for_a_user_count_while_no_answer_comes_at_all() -> None:
    monitor = PaceMonitor()
    judged = monitor.watch([session("a", users=1, overdue=5)], 10.0, 0.0)
    assert judged == UsersJudged(5, 5, 1, None, short=True)
    assert str(judged).endswith("All 1 user wait for the API's answers")


def test_how_busy_the_users_were_is_that_of_all_workers_together() -> None:
    monitor = PaceMonitor()
    for at in range(99):
        monitor.watch([session("a", busy=2), session("b", busy=1)], 1.0, float(at))
    monitor.watch([session("a", busy=4), session("b", busy=4)], 1.0, 100.0)
    assert monitor.users_busy(monitor.total()) == {"p99": 3, "max": 8, "needed": None}


def a_pacer(records: int = 100, rate: float = 50.0) -> Pacer:
    pacer = Pacer(RateSchedule(EvenArrivals(records), Profile.level(rate)))
    pacer.clock.stand_at(0.0)
    pacer.clock.set(0.0, "")
    return pacer


def test_a_status_says_what_was_planned_and_what_was_sent() -> None:
    pacer = a_pacer()
    pacer.monitor.note("a", measured(34, second=1.0, late=0.002))
    pacer.clock.set(1.0, "paused by a person")
    status = pace_status(pacer, 3.5, whole=True)
    assert (status["second"], status["running"], status["planned_s"], status["sent_s"]) == (1.0, False, 1.98, 1.0)
    assert (status["rate"], status["rate_error"]) == (34.0, pytest.approx(-1 / 3, abs=1e-4)), "51 were due"
    assert status["late"]["p50"] == status["late"]["max"] == 0.002
    assert status["late"]["over_10ms"] == 0
    assert status["late"]["because"] == {
        "no_free_user": 0,
        "lease_late": 0,
        "worker_lost": 0,
        "api_unreachable": 0,
        "backlog": 0,
    }
    assert status["frozen"] == [{"from": 1.0, "s": 2.5, "reason": "paused by a person"}]


def test_a_run_that_has_sent_all_is_measured_against_its_whole_plan() -> None:
    pacer = a_pacer()
    pacer.monitor.note("a", measured(100, second=1.98))
    assert pace_status(pacer, 9.0, whole=True)["rate_error"] == 0.0
    late = a_pacer()
    late.monitor.note("a", measured(100, second=3.96))
    assert pace_status(late, 9.0, whole=True)["rate_error"] == -0.5
    assert pace_status(late, 9.0, whole=False)["rate"] is None


def test_a_record_is_late_for_want_of_a_user_if_none_was_free_for_most_of_that_time() -> None:
    meter = PaceMeter()
    meter.note_busy(1, 2, 1.0)
    assert meter.late_cause(1.0, 2.0) is LateCause.BACKLOG
    meter.note_busy(2, 2, 2.0)
    meter.note_over(1.0, 3.0)  # both answers come together, and both users take the next one
    meter.note_over(1.0, 3.0)
    assert meter.late_cause(2.5, 3.0) is LateCause.NO_FREE_USER
    assert meter.late_cause(0.5, 3.0) is LateCause.BACKLOG
    meter.note_busy(2, 2, 3.0)
    assert meter.late_cause(1.5, 3.9) is LateCause.NO_FREE_USER, "that moment was none"
    meter.note_over(0.9, 3.9)
    meter.note_busy(2, 2, 5.0)
    assert meter.late_cause(3.5, 5.0) is LateCause.BACKLOG
