"""One run: its configuration, its records, and its ledger."""

from collections.abc import Container
from dataclasses import dataclass, field

from traffic.core.master.decisions import LeaseReclaimed, OutcomesRecorded, OutcomesRefused, WorkerGone
from traffic.core.master.in_doubt import mark_in_doubt
from traffic.core.master.ledger import Ledger
from traffic.core.master.recovery import Recovery
from traffic.core.order import Order
from traffic.core.protocol import Ack, Failure, RunConfig
from traffic.core.ranges import Range, RangeSet
from traffic.core.record_state import Cause, DeadLetterGroup, RecordState
from traffic.core.records import Records


@dataclass(slots=True)
class Run:
    """A run: its dataset, its order, what its workers are told, and its ledger.

    `attempts`, `resent` and `maybe_resent` are what each worker has counted, by worker: requests that left it, those of
    them for records that the API had answered before, and those for records that it may have had. `refused_acks` is how
    many acks spoke of positions that their worker was never leased.
    """

    config: RunConfig
    dataset: Records
    order: Order
    ledger: Ledger
    attempts: dict[str, int] = field(default_factory=dict)
    resent: dict[str, int] = field(default_factory=dict)
    maybe_resent: dict[str, int] = field(default_factory=dict)
    refused_acks: int = 0

    @classmethod
    def of(cls, config: RunConfig, dataset: Records, order: Order) -> "Run":
        """A run of which nothing has been sent."""
        return cls(config, dataset, order, Ledger(order.records))

    @classmethod
    def recovered(cls, config: RunConfig, dataset: Records, order: Order, recovery: Recovery) -> "Run":
        """A run as its journal left it."""
        counted = dict(recovery.attempts), dict(recovery.resent), dict(recovery.maybe_resent)
        return cls(config, dataset, order, recovery.ledger, *counted)

    def record_outcomes(self, worker: str, ack: Ack, *, stale: bool) -> list[OutcomesRecorded | OutcomesRefused]:
        """Book the outcomes in an ack that speaks of this run; nothing where none was news.

        `stale`: it was said in a former session. What the worker was never leased is not booked: it cannot know.
        """
        unbelieved = RangeSet()
        delivered = self.ledger.record_delivered(worker, self._believable(worker, ack.delivered, unbelieved))
        letters = []
        for said in ack.failed:
            cause = _cause(worker, said)
            newly = self.ledger.record_failure(self._believable(worker, said.positions, unbelieved), cause, stale=stale)
            if newly:
                letters.append(DeadLetterGroup(newly, cause))
        made: list[OutcomesRecorded | OutcomesRefused] = []
        if worker in self.ledger.ever_leased:
            self.note_attempts(worker, ack.attempts, ack.resent, ack.maybe_resent)
        if delivered or letters:
            counted = self.attempts[worker], self.resent[worker], self.maybe_resent[worker]
            made.append(OutcomesRecorded(worker, delivered, tuple(letters), *counted))
        return [*made, *self._complain(worker, unbelieved)]

    def _believable(self, worker: str, ranges: tuple[Range, ...], unbelieved: RangeSet) -> RangeSet:
        """Of what an ack speaks of, what its worker can know; the rest goes to `unbelieved`."""
        said = RangeSet(ranges)
        believed = self.ledger.ever_leased_among(worker, said)
        if believed.count < said.count:
            unbelieved.update(said.minus(believed))
        return believed

    def _complain(self, worker: str, unbelieved: RangeSet) -> list[OutcomesRefused]:
        """Tell of it the first time, and then as often as its count has doubled: whoever says it may go on for ever."""
        if not unbelieved:
            return []
        self.refused_acks += 1
        reported = self.refused_acks & (self.refused_acks - 1) == 0
        return [OutcomesRefused(worker, unbelieved, self.refused_acks)] if reported else []

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
        successors = [name for name in self.ledger.assignment.remainders if name != worker and name in present]
        return WorkerGone(worker, reason, self.ledger.leave(worker, successors), len(successors))

    def note_attempts(self, worker: str, attempts: int, resent: int, maybe_resent: int = 0) -> None:
        """Take a worker's count since the run began; an older, smaller one changes nothing."""
        self.attempts[worker] = max(attempts, self.attempts.get(worker, 0))
        self.resent[worker] = max(resent, self.resent.get(worker, 0))
        self.maybe_resent[worker] = max(maybe_resent, self.maybe_resent.get(worker, 0))


def _cause(worker: str, said: Failure) -> Cause:
    state = RecordState.IN_DOUBT if said.in_doubt else RecordState.REJECTED
    return Cause(state, said.attempts, said.status, said.reason, worker)
