"""Mutations of the master's side, or of both: each takes one rule away."""

from typing import Any

import pytest

from simulation.as_if_unpaused import as_if_unpaused
from simulation.master import Master
from traffic.core.master.assignment import Assignment
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import Decision, Entry, Leased, Send
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.ledger import Ledger
from traffic.core.master.prior_attempts import PriorAttempts
from traffic.core.master.recovery import Recovery
from traffic.core.master.result_book import ResultBook
from traffic.core.master.run import Run
from traffic.core.master.session import SendLimits, Session
from traffic.core.master.timing_book import TimingBook
from traffic.core.protocol import Ack, Hello, LeaseGrant, ResultBatch
from traffic.core.ranges import RangeSet
from traffic.core.timings import Kind, KindTiming, Timing
from traffic.core.worker.link import LeaseClient


def ignore_sessions(patch: pytest.MonkeyPatch) -> None:
    """Messages of a session that is over count as if they were of the present one (P1, P5)."""
    on_stale_ack, receive = LeaseCoordinator._on_stale_ack, LeaseClient.receive

    def on_any_ack(self: LeaseCoordinator, session: Session | None, worker: str, ack: Ack, now: float) -> Any:
        made = self._return_unheld(session, ack) if session is not None else []
        return [*made, *on_stale_ack(self, session, worker, ack, now)]

    def receive_any(self: LeaseClient, message: Any, now: float) -> None:
        if isinstance(message, LeaseGrant) and self.joined and self.feed.run and message.session != self.session:
            self.feed.add_lease(message, now)
        receive(self, message, now)

    patch.setattr(LeaseCoordinator, "_on_stale_ack", on_any_ack)
    patch.setattr(LeaseClient, "receive", receive_any)


def never_return_lost_leases(patch: pytest.MonkeyPatch) -> None:
    """A lease whose message was lost stays leased (P9)."""

    def nothing(self: LeaseCoordinator, session: Session, ack: Ack) -> list[Any]:
        return []

    patch.setattr(LeaseCoordinator, "_return_unheld", nothing)


def cut_a_remainder_twice(patch: pytest.MonkeyPatch) -> None:
    """The remainder of a worker that is gone is cut among the others and stays where it was (P1)."""

    def leave(self: Assignment, worker: str) -> RangeSet:
        return self.remainders.get(worker, RangeSet()).copy()

    patch.setattr(Assignment, "leave", leave)


def confirm_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """Outcomes are confirmed to the worker while they are on their way to the disk (P6)."""
    commit_outbox = Master._commit_outbox

    def send_first(self: Master) -> None:
        for decision in self._outbox:
            if isinstance(decision, Send):
                self._note_confirmed(decision)
                self.send(decision.worker, decision.message)
        self._outbox = [decision for decision in self._outbox if not isinstance(decision, Send)]
        commit_outbox(self)

    patch.setattr(Master, "_commit_outbox", send_first)


def lease_at_once_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not wait for the leases of the one before to lapse (P5)."""
    resume = LeaseCoordinator.resume

    def resume_at_once(self: LeaseCoordinator, run: Run, held: dict[str, RangeSet], former: float, now: float) -> Any:
        made = resume(self, run, held, former, now)
        self._leasing_from = now
        return made

    patch.setattr(LeaseCoordinator, "resume", resume_at_once)


def forget_what_was_leased(patch: pytest.MonkeyPatch) -> None:
    """A restarted master assumes that what was in a worker's hands was never sent (P2, P4)."""
    patch.setattr(Recovery, "held", lambda self: {})


def report_the_pause_once(patch: pytest.MonkeyPatch) -> None:
    """The pause is reported to the workers that are there, and no answer repeats it."""

    def pause(self: LeaseCoordinator) -> list[Decision]:
        self.paused = True
        return [_reply(session, over=False, paused=True) for session in self.sessions.values()]

    patch.setattr(LeaseCoordinator, "pause", pause)
    patch.setattr(LeaseCoordinator, "_ack_reply", lambda self, session: _reply(session, over=self._over, paused=False))


def _reply(session: Session, *, over: bool, paused: bool) -> Decision:
    return session.ack_reply(over=over, paused=paused, paced=False, limits=SendLimits())


def lease_while_paused(patch: pytest.MonkeyPatch) -> None:
    """A paused master answers with leases, and these say that the run goes on."""
    patch.setattr(LeaseCoordinator, "_grant", as_if_unpaused(LeaseCoordinator._grant))


def forget_the_pause(patch: pytest.MonkeyPatch) -> None:
    """A pause is not written to the journal (P6)."""
    committed = Master._committed

    def done_without(self: Master, batch: list[Decision], entries: list[Entry], note: bool | None, *more: Any) -> None:
        committed(self, batch, entries, None, *more)

    patch.setattr(Master, "_committed", done_without)


def forget_the_reopening(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not know that dead letters were to be sent again."""
    patch.setattr(Recovery, "_reopen", lambda self, entry: None)


def take_reopened_letters_for_leased(patch: pytest.MonkeyPatch) -> None:
    """A restarted master assumes that who had a dead letter before it was reopened has it still."""
    patch.setattr(Recovery, "_reopen", lambda self, entry: self.ledger.reopen(entry.positions))


def accept_stale_failures(patch: pytest.MonkeyPatch) -> None:
    """A worker's report of a failure from before the reopening counts as if it were of an attempt since."""
    patch.setattr(PriorAttempts, "stale_reports", lambda self, worker, positions, in_hand: RangeSet())


def call_reopened_letters_unsent(patch: pytest.MonkeyPatch) -> None:
    """A dead letter that was to be sent again when the run was stopped is called unsent (P2)."""
    patch.setattr(Ledger, "return_former", lambda self: ())


def accept_reports_of_anyone(patch: pytest.MonkeyPatch) -> None:
    """A reported outcome is recorded even if its sender was never leased the position (P2)."""

    def believe(self: Ledger, worker: str, said: RangeSet) -> RangeSet:
        self.ever_leased.setdefault(worker, RangeSet())
        return said

    patch.setattr(Ledger, "ever_leased_among", believe)


def forget_who_was_leased_what(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not know what the workers of the one before were leased (P6)."""
    take = Recovery.take

    def take_without(self: Recovery, entry: Entry) -> None:
        had = {worker: positions.copy() for worker, positions in self.ledger.ever_leased.items()}
        take(self, entry)
        if isinstance(entry, Leased):
            self.ledger.ever_leased = had

    patch.setattr(Recovery, "take", take_without)


def assign_to_unconfirmed_peers(patch: pytest.MonkeyPatch) -> None:
    """A peer that sends an ack of a session that is over gets a slice at once."""
    on_stale_ack = LeaseCoordinator._on_stale_ack

    def admit(self: LeaseCoordinator, session: Session | None, worker: str, ack: Ack, now: float) -> Any:
        made = on_stale_ack(self, session, worker, ack, now)
        peer = self.members.find(worker)
        return [*made, *self._admit(peer)] if peer is not None else made

    patch.setattr(LeaseCoordinator, "_on_stale_ack", admit)


def forget_the_longest_lease(patch: pytest.MonkeyPatch) -> None:
    """A restarted master waits for leases as long as its own, however long those of the one before were (P5)."""
    resume = LeaseCoordinator.resume

    def resume_by_own(self: LeaseCoordinator, run: Run, held: dict[str, RangeSet], _: float, now: float) -> Any:
        return resume(self, run, held, self.terms.lease_s, now)

    patch.setattr(LeaseCoordinator, "resume", resume_by_own)


def begin_anew_by_an_old_hello(patch: pytest.MonkeyPatch) -> None:
    """A hello from before the present session ends it (P5)."""
    on_hello = LeaseCoordinator._on_hello

    def on_any_hello(self: LeaseCoordinator, worker: str, message: Hello, now: float) -> Any:
        session = self.sessions.get(worker)
        if session is not None and session.received and message.hello < session.number:
            return on_hello(self, worker, Hello(message.version, session.number), now)
        return on_hello(self, worker, message, now)

    patch.setattr(LeaseCoordinator, "_on_hello", on_any_hello)


def note_every_time(patch: pytest.MonkeyPatch) -> None:
    """A record that is handed out again gets the time of then (P7: one key, one body)."""

    def note(self: HandedOut, positions: RangeSet, at_ms: int | None = None) -> int:
        at_ms = self._clock_ms() if at_ms is None else at_ms
        for start, stop in positions.pairs:
            self._at_ms[start:stop] = at_ms
        return at_ms

    patch.setattr(HandedOut, "note", note)


def add_up_what_is_told_again(patch: pytest.MonkeyPatch) -> None:
    """What a worker tells again of how long its attempts took counts again."""
    is_new = TimingBook._is_new

    def add_up(known: dict[Kind, Timing], told: KindTiming) -> bool:
        if is_new(known, told):
            told.timing.update(known.get(told.kind, Timing()))
            return True
        return False

    patch.setattr(TimingBook, "_is_new", staticmethod(add_up))


def keep_rows_that_come_again(patch: pytest.MonkeyPatch) -> None:
    """A batch of rows that is sent again is kept again."""

    def accept(self: ResultBook, worker: str, batch: ResultBatch) -> bool:
        return True

    patch.setattr(ResultBook, "accept", accept)


def confirm_rows_before_they_are_written(patch: pytest.MonkeyPatch) -> None:
    """Rows are confirmed to the worker while they are on their way to the disk."""

    def confirmed(self: ResultBook, worker: str) -> int:
        known = self._workers.get(worker)
        return known.accepted if known is not None else 0

    patch.setattr(ResultBook, "confirmed", confirmed)


def forget_the_times(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not know when records were handed out first."""
    patch.setattr(HandedOut, "restore", lambda self, handed_out: None)
