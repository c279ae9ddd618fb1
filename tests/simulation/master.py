"""The master process of the simulation: the core's master side, with a journal that a crash leaves behind.

As in the real adapter, decisions are carried out in their order, and what comes after an entry of the journal waits
until that entry is on disk.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import AllSettled, Decision, Entry, Leased, LeaseReclaimed, Reopened, Send
from traffic.core.master.recovery import Recovery
from traffic.core.master.run import Run
from traffic.core.protocol import Ack, AckReply, LeaseGrant, Message
from traffic.core.ranges import RangeSet
from traffic.core.record_state import SETTLED

# What a master that comes up may have been told of leases, in seconds.
LEASES_S = (1.5, 5.0, 9.0)
Timer = Callable[[float, Callable[[], None]], None]


class Master:
    """`later(seconds, act)` calls back; `send(worker, message)` puts a message on the wire.

    `told_delivered` and `told_settled` are the positions of which a worker was told that their outcome is booked, as
    delivered or as a failure. Promise P6 is that these are never taken back. `said_paused`: a worker was told of the
    pause that a person wanted last. `contradictions` are answers that say of a pause what is not so. `lapsed` are the
    leases that were taken back from a worker.
    """

    def __init__(
        self, terms: LeaseTerms, later: Timer, send: Callable[[str, Message], None], chance: random.Random
    ) -> None:
        self.terms, self.later, self.send, self._chance = terms, later, send, chance
        self._longest_lease_s = terms.lease_s  # of all masters of the run, as it stands in the journal
        self.coordinator = LeaseCoordinator(terms, first_session=1)
        self.up, self.settled, self.slow_disk_s = True, False, 0.0
        self.journal: list[Entry] = []
        self.told_delivered, self.told_settled = RangeSet(), RangeSet()
        self.wanted_paused = self.said_paused = False
        self.contradictions: list[Decision] = []
        self.lapsed: list[Decision] = []
        # Whether the run is paused, as it stands in the journal; what is to be written there next, if anything.
        self._noted_paused = False
        self._note: bool | None = None
        self._outbox: list[Decision] = []
        self._committing = False
        self._life = 1
        self._acks: dict[tuple[str, int, int], Ack] = {}

    def receive(self, worker: str, message: Message, now: float) -> None:
        """A message has arrived; a dead master loses it."""
        if self.up:
            if isinstance(message, Ack):
                self._acks[worker, message.session, message.seq] = message
            self.carry_out(self.coordinator.receive(worker, message, now))

    def crash(self) -> None:
        """Kill -9: what was not on disk is gone, and nothing that waited for it was done."""
        self.up, self._committing = False, False
        self._life += 1
        self._outbox.clear()
        self._note = None
        self._acks.clear()

    def restart(self, run: Run, now: float) -> Run:
        """Come up again and go on with `run`, of which only the journal is known; the run as recovered."""
        self._come_up()
        return self._resume(run, self._recover(run), now)

    def resend(self, run: Run, now: float, *, restarted: bool) -> tuple[Run, Reopened]:
        """Take up a run that has ended for its dead letters, as a new process where `restarted`.

        The run as recovered, and which they are.
        """
        if restarted:
            self.crash()
            self._come_up()
        recovery = self._recover(run)
        reopened = Reopened(recovery.ledger.dead_letters_to_send(run.config.policy))
        recovery.take(reopened)
        self.journal.append(reopened)
        self.told_settled.subtract(reopened.positions)
        self.settled = self.wanted_paused = self.said_paused = self._noted_paused = False  # a pause ends with its run
        return self._resume(run, recovery, now), reopened

    def _come_up(self) -> None:
        """A new process, which may have been told of other leases than the one before."""
        self.up = True
        self.terms = replace(self.terms, lease_s=self._chance.choice(LEASES_S))
        self.coordinator = LeaseCoordinator(self.terms, first_session=1_000_000 * self._life)

    def _recover(self, run: Run) -> Recovery:
        recovery = Recovery(run.dataset.records)
        for entry in self.journal:
            recovery.take(entry)
        return recovery

    def _resume(self, run: Run, recovery: Recovery, now: float) -> Run:
        again = Run.recovered(run.config, run.dataset, run.order, recovery)
        self._longest_lease_s = max(self._longest_lease_s, self.terms.lease_s)
        self.carry_out(self.coordinator.resume(again, recovery.held(), self._longest_lease_s, now))
        if self._noted_paused:
            self.carry_out(self.coordinator.pause())
        return again

    def press(self, *, paused: bool) -> None:
        """A person pauses the run, or lets it go on."""
        self.wanted_paused, self.said_paused, self._note = paused, False, paused
        self.carry_out(self.coordinator.pause() if paused else self.coordinator.unpause())

    def leased_since(self, entry: Entry) -> RangeSet:
        """What has been leased, by the journal, after `entry`."""
        leased = RangeSet()
        later = next(at for at, one in enumerate(self.journal) if one is entry)
        for one in self.journal[later:]:
            if isinstance(one, Leased):
                leased.update(one.positions)
        return leased

    def carry_out(self, decisions: list[Decision]) -> None:
        """Do what was decided, in its order, as soon as the journal has it."""
        self._outbox += decisions
        self.lapsed += [made for made in decisions if isinstance(made, LeaseReclaimed)]
        if not self.coordinator.over:
            self.contradictions += [made for made in decisions if self._contradicts(made)]
        if not self._committing:
            self._empty()

    def _contradicts(self, decision: Decision) -> bool:
        """Whether an answer says of the pause something else than is so."""
        answer = decision.message if isinstance(decision, Send) else None
        if not isinstance(answer, AckReply | LeaseGrant):
            return False
        return (isinstance(answer, AckReply) and answer.paused) is not self.coordinator.paused

    def _empty(self) -> None:
        batch, self._outbox = self._outbox, []
        entries = [decision for decision in batch if isinstance(decision, Entry)]
        note, self._note = self._note, None
        if (not entries and note is None) or not self.slow_disk_s:
            self._done(batch, entries, note)
            return
        life, self._committing = self._life, True

        def written() -> None:
            if self._life == life:
                self._committing = False
                self._done(batch, entries, note)
                self._empty()

        self.later(self.slow_disk_s, written)

    def _done(self, batch: list[Decision], entries: list[Entry], note: bool | None) -> None:
        self.journal += entries
        self._noted_paused = self._noted_paused if note is None else note
        for decision in batch:
            if isinstance(decision, Send):
                self._note_confirmed(decision)
                self._note_pause(decision.message)
                self.send(decision.worker, decision.message)
            elif isinstance(decision, AllSettled):
                self.settled = True

    def _note_pause(self, message: Message) -> None:
        if isinstance(message, AckReply):
            self.said_paused = self.wanted_paused and message.paused

    def _note_confirmed(self, sent: Send) -> None:
        answer = sent.message
        if not isinstance(answer, AckReply | LeaseGrant) or self.coordinator.run is None:
            return
        ack = self._acks.get((sent.worker, answer.session, answer.answers))
        if ack is not None and ack.run == self.coordinator.run.config.run:
            self.told_delivered.update(RangeSet(ack.delivered))
            # A late failure is not taken from the worker that has the record in hand by now.
            settled = self.coordinator.run.ledger.positions(*SETTLED)
            failed = RangeSet()
            for failure in ack.failed:
                failed.update(RangeSet(failure.positions).common(settled))
            self.told_settled.update(failed)
