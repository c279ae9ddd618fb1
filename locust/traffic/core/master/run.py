"""Keep one run: its configuration, its records and its ledger. Record what the workers' acks report of it."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from traffic.core.master.answer_book import AnswerBook
from traffic.core.master.api_hold import ApiHold
from traffic.core.master.decisions import (
    LeaseReclaimed,
    OutcomesRecorded,
    OutcomesRefused,
    ResultsReceived,
    TimingsRecorded,
    WorkerGone,
    WorkerJoined,
)
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.in_doubt import mark_in_doubt
from traffic.core.master.ledger import Ledger
from traffic.core.master.rate_backoff import RateBackoff
from traffic.core.master.recovery import Recovery
from traffic.core.master.result_book import ResultBook
from traffic.core.master.storm import Storm
from traffic.core.master.timing_book import TimingBook
from traffic.core.order import Order
from traffic.core.protocol import Ack, Failure, ResultBatch, RunConfig
from traffic.core.ranges import Range, RangeSet
from traffic.core.record_state import Cause, DeadLetterGroup, RecordState
from traffic.core.records import Records

if TYPE_CHECKING:
    from traffic.core.master.pacer import Pacer


@dataclass(slots=True)
class Run:
    """A run: how its records are sent, its dataset, its order and its ledger.

    `pacer` deals the records of a paced run; None: as fast as the users take them. `attempts`, `resent` and
    `maybe_resent` are what each worker has counted, by worker: requests that left it, those of them for records that
    the API had answered before, and those for records that it may have had. `refused_acks` counts acks that reported
    outcomes of positions that their worker was never leased. `hold` says whether the API has asked the run to wait,
    and `backoff` how much slower than usual it sends because of the API. `handed_out` has the times that are put into
    the records; None: none are. `answers` are those that its dead letters keep.
    `storm` says whether the API refuses nearly everything, `timings` how long attempts took, and `results` which rows
    of them are kept.
    """

    config: RunConfig
    dataset: Records
    order: Order
    ledger: Ledger
    attempts: dict[str, int] = field(default_factory=dict)
    resent: dict[str, int] = field(default_factory=dict)
    maybe_resent: dict[str, int] = field(default_factory=dict)
    refused_acks: int = 0
    pacer: "Pacer | None" = None
    hold: ApiHold = field(default_factory=ApiHold)
    backoff: RateBackoff = field(default_factory=RateBackoff)
    handed_out: HandedOut | None = None
    answers: AnswerBook = field(default_factory=AnswerBook)
    storm: Storm = field(default_factory=Storm)
    timings: TimingBook = field(default_factory=TimingBook)
    results: ResultBook = field(default_factory=ResultBook)

    @classmethod
    def of(cls, config: RunConfig, dataset: Records, order: Order) -> "Run":
        """Return a run of which nothing has been sent."""
        return cls(config, dataset, order, Ledger(order.records))

    @classmethod
    def recovered(cls, config: RunConfig, dataset: Records, order: Order, recovery: Recovery) -> "Run":
        """Return a run as its journal has it."""
        counted = dict(recovery.attempts), dict(recovery.resent), dict(recovery.maybe_resent)
        run = cls(config, dataset, order, recovery.ledger, *counted)
        for worker, rows in recovery.rows.items():
            run.results.note_made(worker, rows)
        return run

    def assign(self, workers: list[str]) -> list[WorkerJoined]:
        """Cut what is unassigned into slices, one for each of `workers`; a paced run has none, and deals as it goes."""
        if self.pacer:
            return [one for worker in workers for one in self.admit(worker)]
        before = {name: self.ledger.shares[name].slice for name in workers if name in self.ledger.shares}
        self.ledger.assign(workers)
        return [WorkerJoined(name, self.ledger.shares[name].slice - before.get(name, 0)) for name in workers]

    def admit(self, worker: str) -> list[WorkerJoined]:
        """Let a worker take part that does not yet, with a slice cut from the others'; in a paced run with none."""
        if worker in self.ledger.assignment.remainders:
            return []
        if self.pacer:
            self.ledger.take_part(worker)
            return [WorkerJoined(worker, None)]
        return [WorkerJoined(worker, self.ledger.join(worker))]

    def record_outcomes(
        self, worker: str, ack: Ack, *, stale: bool
    ) -> list[OutcomesRecorded | OutcomesRefused | TimingsRecorded]:
        """Record the outcomes in an ack of this run. Returns nothing if all that it reports was known.

        `stale`: the ack is of a former session. Outcomes of what the worker was never leased are refused: it cannot
        know them.
        """
        refused = RangeSet()
        delivered = self.ledger.record_delivered(worker, self._believable(worker, ack.delivered, refused))
        letters = []
        for failure in ack.failed:
            believed = self._believable(worker, failure.positions, refused)
            if not believed:
                continue
            cause, answer = _cause(worker, failure), self.answers.number(failure.answer)
            newly = self.ledger.record_failure(believed, cause, answer, stale=stale)
            if newly:
                letters.append(DeadLetterGroup(newly, cause, answer))
        made: list[OutcomesRecorded | OutcomesRefused | TimingsRecorded] = []
        if self.pacer is not None:
            self.pacer.monitor.note(worker, ack.pace)
        if worker in self.ledger.ever_leased:
            self.note_attempts(worker, ack.attempts, ack.resent, ack.maybe_resent)
            self.results.note_made(worker, ack.rows)
            if timings := self.timings.note(worker, ack.timings):
                made.append(TimingsRecorded(worker, timings))
        if delivered or letters:
            counted = self.attempts[worker], self.resent[worker], self.maybe_resent[worker]
            answers, rows = self.answers.take_new(), self.results.made_by(worker)
            made.append(OutcomesRecorded(worker, delivered, tuple(letters), *counted, answers=answers, rows=rows))
        return [*made, *self._report_refused(worker, refused)]

    def receive_results(self, worker: str, batch: ResultBatch) -> list[ResultsReceived]:
        """Take the rows of a worker that has been leased records of this run; nothing if they are kept already."""
        if batch.run != self.config.run or worker not in self.ledger.ever_leased:
            return []
        taken = self.results.accept(worker, batch)
        return [ResultsReceived(worker, batch.number, batch.rows, batch.data)] if taken else []

    def _believable(self, worker: str, ranges: tuple[Range, ...], refused: RangeSet) -> RangeSet:
        """Return what an ack reports of positions that its worker was ever leased. Adds the others to `refused`."""
        reported = RangeSet(ranges)
        believed = self.ledger.ever_leased_among(worker, reported)
        if believed.count < reported.count:
            refused.update(reported.minus(believed))
        return believed

    def _report_refused(self, worker: str, refused: RangeSet) -> list[OutcomesRefused]:
        """Report refused outcomes the first time, and then whenever their count has doubled: a peer may send many."""
        if not refused:
            return []
        self.refused_acks += 1
        reported = self.refused_acks & (self.refused_acks - 1) == 0
        return [OutcomesRefused(worker, refused, self.refused_acks)] if reported else []

    def reclaim(self, worker: str, reason: str) -> list[LeaseReclaimed | OutcomesRecorded]:
        """Reclaim what a lost worker had in hand: for another worker or, if nothing may be sent twice, in doubt."""
        made: list[LeaseReclaimed | OutcomesRecorded] = []
        for lease in self.ledger.leases.of(worker):
            positions = lease.open.copy()
            made.append(LeaseReclaimed(lease.number, worker, positions, reason))
            if self.config.policy == "at-least-once":
                self.ledger.reclaim(lease)
                continue
            why = f"worker lost with the record in hand: {reason}"
            made.append(OutcomesRecorded(worker, RangeSet(), mark_in_doubt(self.ledger, worker, positions, why)))
        return made

    def leave(self, worker: str, reason: str, present: Container[str]) -> WorkerGone:
        """Cut the remainder of a worker that is gone among those of the others that are `present`."""
        others = [name for name in self.ledger.assignment.remainders if name != worker and name in present]
        successors = [] if self.pacer else others  # the pacer deals it in stripes
        return WorkerGone(worker, reason, self.ledger.leave(worker, successors), len(successors))

    def note_attempts(self, worker: str, attempts: int, resent: int, maybe_resent: int = 0) -> None:
        """Note a worker's counts since the run began; older, smaller ones change nothing."""
        self.attempts[worker] = max(attempts, self.attempts.get(worker, 0))
        self.resent[worker] = max(resent, self.resent.get(worker, 0))
        self.maybe_resent[worker] = max(maybe_resent, self.maybe_resent.get(worker, 0))


def _cause(worker: str, failure: Failure) -> Cause:
    state = RecordState.IN_DOUBT if failure.in_doubt else RecordState.REJECTED
    return Cause(state, failure.attempts, failure.status, failure.reason, worker)
