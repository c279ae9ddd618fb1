"""The master process of the simulation: the core's master side, and a journal that survives a crash.

As in the real master, decisions are carried out in their order, and what follows an entry of the journal waits until
that entry is on disk.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import (
    AllSettled,
    Decision,
    Entry,
    Leased,
    LeaseReclaimed,
    Reopened,
    ResultsReceived,
    Send,
    TimingsRecorded,
)
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.pacer import Pacer
from traffic.core.master.recovery import Recovery
from traffic.core.master.run import Run
from traffic.core.pace.config import PaceConfig
from traffic.core.pace.profile import Profile
from traffic.core.protocol import Ack, AckReply, LeaseGrant, Message
from traffic.core.ranges import RangeSet
from traffic.core.record_state import SETTLED, RecordState

if TYPE_CHECKING:
    from traffic.core.timings import Kind, KindTiming

# How long the leases of a master that starts may be, in seconds.
LEASES_S = (1.5, 5.0, 9.0)
Timer = Callable[[float, Callable[[], None]], None]


class Master:
    """`later(seconds, act)` calls back; `send(worker, message)` puts a message on the wire.

    `confirmed_delivered` and `confirmed_settled` are the positions whose outcome was confirmed to a worker, as
    delivered or as a failure. Promise P6 is that these are never taken back. `pause_reported`: a worker was told of the
    pause that the person asked for last. `contradictions` are answers that say something false of a pause. `reclaimed`
    are the leases that were reclaimed.
    """

    def __init__(
        self,
        terms: LeaseTerms,
        later: Timer,
        send: Callable[[str, Message], None],
        chance: random.Random,
        new_times: Callable[[], HandedOut],
    ) -> None:
        self.terms, self.later, self.send, self._chance, self._new_times = terms, later, send, chance, new_times
        self._longest_lease_s = terms.lease_s  # of all masters of the run, as it stands in the journal
        self.coordinator = LeaseCoordinator(terms, first_session=1)
        self.up, self.settled, self.slow_disk_s = True, False, 0.0
        self.journal: list[Entry] = []
        # The rows of results that the file has, and by worker up to which batch, and how many: on the disk.
        self.rows: list[str] = []
        self._journaled_rows: dict[str, tuple[int, int]] = {}
        self.rows_confirmed_too_early: list[str] = []
        self._run: Run | None = None  # the latest
        self._journaled_timings: dict[tuple[str, Kind], KindTiming] = {}
        self.confirmed_delivered, self.confirmed_settled = RangeSet(), RangeSet()
        self.wanted_paused = self.pause_reported = False
        self.contradictions: list[Decision] = []
        self.reclaimed: list[Decision] = []
        # Whether the run is paused by the journal, and what is to be written there next, if anything.
        self._journaled_paused = False
        self._note_to_journal: bool | None = None
        # The statuses of the storms that the journal knows of.
        self._journaled_storms: set[int] = set()
        # Until when the run waits for the API by the journal, and what is to be written there next.
        self._journaled_hold: float | None = None
        # The pace of the run: as it is now, as the journal has it, and how many of its changes a worker has felt.
        self.pace: PaceConfig | None = None
        self._journaled_pace: PaceConfig | None = None
        self.changes_told = 0
        self._seed = 0
        self._hold_to_journal: float | None = None
        self._outbox: list[Decision] = []
        self._committing = False
        self._life = 1
        self._acks: dict[tuple[str, int, int], Ack] = {}

    def begin_pace(self, pace: PaceConfig | None, seed: int) -> None:
        """Note the pace of the run, as its journal has it from its beginning."""
        self.pace = self._journaled_pace = pace
        self._seed = seed

    def change_rate(self, rate: float, now: float) -> None:
        """Follow another rate, because a person asks for it."""
        run, profile = self.coordinator.run, Profile.level(rate)
        if run is not None and run.pacer is not None and self.pace is not None:
            self.pace = self.pace.changed(run.pacer.change_rate(profile, now), f"{rate}/s", profile)
            self.carry_out([])

    def receive(self, worker: str, message: Message, now: float) -> None:
        """Read a message; a dead master loses it."""
        if self.up:
            if isinstance(message, Ack):
                self._acks[worker, message.session, message.seq] = message
            decisions = self.coordinator.receive(worker, message, now)
            run = self.coordinator.run
            self._run = run or self._run
            if run is not None and run.storm.status and not self.wanted_paused:
                self.wanted_paused, self.pause_reported, self._note_to_journal = True, False, True
                decisions += self.coordinator.pause()
            self.carry_out(decisions)

    def crash(self) -> None:
        """Kill -9: what was not on disk is lost, and what waited for it is not done."""
        self.up, self._committing = False, False
        self._life += 1
        self._outbox.clear()
        self._note_to_journal = None
        self._acks.clear()

    def restart(self, run: Run, now: float) -> Run:
        """Start again and go on with `run`, of which only the journal is known. Returns the run as recovered."""
        self._come_up()
        return self._resume(run, self._recover(run), now)

    def resend(self, run: Run, now: float, *, restarted: bool) -> tuple[Run, Reopened]:
        """Resume a run that has ended for its dead letters, as a new process if `restarted`.

        Returns the run as recovered, and which letters these are.
        """
        if restarted:
            self.crash()
            self._come_up()
        recovery = self._recover(run)
        reopened = Reopened(recovery.ledger.dead_letters_to_send(run.config.policy))
        recovery.take(reopened)
        self.journal.append(reopened)
        self.confirmed_settled.subtract(reopened.positions)
        # A pause ends with its run.
        self.settled = self.wanted_paused = self.pause_reported = self._journaled_paused = False
        return self._resume(run, recovery, now), reopened

    def _come_up(self) -> None:
        """Start a new process, whose leases may be shorter or longer than those of the one before."""
        self.up = True
        self.terms = replace(self.terms, lease_s=self._chance.choice(LEASES_S))
        self.coordinator = LeaseCoordinator(self.terms, first_session=1_000_000 * self._life)

    def _recover(self, run: Run) -> Recovery:
        recovery = Recovery(run.dataset.records)
        for entry in self.journal:
            recovery.take(entry)
        return recovery

    def _resume(self, run: Run, recovery: Recovery, now: float) -> Run:
        recovered = Run.recovered(run.config, run.dataset, run.order, recovery)
        recovered.storm.restore(self._journaled_storms)
        recovered.results.restore((worker, *kept) for worker, kept in self._journaled_rows.items())
        recovered.timings.restore((worker, told) for (worker, _), told in self._journaled_timings.items())
        recovered.handed_out = self._new_times()
        recovered.handed_out.restore(recovery.handed_out)
        if run.pacer is not None:
            pending, leased_to = recovered.ledger.positions(RecordState.PENDING), recovered.ledger.leased_to
            self.pace = self._journaled_pace
            assert self.pace is not None
            schedule = self.pace.schedule(run.ledger.records, self._seed)
            recovered.pacer = Pacer.resumed(schedule, pending, leased_to)
        self._longest_lease_s = max(self._longest_lease_s, self.terms.lease_s)
        held_until = self._journaled_hold
        self.carry_out(self.coordinator.resume(recovered, recovery.held(), self._longest_lease_s, now))
        if held_until is not None:
            self.carry_out(self.coordinator.restore_hold(held_until - now, 429, now))
        if self._journaled_paused:
            self.carry_out(self.coordinator.pause())
        return recovered

    def set_paused(self, *, paused: bool) -> None:
        """Pause the run, or let it go on, because a person asks for it."""
        self.wanted_paused, self.pause_reported, self._note_to_journal = paused, False, paused
        self.carry_out(self.coordinator.pause() if paused else self.coordinator.unpause())

    def leased_since(self, entry: Entry) -> RangeSet:
        """Return what was leased after `entry`, by the journal."""
        leased = RangeSet()
        later = next(at for at, one in enumerate(self.journal) if one is entry)
        for one in self.journal[later:]:
            if isinstance(one, Leased):
                leased.update(one.positions)
        return leased

    def carry_out(self, decisions: list[Decision]) -> None:
        """Carry decisions out in their order, once the journal has the entries before them."""
        self._outbox += decisions
        hold = self.coordinator.hold
        self._hold_to_journal = hold.until if hold.held else None
        self.reclaimed += [made for made in decisions if isinstance(made, LeaseReclaimed)]
        if not self.coordinator.over:
            self.contradictions += [made for made in decisions if self._contradicts(made)]
        if not self._committing:
            self._commit_outbox()

    def _contradicts(self, decision: Decision) -> bool:
        """Whether an answer says something false of the pause."""
        answer = decision.message if isinstance(decision, Send) else None
        if not isinstance(answer, AckReply | LeaseGrant):
            return False
        stopped = self.coordinator.stops(decision.worker)  # type: ignore[union-attr] # it is a Send
        return (isinstance(answer, AckReply) and answer.paused) is not stopped

    def _commit_outbox(self) -> None:
        batch, self._outbox = self._outbox, []
        entries = [decision for decision in batch if isinstance(decision, Entry)]
        note, self._note_to_journal = self._note_to_journal, None
        hold, pace = self._hold_to_journal, self.pace
        same = hold == self._journaled_hold and pace == self._journaled_pace
        same = same and not any(isinstance(decision, TimingsRecorded | ResultsReceived) for decision in batch)
        if (not entries and note is None and same) or not self.slow_disk_s:
            self._committed(batch, entries, note, hold, pace)
            return
        life, self._committing = self._life, True

        def written() -> None:
            if self._life == life:
                self._committing = False
                self._committed(batch, entries, note, hold, pace)
                self._commit_outbox()

        self.later(self.slow_disk_s, written)

    def _committed(
        self,
        batch: list[Decision],
        entries: list[Entry],
        note: bool | None,
        hold: float | None,
        pace: PaceConfig | None,
    ) -> None:
        self.journal += entries
        self._journaled_hold, self._journaled_pace = hold, pace
        self._journaled_paused = self._journaled_paused if note is None else note
        if note and self.coordinator.run is not None and self.coordinator.run.storm.status:
            self._journaled_storms.add(self.coordinator.run.storm.status)
        for decision in batch:
            if isinstance(decision, ResultsReceived):
                self._keep_rows(decision)
            if isinstance(decision, TimingsRecorded):
                self._journaled_timings.update(((decision.worker, one.kind), one) for one in decision.timings)
            if isinstance(decision, Send):
                self._note_confirmed(decision)
                self._note_pause(decision.message)
                self._note_pace(decision.message)
                self.send(decision.worker, decision.message)
            elif isinstance(decision, AllSettled):
                self.settled = True

    def note_sent(self, worker: str, message: Message) -> None:
        """Note whether a message, as it leaves, says of rows that they are kept, and they are not on the disk."""
        if isinstance(message, AckReply | LeaseGrant) and message.results > self._journaled_rows.get(worker, (0, 0))[0]:
            self.rows_confirmed_too_early.append(worker)

    def _keep_rows(self, received: ResultsReceived) -> None:
        """Add rows to the file, and note in the journal that they are there."""
        self.rows += received.data.decode().splitlines()
        _, kept = self._journaled_rows.get(received.worker, (0, 0))
        self._journaled_rows[received.worker] = received.number, kept + received.rows
        assert self._run is not None, "rows come after the run has begun"
        self._run.results.note_written(received.worker, received.number, received.rows)

    def _note_pause(self, message: Message) -> None:
        if isinstance(message, AckReply):
            self.pause_reported = self.wanted_paused and message.paused

    def _note_pace(self, message: Message) -> None:
        """Note which changes of the rate a worker feels by a lease."""
        run = self.coordinator.run
        if isinstance(message, LeaseGrant) and run is not None and run.pacer is not None and self.pace is not None:
            firsts = [run.pacer.schedule.before(change.at) for change in self.pace.changes]
            reached = RangeSet(message.positions).pairs[-1][1]
            self.changes_told = max(self.changes_told, sum(first < reached for first in firsts))

    def _note_confirmed(self, sent: Send) -> None:
        answer = sent.message
        if not isinstance(answer, AckReply | LeaseGrant) or self.coordinator.run is None:
            return
        ack = self._acks.get((sent.worker, answer.session, answer.answers))
        if ack is not None and ack.run == self.coordinator.run.config.run:
            self.confirmed_delivered.update(RangeSet(ack.delivered))
            # A late failure does not count if another worker has the record in hand by now.
            settled = self.coordinator.run.ledger.positions(*SETTLED)
            failed = RangeSet()
            for failure in ack.failed:
                failed.update(RangeSet(failure.positions).common(settled))
            self.confirmed_settled.update(failed)
