"""The master process of the simulation: the core's master side, with a journal that a crash leaves behind.

As in the real adapter, decisions are carried out in their order, and what comes after an entry of the journal waits
until that entry is on disk.
"""

from collections.abc import Callable

from traffic.core.custody import Custody
from traffic.core.decisions import AllSettled, Decision, Entry, Send
from traffic.core.ledger import SETTLED
from traffic.core.protocol import Ack, Acked, Grant, Message, Terms
from traffic.core.ranges import RangeSet
from traffic.core.recovery import Recovery
from traffic.core.run import Run

Timer = Callable[[float, Callable[[], None]], None]


class Master:
    """`later(seconds, act)` calls back; `send(worker, message)` puts a message on the wire.

    `told_delivered` and `told_settled` are the positions of which a worker was told that their outcome is booked, as
    delivered or as a failure. Promise P6 is that these are never taken back.
    """

    def __init__(self, terms: Terms, later: Timer, send: Callable[[str, Message], None]) -> None:
        self.terms, self.later, self.send = terms, later, send
        self.custody = Custody(terms, first_session=1)
        self.up, self.settled, self.slow_disk_s = True, False, 0.0
        self.journal: list[Entry] = []
        self.told_delivered, self.told_settled = RangeSet(), RangeSet()
        self._outbox: list[Decision] = []
        self._committing = False
        self._life = 1
        self._acks: dict[tuple[str, int, int], Ack] = {}

    def receive(self, worker: str, message: Message, now: float) -> None:
        """A message has arrived; a dead master loses it."""
        if self.up:
            if isinstance(message, Ack):
                self._acks[worker, message.session, message.seq] = message
            self.carry_out(self.custody.receive(worker, message, now))

    def crash(self) -> None:
        """Kill -9: what was not on disk is gone, and nothing that waited for it was done."""
        self.up, self._committing = False, False
        self._life += 1
        self._outbox.clear()
        self._acks.clear()

    def restart(self, run: Run, now: float) -> Run:
        """Come up again and go on with `run`, of which only the journal is known; the run as recovered."""
        recovery = Recovery(run.dataset.records)
        for entry in self.journal:
            recovery.take(entry)
        again = Run.recovered(run.terms, run.dataset, run.order, recovery)
        self.up = True
        self.custody = Custody(self.terms, first_session=1_000_000 * self._life)
        self.carry_out(self.custody.resume(again, recovery.held(), now))
        return again

    def carry_out(self, decisions: list[Decision]) -> None:
        """Do what was decided, in its order, as soon as the journal has it."""
        self._outbox += decisions
        if not self._committing:
            self._empty()

    def _empty(self) -> None:
        batch, self._outbox = self._outbox, []
        entries = [decision for decision in batch if isinstance(decision, Entry)]
        if not entries or not self.slow_disk_s:
            self._done(batch, entries)
            return
        life, self._committing = self._life, True

        def written() -> None:
            if self._life == life:
                self._committing = False
                self._done(batch, entries)
                self._empty()

        self.later(self.slow_disk_s, written)

    def _done(self, batch: list[Decision], entries: list[Entry]) -> None:
        self.journal += entries
        for decision in batch:
            if isinstance(decision, Send):
                self._note_confirmed(decision)
                self.send(decision.worker, decision.message)
            elif isinstance(decision, AllSettled):
                self.settled = True

    def _note_confirmed(self, sent: Send) -> None:
        answer = sent.message
        if not isinstance(answer, Acked | Grant) or self.custody.run is None:
            return
        ack = self._acks.get((sent.worker, answer.session, answer.answers))
        if ack is not None and ack.run == self.custody.run.terms.run:
            self.told_delivered.update(RangeSet(ack.delivered))
            # A late failure is not taken from the worker that has the record in hand by now.
            settled = self.custody.run.ledger.positions(*SETTLED)
            failed = RangeSet.of(failure.position for failure in ack.failed if failure.position in settled)
            self.told_settled.update(failed)
