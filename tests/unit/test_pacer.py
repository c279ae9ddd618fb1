"""What comes due is dealt to those who are heard of, in turns by their users, and not far ahead."""

import numpy as np
import pytest

from traffic.core.master.assignment import Assignment
from traffic.core.master.pacer import AHEAD_S, LEAD_S, SILENT_S, Pacer
from traffic.core.master.session import Session
from traffic.core.pace.arrivals import EvenArrivals
from traffic.core.pace.profile import Piece, Profile
from traffic.core.pace.recorded import RecordedSchedule
from traffic.core.pace.schedule import RateSchedule
from traffic.core.ranges import RangeSet

RECORDS, RATE = 1000, 100


class Dealt:
    """A pacer at work on a run of 1,000 records at 100 a second, whose clock runs from time 0 on."""

    def __init__(self, **users: int) -> None:
        self.pacer = Pacer(RateSchedule(EvenArrivals(RECORDS), Profile.level(RATE)))
        self.pacer.clock.stand_at(0.0)
        self.pacer.clock.set(0.0, "")
        self.assignment = Assignment()
        self.assignment.unassigned.add(0, RECORDS)
        self.sessions: dict[str, Session] = {}
        for name, count in users.items():
            self.join(name, count)

    def join(self, name: str, users: int = 1, heard_at: float = 0.0) -> Session:
        self.assignment.remainders[name] = RangeSet()
        self.sessions[name] = Session(name, 1, 99.0, heard_at=heard_at, users=users)
        return self.sessions[name]

    def deal(self, now: float) -> dict[str, int]:
        for session in self.sessions.values():
            if session.heard_at == 0.0:
                session.heard_at = now
        made = self.pacer.deal(self.assignment, list(self.sessions.values()), now)
        for session in self.sessions.values():
            if session.heard_at == now:
                session.heard_at = 0.0
        return made

    def has(self, name: str) -> list[int]:
        return list(self.assignment.remainders[name].members())


def test_what_comes_due_soon_is_dealt_and_no_more():
    dealt = Dealt(a=1)
    assert dealt.deal(0.0) == {"a": round(AHEAD_S * RATE)}
    assert dealt.has("a") == list(range(150))
    assert dealt.deal(0.0) == {}
    assert dealt.deal(0.25) == {"a": 25}
    assert dealt.assignment.unassigned == RangeSet([(175, 1000)])


def test_turns_alternate_and_go_by_the_users():
    dealt = Dealt(a=1, b=3)
    assert dealt.deal(0.0) == pytest.approx({"a": 37, "b": 113}, abs=1)
    gaps = {one - other for one, other in zip(dealt.has("a")[1:], dealt.has("a"), strict=False)}
    assert gaps == {4}, "every fourth record, not the first quarter"


def test_records_of_one_moment_stay_together():
    dealt = Dealt(a=1, b=1)
    dealt.pacer.schedule = RateSchedule(EvenArrivals(RECORDS), Profile.level(5000))
    dealt.deal(0.0)
    sizes = {stop - start for name in "ab" for start, stop in dealt.assignment.remainders[name]}
    assert max(sizes) <= 10
    assert len(dealt.assignment.remainders["a"].pairs) <= 110


def test_one_that_joins_has_its_part_of_what_comes_next_and_nothing_is_taken_from_others():
    dealt = Dealt(a=1)
    dealt.deal(0.0)
    dealt.join("b")
    assert dealt.deal(1.0) == {"a": 50, "b": 50}
    assert dealt.has("a")[:150] == list(range(150))


def test_of_one_that_is_silent_everything_is_dealt_again_at_once():
    dealt = Dealt(a=1, b=1)
    dealt.deal(0.0)
    had = dealt.has("b")
    dealt.sessions["b"].heard_at = 0.001
    now = SILENT_S + 0.002
    changed = dealt.deal(now)
    assert (changed["b"], dealt.has("b")) == (-len(had), [])
    assert set(had) <= set(dealt.has("a"))


def test_without_anybody_what_is_due_waits_and_is_dealt_to_the_first_who_comes():
    dealt = Dealt(a=1)
    dealt.sessions["a"].heard_at = -9.0
    assert dealt.deal(0.0) == {}
    assert dealt.deal(3.0) == {}
    dealt.join("b")
    assert dealt.deal(3.0) == {"b": 450}


def test_one_without_users_is_dealt_nothing():
    dealt = Dealt(a=1, b=0)
    assert dealt.deal(0.0) == {"a": 150}


def test_one_in_trouble_has_one_record_to_probe_with_and_another_next_time():
    dealt = Dealt(a=1, b=1)
    dealt.sessions["b"].trouble = "the API cannot be reached"
    assert dealt.deal(0.0) == {"a": 149, "b": 1}
    probe = dealt.has("b")
    assert dealt.deal(0.5) == {"a": 50}
    dealt.deal(SILENT_S)
    assert len(dealt.has("b")) == 1
    assert dealt.has("b") != probe
    assert set(probe) <= set(dealt.has("a")), "others send what came back from a probe"


def test_the_last_record_of_all_goes_to_those_who_are_well():
    dealt = Dealt(a=1, b=1)
    dealt.assignment.unassigned = RangeSet([(7, 8)])
    dealt.sessions["b"].trouble = "the API cannot be reached"
    dealt.deal(0.0)
    dealt.deal(SILENT_S)
    assert dealt.has("a") == [7]


def test_if_all_are_in_trouble_each_has_a_record_to_probe_with():
    dealt = Dealt(a=1, b=1)
    for session in dealt.sessions.values():
        session.trouble = "the API does not answer"
    assert dealt.deal(0.0) == {"a": 1, "b": 1}
    dealt.pacer.clock.set(0.0, "the API does not answer")
    dealt.pacer.allow_probes(RangeSet([(149, 150)]))
    assert dealt.pacer.clock.read(0.0) == 1.49


def test_a_run_that_goes_on_begins_shortly_before_what_is_pending():
    schedule = RateSchedule(EvenArrivals(RECORDS), Profile.level(RATE))
    pacer = Pacer.resumed(schedule, RangeSet([(300, 310), (350, 1000)]), 350)
    assert (pacer.frontier, pacer.clock.read(0.0)) == (350, 2.0), "what had been dealt ahead keeps its time"


def test_a_run_that_goes_on_does_not_wait_once_more_for_what_is_long_overdue():
    schedule = RateSchedule(EvenArrivals(RECORDS), Profile.level(RATE))
    pacer = Pacer.resumed(schedule, RangeSet([(3, 4), (900, 1000)]), 900)
    assert pacer.clock.read(0.0) == pytest.approx(9.0 - AHEAD_S - LEAD_S)
    whole = Pacer.resumed(schedule, RangeSet([(3, 4)]), RECORDS)
    assert whole.clock.read(0.0) == pytest.approx(9.99 - AHEAD_S - LEAD_S)


def test_another_rate_moves_nothing_that_a_former_master_has_leased():
    schedule = RateSchedule(EvenArrivals(RECORDS), Profile.level(RATE))
    pacer = Pacer.resumed(schedule, RangeSet([(300, 310), (350, 1000)]), 350)
    before = schedule.due(range(350)).tolist()
    assert pacer.change_rate(Profile.level(10), 0.0) == 3.5
    assert schedule.due(range(350)).tolist() == before


def test_another_rate_counts_for_what_is_not_dealt_yet():
    dealt = Dealt(a=1)
    dealt.deal(0.0)
    assert dealt.pacer.change_rate(Profile.level(10), 0.25) == 0.25 + AHEAD_S
    assert dealt.deal(0.25) == {"a": 25}
    assert dealt.deal(1.25) == {"a": 10}
    with pytest.raises(ValueError, match="ends at 0/s"):
        dealt.pacer.change_rate(Profile([Piece(10, 0, 10)]), 1.25)
    assert dealt.deal(2.25) == {"a": 10}


def test_the_spacing_of_a_worker_is_that_of_its_share():
    dealt = Dealt(a=1, b=4)
    sessions = list(dealt.sessions.values())
    assert dealt.pacer.spacing("b", sessions, 0.0) == pytest.approx(1 / 80)
    assert dealt.pacer.spacing("nobody", sessions, 0.0) == 0.0


def test_what_is_sent_again_after_the_end_of_recorded_times_goes_at_their_average_rate():
    dealt = Dealt(a=3, b=1)
    times = np.arange(41, dtype=np.int64) * 250_000_000
    dealt.pacer = Pacer.resumed(RecordedSchedule(times, speed=2), RangeSet([(3, 9)]), 41)
    assert dealt.pacer.clock.read(0.0) == 5.0 - AHEAD_S - LEAD_S
    dealt.pacer.clock.set(0.0, "")
    sessions = list(dealt.sessions.values())
    assert dealt.pacer.spacing("a", sessions, 0.0) == pytest.approx(1 / 8 / 0.75)
    assert dealt.pacer.schedule.rate(dealt.pacer.clock.read(60.0)) == 0
    assert dealt.pacer.spacing("a", sessions, 60.0) == pytest.approx(5.0 / 41 / 0.75)


def test_records_of_one_moment_have_no_distance():
    dealt = Dealt(a=1)
    dealt.pacer = Pacer(RecordedSchedule(np.zeros(3, np.int64)))
    assert dealt.pacer.spacing("a", list(dealt.sessions.values()), 60.0) == 0
