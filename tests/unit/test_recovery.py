"""From a journal's entries to a run that goes on: who has settled what, who had what in hand, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from support.dead_letters import each_letter, failure, letter_group
from traffic.core.master.decisions import (
    AllSettled,
    Entry,
    Leased,
    LeaseReturned,
    OutcomesRecorded,
    OutcomesRefused,
    Reopened,
    Send,
)
from traffic.core.master.in_doubt import LOST_AT_END, LOST_AT_RESTART
from traffic.core.master.invariants import check_ledger
from traffic.core.master.recovery import Recovery, RecoveryError
from traffic.core.master.run import Run
from traffic.core.protocol import AckReply, LeaseGrant, Welcome
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetter, RecordState
from unit.a_run import close
from unit.test_coordinator import TERMS, Bench, sends, the_message


def places(start: int, stop: int) -> RangeSet:
    return RangeSet([(start, stop)])


def letter(position: int, worker: str, state: RecordState = RecordState.REJECTED) -> DeadLetter:
    return DeadLetter(position, state, 1, 422, "HTTP 422", worker)


def recorded(
    worker: str, delivered: RangeSet, *letters: DeadLetter, attempts: int = 0, resent: int = 0
) -> OutcomesRecorded:
    return OutcomesRecorded(worker, delivered, tuple(map(letter_group, letters)), attempts, resent)


def recovered(*entries: Entry, records: int = 100) -> Recovery:
    """What comes of a journal's entries; each leaves a ledger that is right."""
    recovery = Recovery(records)
    for entry in entries:
        recovery.take(entry)
        check_ledger(recovery.ledger)
    return recovery


def test_an_empty_journal_is_a_run_of_which_nothing_was_sent():
    recovery = recovered()
    assert recovery.ledger.counts == [100, 0, 0, 0, 0]
    assert (recovery.held(), recovery.attempts, recovery.ledger.leases.made) == ({}, {}, 0)


def test_what_was_leased_and_neither_settled_nor_returned_was_in_hand():
    recovery = recovered(
        Leased(1, "a", places(0, 10)),
        Leased(2, "b", places(10, 20)),
        Leased(3, "c", places(20, 30)),
        recorded("a", places(0, 4), letter(5, "a"), attempts=6, resent=1),
        LeaseReturned(2, "b", places(10, 20)),
        LeaseReturned(3, "c", places(25, 30)),
    )
    assert recovery.held() == {"a": RangeSet([(4, 5), (6, 10)]), "c": places(20, 25)}
    assert recovery.ledger.counts == [95, 0, 4, 1, 0], "what was in hand is pending"
    assert recovery.ledger.leases.made == 3, "no number is given out twice"
    assert (recovery.attempts, recovery.resent) == ({"a": 6}, {"a": 1})


def test_what_another_has_settled_is_in_nobodys_hand():
    recovery = recovered(Leased(1, "a", places(0, 4)), Leased(2, "b", places(0, 4)), recorded("b", places(0, 3)))
    assert recovery.held() == {"a": places(3, 4), "b": places(3, 4)}, "either may have sent the last"


def test_what_one_was_leased_again_after_it_was_returned_is_in_its_hand():
    leased = Leased(1, "a", places(0, 4))
    assert recovered(leased, LeaseReturned(1, "a", places(0, 4)), leased).held() == {"a": places(0, 4)}


def test_the_latest_count_of_a_worker_is_taken_and_a_masters_own_entries_have_none():
    recovery = recovered(
        recorded("a", places(0, 1), attempts=3, resent=1),
        recorded("a", places(1, 2), attempts=7, resent=2),
        recorded("a", RangeSet(), letter(5, "a", RecordState.IN_DOUBT)),
        recorded("", RangeSet(), letter(6, "b", RecordState.IN_DOUBT)),
    )
    assert (recovery.attempts, recovery.resent) == ({"a": 7}, {"a": 2})
    assert recovery.ledger.shares["b"].in_doubt == 1, "a letter names the worker, whoever booked it"


@pytest.mark.parametrize(
    ("later", "states", "settled"),
    [
        (recorded("b", places(0, 1)), [0, 0, 1, 0, 0], {"a": (0, 0, 0), "b": (1, 0, 0)}),
        (recorded("b", RangeSet(), letter(0, "b")), [0, 0, 0, 1, 0], {"a": (0, 0, 0), "b": (0, 1, 0)}),
        (recorded("a", RangeSet(), letter(0, "a")), [0, 0, 0, 1, 0], {"a": (0, 1, 0)}),
    ],
)
def test_a_later_word_that_overruled_an_earlier_one_does_so_again(later, states, settled):
    recovery = recovered(recorded("a", RangeSet(), letter(0, "a", RecordState.IN_DOUBT)), later, records=1)
    assert recovery.ledger.counts == states
    shares = recovery.ledger.shares.items()
    assert {name: (one.delivered, one.rejected, one.in_doubt) for name, one in shares} == settled
    assert recovery.ledger.dead == {one.position: one for one in each_letter(later)}


DELIVERED = recorded("a", places(10, 20))
CONTRADICTIONS: dict[str, Entry] = {
    "delivered beyond the run": recorded("a", places(95, 101)),
    "delivered far beyond the run": recorded("a", places(10**20, 10**20 + 1)),
    "delivered twice": DELIVERED,
    "one of them delivered twice": recorded("b", places(0, 11)),
    "rejected after it was delivered": recorded("a", RangeSet(), letter(15, "a")),
    "rejected as it was delivered": recorded("a", places(0, 5), letter(4, "a")),
    "rejected beyond the run": recorded("a", RangeSet(), letter(100, "a")),
    "in doubt far beyond the run": recorded("", RangeSet(), letter(10**20, "a", RecordState.IN_DOUBT)),
    "leased beyond the run": Leased(9, "a", places(95, 101)),
    "returned beyond the run": LeaseReturned(9, "a", places(10**20, 10**20 + 1)),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_what_no_run_can_have_journaled_is_refused(kind):
    recovery = recovered(Leased(1, "a", places(10, 20)), DELIVERED)
    with pytest.raises(RecoveryError, match=r"\d"):
        recovery.take(CONTRADICTIONS[kind])


def test_a_position_may_be_settled_up_to_the_runs_last():
    recovery = recovered(Leased(1, "a", places(98, 100)), recorded("a", places(98, 99), letter(99, "a")))
    assert recovery.ledger.counts == [98, 0, 1, 1, 0]


@pytest.mark.parametrize(
    "places", [places(10, 11), places(20, 21), places(20, 23), places(99, 101), places(10**20, 10**21)]
)
def test_what_is_no_dead_letter_cannot_have_been_reopened(places):
    recovery = recovered(DELIVERED, recorded("a", RangeSet(), letter(22, "a")))
    with pytest.raises(RecoveryError, match="cannot have been dead letters just then"):
        recovery.take(Reopened(places))


def test_a_dead_letter_that_was_reopened_is_pending_and_in_nobodys_hand_until_it_is_leased():
    before = (Leased(1, "a", places(0, 4)), recorded("a", places(0, 2), letter(2, "a"), letter(3, "b"), attempts=4))
    recovery = recovered(*before, Reopened(places(2, 4)))
    assert recovery.ledger.counts == [98, 0, 2, 0, 0]
    assert (recovery.held(), recovery.ledger.dead) == ({}, {})
    assert recovery.ledger.prior_attempts.former == {2: letter(2, "a"), 3: letter(3, "b")}
    again = recovered(*before, Reopened(places(2, 4)), Leased(2, "c", places(2, 4)), recorded("c", places(2, 3)))
    assert (again.held(), again.ledger.prior_attempts.former) == ({"c": places(3, 4)}, {3: letter(3, "b")})
    assert again.attempts == {"a": 4}, "counts go on"


def test_what_was_reopened_and_failed_again_can_be_reopened_again():
    again = Reopened(places(2, 3))
    recovery = recovered(
        recorded("a", RangeSet(), letter(2, "a")), again, recorded("b", RangeSet(), letter(2, "b")), again
    )
    assert recovery.ledger.prior_attempts.former == {2: letter(2, "b")}
    assert (
        recovered(recorded("a", RangeSet(), letter(2, "a")), again, recorded("", RangeSet(), letter(2, "a"))).held()
        == {}
    )


class Restarted(Bench):
    """A master that was started again: of its run it knows the journal, of its workers nothing."""

    def __init__(self, folder: Path, *entries: Entry, policy: str = "at-least-once") -> None:
        super().__init__(folder, 100, policy)
        recovery = recovered(*entries)
        self.run = Run.recovered(self.run.config, self.run.dataset, self.run.order, recovery)
        self.made = self.coordinator.resume(self.run, recovery.held(), 5.0, self.now)


ENTRIES = (Leased(1, "a", places(0, 10)), recorded("a", places(0, 4), attempts=5, resent=1))


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Restarted]:
    bench = Restarted(tmp_path, *ENTRIES)
    yield bench
    check_ledger(bench.run.ledger)
    close(bench.run)


@pytest.fixture
def cautious(tmp_path: Path) -> Iterator[Restarted]:
    """One that may send nothing twice."""
    bench = Restarted(tmp_path, *ENTRIES, policy="at-most-once")
    yield bench
    check_ledger(bench.run.ledger)
    close(bench.run)


def test_a_worker_of_the_former_master_is_believed_and_begins_anew(restarted):
    made = restarted.ack("a", 7, 31, delivered=((0, 8),), holds=((8, 10),), wants=5, attempts=9)
    assert made[0] == recorded("a", places(4, 8), attempts=9, resent=1), "what was news, and before any answer"
    welcome = the_message(made)
    assert isinstance(welcome, Welcome)
    assert (welcome.session, welcome.run) == (100, restarted.run.config)
    assert [type(one) for one in restarted.ack("a", 7, 32, delivered=((0, 8),))] == [Send], "it was news once"
    assert restarted.run.ledger.counts == [92, 0, 8, 0, 0]


def test_after_a_restart_a_worker_is_believed_of_what_it_was_leased_by_the_journal_and_of_nothing_else(restarted):
    made = restarted.ack("a", 7, 31, delivered=((0, 12),), failed=(failure(50),), attempts=9)
    assert made[:2] == [
        recorded("a", places(4, 10), attempts=9, resent=1),
        OutcomesRefused("a", RangeSet([(10, 12), (50, 51)]), 1),
    ]
    made = restarted.ack("b", 7, 31, delivered=((0, 100),), attempts=100)
    assert made[0] == OutcomesRefused("b", places(0, 100), 2), "a worker that was restarted has another id"
    assert restarted.run.attempts == {"a": 9}
    assert restarted.run.ledger.counts == [90, 0, 10, 0, 0]


def test_a_run_of_which_nothing_was_in_hand_goes_on_at_once(tmp_path):
    bench = Restarted(tmp_path, recorded("a", places(0, 4)))
    grant = the_message(bench.ack("a", bench.hello("a"), 1, wants=5))
    assert isinstance(grant, LeaseGrant)
    assert (grant.positions, grant.redelivered) == (((4, 9),), ())
    close(bench.run)


def test_a_record_that_was_in_hand_is_granted_as_one_that_may_have_been_sent(restarted):
    session = restarted.hello("b")
    restarted.now = TERMS.lease_s
    grant = the_message(restarted.ack("b", session, 1, wants=10))
    assert isinstance(grant, LeaseGrant)
    assert (grant.positions, grant.redelivered) == (((4, 14),), ((4, 10),))
    assert grant.lease == 2, "the numbers go on"


def test_the_outcome_that_a_former_sessions_worker_brings_is_not_sent_again(restarted):
    welcome = the_message(restarted.ack("a", 7, 31, delivered=((4, 9),), attempts=11, resent=2))
    assert isinstance(welcome, Welcome)
    session = welcome.session
    restarted.now = TERMS.lease_s
    grant = the_message(restarted.ack("a", session, 1, wants=3))
    assert isinstance(grant, LeaseGrant)
    assert (grant.positions, grant.redelivered) == (((9, 12),), ((9, 10),))
    assert (restarted.run.attempts, restarted.run.resent) == ({"a": 11}, {"a": 2})


def test_a_resumed_run_that_is_stopped_before_it_goes_on_has_in_doubt_what_was_in_hand(restarted):
    restarted.coordinator.stop()
    (made,) = restarted.coordinator.close()
    assert isinstance(made, OutcomesRecorded)
    assert [(one.position, one.reason, one.worker) for one in each_letter(made)] == [
        (position, LOST_AT_END, "a") for position in range(4, 10)
    ]
    assert restarted.run.ledger.counts == [90, 0, 4, 0, 6]


def test_at_most_once_what_was_in_hand_is_in_doubt_at_once_and_journaled_so(cautious):
    (made,) = cautious.made
    assert isinstance(made, OutcomesRecorded)
    assert [(one.position, one.reason, one.worker) for one in each_letter(made)] == [
        (position, LOST_AT_RESTART, "a") for position in range(4, 10)
    ]
    again = recovered(*ENTRIES, made)
    assert (again.ledger.counts, again.held()) == ([90, 0, 4, 0, 6], {}), "and so at the next restart"


def test_at_most_once_a_worker_that_knows_better_is_believed(cautious):
    refused = failure(9, status=422)
    made = cautious.ack("a", 7, 31, delivered=((4, 8),), failed=(refused,), attempts=11)
    assert made[0] == recorded(
        "a", places(4, 8), DeadLetter(9, RecordState.REJECTED, 1, 422, "HTTP 422", "a"), attempts=11, resent=1
    )
    assert cautious.run.ledger.counts == [90, 0, 8, 1, 1]
    assert recovered(*ENTRIES, *cautious.made, made[0]).ledger.counts == [90, 0, 8, 1, 1]


def test_a_run_that_was_settled_when_it_was_cut_off_ends_as_soon_as_it_is_resumed(tmp_path):
    bench = Restarted(tmp_path, recorded("a", places(0, 100)))
    assert bench.made == [AllSettled("run")]
    bench.hello("a")
    answers = [one.message for one in sends(bench.ack("a", 7, 1, wants=5))]
    assert not any(isinstance(one, LeaseGrant) for one in answers)
    session = bench.coordinator.sessions["a"].number
    (acked,) = sends(bench.ack("a", session, 1, wants=5))
    assert isinstance(acked.message, AckReply)
    assert acked.message.over
    close(bench.run)


class Reopening(Restarted):
    """A master whose run has two dead letters to send again: position 2, rejected, and 3, in doubt."""

    LETTERS = (letter(2, "a"), letter(3, "a", RecordState.IN_DOUBT))
    BEFORE = (Leased(1, "a", places(0, 4)), recorded("a", RangeSet([(0, 2), (4, 100)]), *LETTERS, attempts=100))

    def __init__(self, folder: Path, *entries: Entry, policy: str = "at-least-once") -> None:
        again = Reopened(places(2, 4) if policy == "at-least-once" else places(2, 3))
        super().__init__(folder, *self.BEFORE, again, *entries, policy=policy)


@pytest.fixture
def reopening(tmp_path: Path) -> Iterator[Reopening]:
    bench = Reopening(tmp_path)
    yield bench
    check_ledger(bench.run.ledger)
    close(bench.run)


REFUSED = failure(2, attempts=3, status=409)


def test_what_was_reopened_is_leased_once_no_worker_of_the_run_can_be_at_work_on_it_any_more(reopening):
    session = reopening.hello("b")
    reopening.now = TERMS.lease_s - 0.1
    assert isinstance(the_message(reopening.ack("b", session, 1, wants=5)), AckReply)
    reopening.now = TERMS.lease_s
    assert isinstance(the_message(reopening.ack("b", session, 2, wants=5)), LeaseGrant)


def test_what_was_reopened_is_granted_as_a_repeat_and_its_new_outcome_counts(reopening):
    session = reopening.hello("b")
    reopening.now = TERMS.lease_s
    grant = the_message(reopening.ack("b", session, 1, wants=5))
    assert isinstance(grant, LeaseGrant)
    assert (grant.positions, grant.redelivered) == (((2, 4),), ((2, 4),))
    made = reopening.ack("b", session, 2, heard=grant.seq, delivered=((3, 4),), failed=(REFUSED,), attempts=4)
    rejected = DeadLetter(2, RecordState.REJECTED, 3, 409, "HTTP 409", "b")
    assert made[0] == recorded("b", places(3, 4), rejected, attempts=4)
    assert AllSettled("run") in made
    assert (reopening.run.ledger.dead, reopening.run.ledger.prior_attempts.former) == ({2: rejected}, {})
    assert reopening.coordinator.close() == []


def test_a_run_that_is_stopped_before_they_are_leased_has_the_former_letters(reopening):
    session = reopening.hello("b")
    reopening.now = TERMS.lease_s
    reopening.coordinator.stop()
    (made,) = reopening.coordinator.close()
    assert made == recorded("", RangeSet(), *Reopening.LETTERS)
    assert reopening.run.ledger.dead == {2: Reopening.LETTERS[0], 3: Reopening.LETTERS[1]}
    again = recovered(*Reopening.BEFORE, Reopened(places(2, 4)), made)
    assert (again.ledger.counts, again.ledger.prior_attempts.former, again.held()) == ([0, 0, 98, 1, 1], {}, {})
    assert session


def test_what_was_leased_again_and_handed_back_is_what_it_was_and_what_was_kept_is_in_doubt(reopening):
    session = reopening.hello("b")
    reopening.now = TERMS.lease_s
    grant = the_message(reopening.ack("b", session, 1, wants=5))
    assert isinstance(grant, LeaseGrant)
    reopening.coordinator.stop()
    reopening.ack("b", session, 2, heard=grant.seq, holds=((2, 3),))
    (made,) = reopening.coordinator.close()
    assert [(one.position, one.reason, one.worker) for one in each_letter(made)] == [
        (2, LOST_AT_END, "b"),
        (3, "HTTP 422", "a"),
    ]


def test_what_a_lost_worker_had_again_is_in_doubt_at_the_end(reopening):
    session = reopening.hello("b")
    reopening.now = TERMS.lease_s
    reopening.ack("b", session, 1, wants=1)
    reopening.coordinator.worker_lost("b", "gone")
    (made,) = reopening.coordinator.close()
    assert [(one.position, one.state, one.worker) for one in each_letter(made)] == [
        (2, RecordState.IN_DOUBT, "b"),
        (3, RecordState.IN_DOUBT, "a"),
    ]


@pytest.mark.parametrize("foreign", [True, False])
def test_a_word_from_before_the_reopening_does_not_bury_the_record_again(reopening, foreign):
    session = 7 if foreign else reopening.hello("a")
    made = reopening.ack("a", session, 1, failed=(REFUSED,))
    assert not any(isinstance(one, OutcomesRecorded) for one in made)
    assert reopening.state(2) is RecordState.PENDING
    assert any(isinstance(one, Welcome if foreign else AckReply) for one in (sent.message for sent in sends(made)))


def test_a_delayed_word_of_a_former_session_does_not_bury_what_the_worker_has_again(reopening):
    session = reopening.hello("a")
    reopening.now = TERMS.lease_s
    reopening.ack("a", session, 1, wants=5)
    assert reopening.state(2) is RecordState.LEASED
    reopening.ack("a", 7, 31, failed=(REFUSED,))
    assert reopening.state(2) is RecordState.LEASED
    reopening.ack("a", session, 2, holds=((2, 4),), failed=(REFUSED,))
    assert reopening.state(2) is RecordState.REJECTED, "in its present session it has had the record since"


def test_a_word_of_one_that_had_the_record_again_and_was_lost_counts(reopening):
    session = reopening.hello("b")
    reopening.now = TERMS.lease_s
    reopening.ack("b", session, 1, wants=1)
    reopening.coordinator.worker_lost("b", "gone")
    made = reopening.ack("b", session, 2, failed=(REFUSED,))
    assert isinstance(made[0], OutcomesRecorded)
    assert reopening.state(2) is RecordState.REJECTED


def test_a_worker_that_saw_it_delivered_is_believed_whenever_that_was(reopening):
    reopening.ack("a", 7, 31, delivered=((2, 3),))
    assert (reopening.state(2), list(reopening.run.ledger.prior_attempts.former)) == (RecordState.DELIVERED, [3])


def test_at_most_once_what_was_leased_again_when_the_master_died_is_in_doubt(tmp_path):
    bench = Reopening(tmp_path, Leased(2, "b", places(2, 3)), policy="at-most-once")
    made, settled = bench.made
    assert [(one.position, one.reason, one.worker) for one in each_letter(cast("OutcomesRecorded", made))] == [
        (2, LOST_AT_RESTART, "b")
    ]
    assert settled == AllSettled("run")
    assert bench.run.ledger.counts == [0, 0, 98, 0, 2]
    check_ledger(bench.run.ledger)
    close(bench.run)


def test_at_most_once_what_two_may_have_sent_is_in_doubt_once(tmp_path):
    bench = Restarted(tmp_path, Leased(1, "a", places(0, 4)), Leased(2, "b", places(2, 6)), policy="at-most-once")
    assert [one.position for made in bench.made for one in each_letter(cast("OutcomesRecorded", made))] == list(
        range(6)
    )
    assert bench.run.ledger.counts == [94, 0, 0, 0, 6]
    check_ledger(bench.run.ledger)
    close(bench.run)
