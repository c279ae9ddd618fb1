"""Ways to break the protocol on purpose, each by taking one of its rules away. The simulation has to notice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from simulation.master import Master
from traffic.core.master.assignment import Assignment
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import Decision, Entry, Leased, Send
from traffic.core.master.ledger import Ledger
from traffic.core.master.prior_attempts import PriorAttempts
from traffic.core.master.recovery import Recovery
from traffic.core.master.run import Run
from traffic.core.master.session import Session
from traffic.core.outcome import Answer
from traffic.core.protocol import Ack, LeaseGrant
from traffic.core.ranges import RangeSet
from traffic.core.worker.feed import Feed, Record
from traffic.core.worker.link import LeaseClient
from traffic.core.worker.reach import Reach

FOREVER = float("inf")


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """A worker hands out records however long ago the master answered it (P5)."""
    take, on_answer = Feed.take_batch, LeaseClient._on_answer

    def take_anyway(self: Feed, now: float, most: int) -> list[Record]:
        self.deadline = FOREVER
        return take(self, now, most)

    def never_lapse(self: LeaseClient, message: Any) -> None:
        on_answer(self, message)
        self._expires = FOREVER

    patch.setattr(Feed, "take_batch", take_anyway)
    patch.setattr(LeaseClient, "_on_answer", never_lapse)


def ack_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    """A worker reports a record as delivered when it sends it (P2)."""
    take = Feed.take_batch

    def take_and_boast(self: Feed, now: float, most: int) -> list[Record]:
        taken = take(self, now, most)
        self._delivered += [record.position for record in taken]
        return taken

    patch.setattr(Feed, "take_batch", take_and_boast)


def reclaim_without_a_generation(patch: pytest.MonkeyPatch) -> None:
    """Messages of a session that is over count as if they were of the present one (P1, P5)."""
    on_stale_ack, receive = LeaseCoordinator._on_stale_ack, LeaseClient.receive

    def on_any_ack(self: LeaseCoordinator, session: Session | None, worker: str, ack: Ack, now: float) -> Any:
        made = self._return_unheld(session, ack) if session is not None else []
        return [*made, *on_stale_ack(self, session, worker, ack, now)]

    def receive_any(self: LeaseClient, message: Any, now: float) -> None:
        if isinstance(message, LeaseGrant) and self.joined and self.feed.run and message.session != self.session:
            self.feed.add_lease(message)
        receive(self, message, now)

    patch.setattr(LeaseCoordinator, "_on_stale_ack", on_any_ack)
    patch.setattr(LeaseClient, "receive", receive_any)


def healing_off(patch: pytest.MonkeyPatch) -> None:
    """A lease whose message was lost stays leased (P9)."""

    def nothing(self: LeaseCoordinator, session: Session, ack: Ack) -> list[Any]:
        return []

    patch.setattr(LeaseCoordinator, "_return_unheld", nothing)


def double_recut(patch: pytest.MonkeyPatch) -> None:
    """The remainder of a worker that is gone is cut among the others and stays where it was (P1)."""

    def leave(self: Assignment, worker: str) -> RangeSet:
        return self.remainders.get(worker, RangeSet()).copy()

    patch.setattr(Assignment, "leave", leave)


def confirm_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """Outcomes are confirmed to the worker while they are on their way to the disk (P6)."""
    empty = Master._empty

    def send_first(self: Master) -> None:
        for decision in self._outbox:
            if isinstance(decision, Send):
                self._note_confirmed(decision)
                self.send(decision.worker, decision.message)
        self._outbox = [decision for decision in self._outbox if not isinstance(decision, Send)]
        empty(self)

    patch.setattr(Master, "_empty", send_first)


def lease_at_once_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not wait for the leases of the one before to lapse (P5)."""
    resume = LeaseCoordinator.resume

    def resume_at_once(self: LeaseCoordinator, run: Run, held: dict[str, RangeSet], former: float, now: float) -> Any:
        made = resume(self, run, held, former, now)
        self._leasing_from = now
        return made

    patch.setattr(LeaseCoordinator, "resume", resume_at_once)


def forget_what_was_leased(patch: pytest.MonkeyPatch) -> None:
    """A restarted master takes what was in a worker's hands for never sent (P2, P4)."""
    patch.setattr(Recovery, "held", lambda self: {})


def hand_out_what_waits(patch: pytest.MonkeyPatch) -> None:
    """A worker that has heard of a pause asks for no more, and goes on with what waits in its feed."""
    take = Feed.take_batch

    def take_anyway(self: Feed, now: float, most: int) -> list[Record]:
        paused, self.paused = self.paused, False
        taken = take(self, now, most)
        self.paused = paused
        return taken

    patch.setattr(Feed, "take_batch", take_anyway)


def say_it_once(patch: pytest.MonkeyPatch) -> None:
    """A pause is told to those who are there, and no answer says it again."""

    def pause(self: LeaseCoordinator) -> list[Decision]:
        self.paused = True
        return [session.ack_reply(over=False, paused=True) for session in self.sessions.values()]

    patch.setattr(LeaseCoordinator, "pause", pause)
    patch.setattr(
        LeaseCoordinator, "_ack_reply", lambda self, session: session.ack_reply(over=self._over, paused=False)
    )


def lease_on(patch: pytest.MonkeyPatch) -> None:
    """A paused master answers with leases, and these say that the run goes on."""
    grant = LeaseCoordinator._grant

    def grant_anyway(self: LeaseCoordinator, session: Session, ack: Ack) -> list[Decision]:
        paused, self.paused = self.paused, False
        made = grant(self, session, ack)
        self.paused = paused
        return made

    patch.setattr(LeaseCoordinator, "_grant", grant_anyway)


def forget_the_pause(patch: pytest.MonkeyPatch) -> None:
    """A pause does not stand in the journal (P6)."""
    done = Master._done

    def done_without(self: Master, batch: list[Decision], entries: list[Entry], note: bool | None) -> None:
        done(self, batch, entries, None)

    patch.setattr(Master, "_done", done_without)


def forget_the_reopening(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not know that dead letters were to be sent again."""
    patch.setattr(Recovery, "_reopen", lambda self, entry: None)


def take_the_reopened_for_leased(patch: pytest.MonkeyPatch) -> None:
    """A restarted master takes who had a dead letter before it was reopened for one who has it still."""
    patch.setattr(Recovery, "_reopen", lambda self, entry: self.ledger.reopen(entry.positions))


def believe_old_words(patch: pytest.MonkeyPatch) -> None:
    """What a worker says again of an attempt before the reopening counts as if it were of one since."""
    patch.setattr(PriorAttempts, "stale_reports", lambda self, worker, positions, in_hand: RangeSet())


def keep_what_was_not_sent_again_as_unsent(patch: pytest.MonkeyPatch) -> None:
    """A dead letter that was to be sent again when the run was stopped is called unsent (P2)."""
    patch.setattr(Ledger, "return_former", lambda self: ())


def keep_what_it_cannot_send(patch: pytest.MonkeyPatch) -> None:
    """A worker that cannot reach the API keeps its records (P9)."""
    patch.setattr(Feed, "hand_back", lambda self, now: False)


def take_silence_for_work(patch: pytest.MonkeyPatch) -> None:
    """That attempts have no answer counts against their records alone."""
    fail = Reach.fail

    def fail_unless_sent(self: Reach, answer: Answer, now: float) -> None:
        if not answer.sent:
            fail(self, answer, now)

    patch.setattr(Reach, "fail", fail_unless_sent)


def believe_anyone(patch: pytest.MonkeyPatch) -> None:
    """What is said of a position is booked, whether or not the one who says it was ever leased it (P2)."""

    def believe(self: Ledger, worker: str, said: RangeSet) -> RangeSet:
        self.ever_leased.setdefault(worker, RangeSet())
        return said

    patch.setattr(Ledger, "ever_leased_among", believe)


def forget_whom_to_believe(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not know what the workers of the one before were leased (P6)."""
    take = Recovery.take

    def take_without(self: Recovery, entry: Entry) -> None:
        had = {worker: positions.copy() for worker, positions in self.ledger.ever_leased.items()}
        take(self, entry)
        if isinstance(entry, Leased):
            self.ledger.ever_leased = had

    patch.setattr(Recovery, "take", take_without)


def deal_to_strangers(patch: pytest.MonkeyPatch) -> None:
    """Whoever sends an ack of a session that is over gets a slice at once."""
    on_stale_ack = LeaseCoordinator._on_stale_ack

    def admit(self: LeaseCoordinator, session: Session | None, worker: str, ack: Ack, now: float) -> Any:
        made = on_stale_ack(self, session, worker, ack, now)
        peer = self.members.find(worker)
        return [*made, *self._admit(peer)] if peer is not None else made

    patch.setattr(LeaseCoordinator, "_on_stale_ack", admit)


def say_it_all_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """A worker whose outcomes wait for an answer says them again four times a second."""
    ack_is_due = LeaseClient._ack_is_due
    patch.setattr(LeaseClient, "_ack_is_due", lambda self, now: now >= self._ack_due or ack_is_due(self, now))


def forget_the_former_leases(patch: pytest.MonkeyPatch) -> None:
    """A restarted master waits for leases as long as its own, however long those of the one before were (P5)."""
    resume = LeaseCoordinator.resume

    def resume_by_own(self: LeaseCoordinator, run: Run, held: dict[str, RangeSet], _: float, now: float) -> Any:
        return resume(self, run, held, self.terms.lease_s, now)

    patch.setattr(LeaseCoordinator, "resume", resume_by_own)


def keep_what_comes_too_late(patch: pytest.MonkeyPatch) -> None:
    """A worker that is going keeps a lease that was on its way to it (P4)."""
    offer = Feed.add_lease

    def offer_anyway(self: Feed, grant: LeaseGrant) -> None:
        closed, self.closed = self.closed, False
        offer(self, grant)
        self.closed = closed

    patch.setattr(Feed, "add_lease", offer_anyway)


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    mutate.__name__: mutate
    for mutate in (
        no_fencing,
        ack_before_the_answer,
        reclaim_without_a_generation,
        healing_off,
        double_recut,
        confirm_before_the_journal,
        lease_at_once_after_a_restart,
        forget_what_was_leased,
        hand_out_what_waits,
        say_it_once,
        lease_on,
        forget_the_pause,
        forget_the_reopening,
        take_the_reopened_for_leased,
        believe_old_words,
        keep_what_was_not_sent_again_as_unsent,
        keep_what_it_cannot_send,
        take_silence_for_work,
        believe_anyone,
        forget_whom_to_believe,
        deal_to_strangers,
        say_it_all_again_and_again,
        keep_what_comes_too_late,
        forget_the_former_leases,
    )
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Within this block the protocol is broken in that way."""
    with pytest.MonkeyPatch.context() as patch:
        MUTATIONS[name](patch)
        yield
