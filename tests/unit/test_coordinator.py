"""The master's side, message by message: whose word counts, and until when."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dead_letters import failure
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import (
    AllSettled,
    Decision,
    LeaseReclaimed,
    LeaseReturned,
    OutcomesRecorded,
    OutcomesRefused,
    Send,
    WorkerGone,
    WorkerJoined,
)
from traffic.core.master.invariants import check_ledger
from traffic.core.master.membership import USERS_S
from traffic.core.master.pacer import Pacer
from traffic.core.master.run import Run
from traffic.core.master.schedule_keeper import FIRST_ACKS_S
from traffic.core.order import Order
from traffic.core.pace.arrivals import EvenArrivals
from traffic.core.pace.profile import Profile
from traffic.core.pace.schedule import RateSchedule
from traffic.core.protocol import VERSION, Ack, AckReply, Hello, LeaseGrant, Message, RunConfig, Stamp, Welcome
from traffic.core.ranges import RangeSet
from traffic.core.record_state import RecordState
from traffic.core.wire import ProtocolError
from traffic.dataset.dataset import Dataset
from unit.a_run import close

TERMS = LeaseTerms(lease_s=5.0, lease_records=10)


class Bench:
    """A master with a run of `records`, and workers that are spoken for by the test."""

    def __init__(self, tmp_path: Path, records: int, policy: str = "at-least-once") -> None:
        file = tmp_path / "traffic.json"
        file.write_text("[" + ",".join(f'{{"n":{n}}}' for n in range(records)) + "]")
        terms = RunConfig("run", "POST", "/", (0.0, 0.0), 5, policy)
        dataset = Dataset.open(file)
        self.run = Run.of(terms, dataset, Order(records, 1, "file"))
        self.coordinator = LeaseCoordinator(TERMS, first_session=100)
        self.now = 0.0

    def hello(self, worker: str, last: int = 0) -> int:
        """The session that a worker is welcomed into; `last` is the one it was in before."""
        made = self.coordinator.receive(worker, Hello(VERSION, last), self.now)
        return next(one.message.session for one in sends(made) if isinstance(one.message, Welcome))

    def start(self, *workers: str) -> dict[str, int]:
        """Begin the run; each worker's session."""
        for worker in workers:
            self.hello(worker)
        made = self.coordinator.start(self.run, list(workers), self.now)
        return {one.worker: one.message.session for one in sends(made) if isinstance(one.message, Welcome)}

    def ack(self, worker: str, session: int, seq: int, **said: Any) -> list[Decision]:
        """What the master decides on an ack that says nothing but what is given."""
        blank = {"heard": 0, "run": "run", "delivered": (), "failed": (), "holds": (), "wants": 0, "attempts": 0}
        blank |= {"resent": 0, "users": 1, "trouble": "", "leaving": False}
        return self.coordinator.receive(worker, Ack(session=session, seq=seq, **{**blank, **said}), self.now)

    def state(self, position: int) -> RecordState:
        return RecordState(int(self.run.ledger.states[position]))


def sends(made: list[Decision]) -> list[Send]:
    return [one for one in made if isinstance(one, Send)]


def the_message(made: list[Decision]) -> Message:
    (send,) = sends(made)
    return send.message


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, 100)
    yield made
    check_ledger(made.run.ledger)
    close(made.run)


def test_a_lease_is_cut_from_the_workers_own_slice_and_bounded(bench: Bench) -> None:
    sessions = bench.start("a", "b", "c", "d")
    grant = the_message(bench.ack("b", sessions["b"], 1, wants=50))
    assert isinstance(grant, LeaseGrant)
    assert grant.positions == ((25, 35),)
    assert grant.index_list() == list(range(25, 35))
    assert grant.bodies[0] == b'{"n":25}'


def test_an_ack_is_read_once(bench: Bench) -> None:
    session = bench.start("a")["a"]
    assert bench.ack("a", session, 1, wants=5)
    assert bench.ack("a", session, 1, wants=5) == []


def test_a_lease_that_was_never_heard_of_goes_back(bench: Bench) -> None:
    session = bench.start("a")["a"]
    lost = the_message(bench.ack("a", session, 1, wants=5))
    bench.ack("a", session, 2)  # nothing heard yet: the lease may be on its way
    assert bench.state(0) is RecordState.LEASED
    assert isinstance(lost, LeaseGrant)
    made = bench.ack("a", session, 3, heard=lost.seq + 1)
    assert any(isinstance(one, LeaseReturned) for one in made)
    assert bench.state(0) is RecordState.PENDING


def test_what_is_held_stays_leased(bench: Bench) -> None:
    session = bench.start("a")["a"]
    grant = the_message(bench.ack("a", session, 1, wants=5))
    assert isinstance(grant, LeaseGrant)
    bench.ack("a", session, 2, heard=grant.seq, holds=((1, 5),), delivered=((0, 1),))
    assert bench.run.ledger.counts == [95, 4, 1, 0, 0]


def test_a_worker_that_is_silent_for_the_lease_is_given_up_and_its_share_is_cut_among_the_others(bench: Bench) -> None:
    sessions = bench.start("a", "b", "c")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.now = 4.9
    bench.ack("b", sessions["b"], 1)
    bench.ack("c", sessions["c"], 1)
    assert bench.coordinator.expire(bench.now) == []
    bench.now = 5.0
    made = bench.coordinator.expire(bench.now)
    assert [type(one) for one in made] == [LeaseReclaimed, WorkerGone]
    assert {name: len(rest) for name, rest in bench.run.ledger.assignment.remainders.items()} == {"b": 50, "c": 50}


def test_a_silence_that_is_the_masters_own_makes_no_lease_lapse(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.now = 4.0
    bench.coordinator.excuse_silence(bench.now)
    bench.now = 8.9
    assert not [one for one in bench.coordinator.expire(bench.now) if isinstance(one, LeaseReclaimed | WorkerGone)]
    bench.now = 9.0
    assert [one for one in bench.coordinator.expire(bench.now) if isinstance(one, LeaseReclaimed)]


def test_a_late_ack_from_a_reclaimed_lease_is_booked_and_does_not_count_twice(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.now = 6.0
    bench.ack("b", sessions["b"], 1)
    bench.coordinator.expire(bench.now)
    made = bench.ack("a", sessions["a"], 2, delivered=((0, 3),))
    again = next(one.message.session for one in sends(made) if isinstance(one.message, Welcome))
    bench.ack("a", again, 1, delivered=((0, 3),))
    assert bench.run.ledger.counts[RecordState.DELIVERED] == 3
    assert bench.run.ledger.shares["a"].delivered == 3


def test_what_a_former_session_says_it_holds_is_void(bench: Bench) -> None:
    old = bench.start("a", "b")["a"]
    bench.ack("a", old, 1, wants=5)
    new = bench.hello("a", old)
    bench.ack("a", old, 2, holds=((0, 5),))
    assert bench.state(0) is RecordState.PENDING
    assert new > old


def test_an_old_hello_does_not_end_a_session(bench: Bench) -> None:
    session = bench.start("a")["a"]
    bench.ack("a", session, 1, wants=5)
    assert bench.coordinator.receive("a", Hello(VERSION, session - 1), bench.now) == []
    assert bench.state(0) is RecordState.LEASED


def test_an_old_hello_does_not_end_a_session_that_began_with_an_ack(bench: Bench) -> None:
    first = bench.start("a", "b")["a"]
    bench.coordinator.worker_lost("a", "test")
    (answer,) = [one.message for one in sends(bench.ack("a", first, 1)) if isinstance(one.message, Welcome)]
    bench.ack("a", answer.session, 1, wants=5)
    leased = bench.run.ledger.positions(RecordState.LEASED)
    assert leased.count == 5
    assert bench.coordinator.receive("a", Hello(VERSION, first), bench.now) == []
    assert bench.run.ledger.positions(RecordState.LEASED) == leased


def test_a_hello_from_before_a_session_that_nothing_was_heard_in_is_answered_with_its_welcome(bench: Bench) -> None:
    session = bench.start("a")["a"]
    assert bench.hello("a", session - 1) == session


def test_a_hello_that_names_the_present_session_begins_another(bench: Bench) -> None:
    session = bench.start("a")["a"]
    bench.ack("a", session, 1, wants=5)
    assert bench.hello("a", session) > session
    assert bench.state(0) is RecordState.PENDING


def test_delivered_overrules_rejected_and_nothing_overrules_delivered(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    refused = failure(0)
    bench.run.ledger.record_leased("a", RangeSet([(0, 1)]))
    bench.run.ledger.record_leased("b", RangeSet([(0, 1)]))
    bench.ack("a", sessions["a"], 1, failed=(refused,))
    assert bench.state(0) is RecordState.REJECTED
    bench.ack("b", sessions["b"], 1, delivered=((0, 1),))
    assert bench.state(0) is RecordState.DELIVERED
    bench.ack("a", sessions["a"], 2, failed=(refused,))
    assert bench.state(0) is RecordState.DELIVERED
    assert bench.run.ledger.dead == {}


def test_a_late_failure_does_not_take_a_record_from_the_worker_that_is_sending_it(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.coordinator.worker_lost("a", "test")
    for seq in range(1, 11):
        bench.ack("b", sessions["b"], seq, heard=seq, wants=10, holds=((0, 100),))
    assert bench.state(0) is RecordState.LEASED
    late = failure(0, attempts=5, status=503)
    bench.ack("a", sessions["a"], 2, failed=(late,))
    assert bench.state(0) is RecordState.LEASED, "b is sending it, and will say what came of it"
    bench.ack("a", sessions["a"], 2, delivered=((0, 1),))
    assert bench.state(0) is RecordState.DELIVERED, "but delivered is delivered, whoever saw it"


def test_a_worker_that_leaves_hands_back_what_it_does_not_hold(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    made = bench.ack("a", sessions["a"], 2, leaving=True, delivered=((0, 1),))
    assert isinstance(sends(made)[0].message, AckReply)
    assert any(isinstance(one, WorkerGone) for one in made)
    assert len(bench.run.ledger.assignment.remainders["b"]) == 99
    ledger = bench.run.ledger
    assert not ledger.prior_attempts.tried_among(ledger.positions(RecordState.PENDING)), "nothing may have been sent"


def test_a_worker_that_joins_gets_an_equal_share(bench: Bench) -> None:
    bench.start("a", "b")
    bench.hello("c")
    assert sorted(len(rest) for rest in bench.run.ledger.assignment.remainders.values()) == [33, 33, 34]


def test_the_last_outcome_ends_the_run_and_every_worker_is_told(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.run.ledger.record_leased("a", RangeSet([(0, 100)]))
    made = bench.ack("a", sessions["a"], 1, delivered=((0, 100),))
    assert AllSettled("run") in made
    notified = {one.worker for one in sends(made) if isinstance(one.message, AckReply) and one.message.over}
    assert notified == {"a", "b"}


def test_at_most_once_puts_a_lost_workers_records_in_doubt(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 100, policy="at-most-once")
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.coordinator.worker_lost("a", "test")
    assert bench.run.ledger.counts == [95, 0, 0, 0, 5]
    check_ledger(bench.run.ledger)


def test_closing_leaves_in_doubt_what_may_have_been_sent_and_unsent_what_was_not(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.ack("b", sessions["b"], 1, wants=5)
    bench.coordinator.worker_lost("a", "test")  # five that may have been sent, pending again
    bench.coordinator.stop()
    bench.coordinator.close()
    assert bench.run.ledger.counts == [90, 0, 0, 0, 10]


def refused(made: list[Decision]) -> list[RangeSet]:
    """What the master says that it does not believe."""
    return [one.positions for one in made if isinstance(one, OutcomesRefused)]


@pytest.mark.parametrize("position", [5, 10, 99, 100, 10**20])
def test_what_a_worker_was_never_leased_is_not_booked_by_its_word_and_the_rest_is(bench: Bench, position: int) -> None:
    session = bench.start("a")["a"]
    bench.ack("a", session, 1, wants=5)
    made = bench.ack("a", session, 2, holds=((0, 5),), delivered=((0, 1), (position, position + 2)), attempts=3)
    assert refused(made) == [RangeSet([(position, position + 2)])]
    assert next(one for one in made if isinstance(one, OutcomesRecorded)).delivered == RangeSet([(0, 1)])
    made = bench.ack("a", session, 3, holds=((1, 5),), failed=(failure(1), failure(position)), attempts=4)
    assert refused(made) == [RangeSet([(position, position + 1)])]
    assert bench.run.ledger.counts == [95, 3, 1, 1, 0]
    assert bench.run.attempts == {"a": 4}


def test_a_peer_that_was_never_leased_anything_books_nothing_and_counts_for_nothing(bench: Bench) -> None:
    bench.start("a", "b")
    made = bench.ack("forger", 7, 1, delivered=((0, 90),), failed=(failure(95),), attempts=1000, resent=1000)
    assert refused(made) == [RangeSet([(0, 90), (95, 96)])]
    assert bench.run.ledger.counts == [100, 0, 0, 0, 0]
    assert (bench.run.attempts, bench.run.resent) == ({}, {})
    assert set(bench.run.ledger.shares) == set(bench.coordinator.sessions) == {"a", "b"}


def test_a_peer_that_does_not_listen_takes_no_part_and_one_that_does_joins(bench: Bench) -> None:
    bench.start("a", "b")
    for seq in range(1, 4):
        welcome = the_message(bench.ack("c", 7, seq))
        assert isinstance(welcome, Welcome)
        assert set(bench.run.ledger.assignment.remainders) == {"a", "b"}
    assert isinstance(welcome, Welcome)
    made = bench.ack("c", welcome.session, 1, wants=5)
    assert WorkerJoined("c", 33) in made
    assert isinstance(the_message(made), LeaseGrant)


def test_one_that_was_welcomed_and_is_silent_is_forgotten(bench: Bench) -> None:
    sessions = bench.start("a")
    welcome = the_message(bench.ack("c", 7, 1))
    assert isinstance(welcome, Welcome)
    bench.now = TERMS.lease_s
    bench.ack("a", sessions["a"], 1)
    assert bench.coordinator.expire(bench.now) == []
    again = the_message(bench.ack("c", welcome.session, 1, wants=5))
    assert isinstance(again, Welcome)
    assert again.session > welcome.session


def test_disbelief_is_told_less_and_less_often(bench: Bench) -> None:
    bench.start("a")
    notified = [refused(bench.ack(f"forger-{nth}", 7, 1, delivered=((0, 1),))) != [] for nth in range(1, 20)]
    assert [nth for nth, one in enumerate(notified, 1) if one] == [1, 2, 4, 8, 16]


def test_what_was_leased_before_a_worker_was_given_up_is_believed_of_it_for_the_whole_run(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, wants=5)
    bench.coordinator.worker_lost("a", "test")
    made = bench.ack("a", sessions["a"], 2, delivered=((0, 7),))
    assert refused(made) == [RangeSet([(5, 7)])]
    assert bench.run.ledger.counts[RecordState.DELIVERED] == 5


def test_another_version_of_the_protocol_is_refused(bench: Bench) -> None:
    with pytest.raises(ProtocolError, match="same release"):
        bench.coordinator.receive("a", Hello(VERSION + 1, 1), 0.0)


def test_the_outcomes_of_another_run_are_not_booked(bench: Bench) -> None:
    session = bench.start("a")["a"]
    bench.ack("a", session, 1, run="another", delivered=((0, 5),))
    assert bench.run.ledger.counts[RecordState.DELIVERED] == 0


def test_a_run_without_workers_or_with_a_dead_api_is_stalled(bench: Bench) -> None:
    assert bench.coordinator.stalled == "no worker is there"
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, trouble="the API cannot be reached: refused")
    bench.ack("b", sessions["b"], 1)
    assert bench.coordinator.stalled == ""
    bench.ack("b", sessions["b"], 2, trouble="the API cannot be reached: refused")
    assert bench.coordinator.stalled == "the API cannot be reached: refused"


def test_a_run_whose_users_are_all_gone_is_stalled_until_there_are_some(bench: Bench) -> None:
    sessions = bench.start("a", "b")
    bench.ack("a", sessions["a"], 1, users=1)
    bench.ack("b", sessions["b"], 1, users=0)
    assert bench.coordinator.stalled == ""
    bench.ack("a", sessions["a"], 2, users=0)
    assert bench.coordinator.stalled == "no user is there"
    bench.coordinator.pause()
    assert bench.coordinator.stalled == "", "a person wants it so"
    bench.coordinator.unpause()
    bench.ack("b", sessions["b"], 2, users=1)
    assert bench.coordinator.stalled == ""


def test_a_run_that_has_just_begun_is_given_time_for_its_users_to_come(bench: Bench) -> None:
    sessions = bench.start("a")
    for number, bench.now in enumerate((0.0, 4.0, 8.0, USERS_S - 0.1), 1):
        bench.ack("a", sessions["a"], number, users=0)
        bench.coordinator.expire(bench.now)
        assert bench.coordinator.stalled == ""
    bench.now = USERS_S
    bench.coordinator.expire(bench.now)
    assert bench.coordinator.stalled == "no user is there"


def test_a_worker_that_comes_after_all_were_lost_is_given_that_time_too(bench: Bench) -> None:
    sessions = bench.start("a")
    bench.ack("a", sessions["a"], 1, users=1)
    bench.now = 100.0
    bench.coordinator.expire(bench.now)
    assert bench.coordinator.stalled == "no worker is there"
    bench.hello("b")
    assert bench.coordinator.stalled == ""


def test_nothing_is_leased_before_the_longest_leases_of_a_former_master_have_lapsed(bench: Bench) -> None:
    bench.coordinator = LeaseCoordinator(TERMS, first_session=1000)
    bench.coordinator.resume(bench.run, {"a": RangeSet([(0, 5)])}, 30.0, bench.now)
    began = bench.now
    session = bench.hello("b")
    for seq, later in enumerate((4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 29.9), start=1):
        bench.now = began + later
        bench.coordinator.expire(bench.now)
        made = bench.ack("b", session, seq, wants=5)
        assert not [one for one in sends(made) if isinstance(one.message, LeaseGrant)]
    bench.now = began + 30.0
    bench.coordinator.expire(bench.now)
    made = bench.ack("b", session, 9, wants=5)
    assert [one for one in sends(made) if isinstance(one.message, LeaseGrant)]


def resume(bench: Bench, **held: tuple[int, int]) -> list[Decision]:
    """A new master takes the run up; `held` is what each worker had in hand."""
    bench.coordinator = LeaseCoordinator(TERMS, first_session=1000)
    held_by = {name: RangeSet([places]) for name, places in held.items()}
    return bench.coordinator.resume(bench.run, held_by, 5.0, bench.now)


def grants(made: list[Decision]) -> list[tuple[str, tuple[tuple[int, int], ...]]]:
    return [(one.worker, one.message.positions) for one in sends(made) if isinstance(one.message, LeaseGrant)]


def test_of_a_resumed_run_nothing_is_leased_before_the_old_leases_have_lapsed(bench: Bench) -> None:
    bench.now = 50.0
    resume(bench, a=(0, 10))
    session = bench.hello("b")
    bench.now = 54.9
    assert bench.coordinator.expire(bench.now) == []
    assert isinstance(the_message(bench.ack("b", session, 1, wants=5)), AckReply)
    bench.now = 55.0
    assert grants(bench.ack("b", session, 2, heard=2, wants=5)) == [("b", ((0, 5),))]


def test_a_resumed_run_is_dealt_equally_to_those_who_are_there_by_then(bench: Bench) -> None:
    resume(bench, gone=(0, 10))
    for worker in ("a", "b", "c"):
        bench.hello(worker)
        bench.now += 1.0
    assert bench.run.ledger.assignment.unassigned.count == 100
    bench.now = 5.0  # lease_s after the resume; a, who was there first, is given up
    made = bench.coordinator.expire(bench.now)
    assert [str(one) for one in made] == [
        "worker b joined, with a slice of 50 records",
        "worker c joined, with a slice of 50 records",
    ]
    bench.hello("d")
    assert sorted(len(rest) for rest in bench.run.ledger.assignment.remainders.values()) == [33, 33, 34]


@pytest.fixture
def paced(tmp_path: Path) -> Iterator[Bench]:
    """A run of 100 records at 10 a second."""
    made = Bench(tmp_path, 100)
    made.run.pacer = Pacer(RateSchedule(EvenArrivals(100), Profile.level(10)))
    yield made
    check_ledger(made.run.ledger)
    close(made.run)


def acked(bench: Bench, sessions: dict[str, int], seq: int, **said: Any) -> list[Decision]:
    return [one for worker, session in sessions.items() for one in bench.ack(worker, session, seq, **said)]


def due(grant: Message) -> list[float]:
    assert isinstance(grant, LeaseGrant)
    return grant.due_list()


def test_a_paced_run_has_no_slices_and_leases_only_what_comes_due_soon(paced: Bench) -> None:
    sessions = paced.start("a", "b")
    assert [share.slice for share in paced.run.ledger.shares.values()] == [0, 0]
    grants = [one.message for one in sends(acked(paced, sessions, 1, wants=100)) if isinstance(one.message, LeaseGrant)]
    # The clock began a second before the first is due, when the last worker was heard of: so 0.5 s are dealt.
    assert [due(grant) for grant in grants] == [[0.0, 0.2, 0.4]]
    assert due(the_message(paced.ack("a", sessions["a"], 2, wants=100))) == [0.1, 0.3]
    assert paced.run.ledger.counts[RecordState.LEASED] == 5


def test_a_paced_run_waits_for_the_first_ack_of_every_worker_but_not_for_long(paced: Bench) -> None:
    sessions = paced.start("a", "b")
    paced.ack("a", sessions["a"], 1, wants=100)
    assert paced.run.ledger.counts[RecordState.LEASED] == 0
    paced.now = FIRST_ACKS_S
    paced.ack("a", sessions["a"], 2, wants=100)
    assert paced.run.ledger.counts[RecordState.LEASED] == 5


def test_a_stop_of_the_schedule_is_told_to_every_worker_at_once_and_each_answer_has_its_second(paced: Bench) -> None:
    sessions = paced.start("a", "b")
    acked(paced, sessions, 1, wants=100)
    paced.now = 2.0
    acked(paced, sessions, 2)
    paced.coordinator.pause()
    told = [paced.coordinator.stamped("a", one.message, 2.5) for one in sends(paced.coordinator.expire(2.0))]
    assert [message.stamp for message in told] == [Stamp(2.0, 2.5, 1.0, 0.0)] * 2  # type: ignore[attr-defined]
    paced.coordinator.unpause()
    told = [paced.coordinator.stamped("a", one.message, 3.5) for one in sends(paced.coordinator.expire(3.0))]
    assert [message.stamp for message in told] == [Stamp(2.0, 3.5, 1.5, 1.0)] * 2  # type: ignore[attr-defined]
    assert paced.run.pacer is not None
    assert [(one.at, one.seconds, one.reason) for one in paced.run.pacer.clock.stops] == [
        (1.0, 1.0, "paused by a person")
    ]


def test_what_the_masters_process_holds_stands_still(paced: Bench) -> None:
    paced.coordinator.schedule.hold = "the users are starting"
    sessions = paced.start("a")
    paced.ack("a", sessions["a"], 1, wants=100)
    assert paced.run.ledger.counts[RecordState.LEASED] == 0
    paced.coordinator.schedule.hold = ""
    paced.ack("a", sessions["a"], 2, wants=100)
    assert paced.run.ledger.counts[RecordState.LEASED] == 5


def test_what_a_lost_worker_had_is_dealt_again_in_a_paced_run_too(paced: Bench) -> None:
    sessions = paced.start("a", "b")
    acked(paced, sessions, 1, wants=100)
    paced.ack("a", sessions["a"], 2, wants=100)
    paced.now = 4.0
    paced.ack("b", sessions["b"], 2, wants=100)
    paced.now = 6.0
    paced.coordinator.expire(6.0)  # a was silent for its lease
    grant = the_message(paced.ack("b", sessions["b"], 3, wants=100))
    assert isinstance(grant, LeaseGrant)
    assert due(grant)[:2] == [0.1, 0.3]
    assert grant.redelivered


def test_a_worker_without_a_rate_gets_no_times_and_no_stamp(bench: Bench) -> None:
    session = bench.start("a")["a"]
    grant = the_message(bench.ack("a", session, 1, wants=5))
    assert isinstance(grant, LeaseGrant)
    assert (grant.due, grant.stamp) == (b"", None)
