"""The worker's queue of leased records, from which its users take.

Guarded here: a record is handed out only while the worker's custody lasts (`deadline`), never while a person pauses the
run (`paused`), and in a paced run not before it is due. It is in one place at a time: waiting, in a user's hands, or
waiting for its next attempt. Its outcome is kept until the master has confirmed it.
"""

import random
from collections.abc import Iterable

from traffic.core.outcome import Answer, Outcome, backoff
from traffic.core.pace.measures import LATE_S
from traffic.core.protocol import Failure, LeaseGrant, RunConfig, Tried
from traffic.core.ranges import RangeSet
from traffic.core.results import OFF
from traffic.core.wire import ProtocolError
from traffic.core.worker.brake import Brake
from traffic.core.worker.failures import Failures, positions_of
from traffic.core.worker.lease_queue import LeasedRecords, LeaseQueue
from traffic.core.worker.pace_meter import PaceMeter
from traffic.core.worker.paced_queue import PacedQueue
from traffic.core.worker.put_off import PutOff
from traffic.core.worker.rate_limit import RateLimit
from traffic.core.worker.reach import Reach
from traffic.core.worker.record import Counts, Record
from traffic.core.worker.result_log import NewResultLog, ResultLog
from traffic.core.worker.retries import Retries
from traffic.core.worker.schedule_estimate import ScheduleEstimate
from traffic.core.worker.timing_log import TimingLog

__all__ = ["Feed", "Record"]

STOPPED = "the run was stopped while the answer was awaited"
_DELIVERED, _RETRY = Outcome.DELIVERED, Outcome.RETRY  # saves a look-up for each record
_NEVER = float("inf")
# What was counted of so many runs is kept, in case one is resumed.
MOST_FORMER = 100


class Feed:
    """The leased records of one session at a time. Times are seconds on the worker's own clock.

    `new_results` makes the log of a run that wants rows of results; None: this worker writes none.
    """

    def __init__(self, generator: random.Random, new_results: NewResultLog | None = None) -> None:
        self._random, self._new_results = generator, new_results
        self._leased: LeaseQueue | PacedQueue = LeaseQueue()
        self.schedule, self.meter = ScheduleEstimate(), PaceMeter()
        self.users = 0  # how many would take a record if there were one
        self._retries = Retries()
        self._in_flight: dict[int, Record] = {}
        # Positions of former sessions whose outcome came in this one: a lease of them may still be on its way.
        self._late: set[int] = set()
        self._delivered: list[int] = []
        self._failed = Failures()
        self._held = RangeSet()
        self.run: RunConfig | None = None
        self._run_id = ""
        self.session = 0
        self.deadline = 0.0
        self.closed = True
        # Set by the lease client: a person pauses the run, so records that wait stay here.
        self.paused = False
        # `needs_poll` is set when no more records than this wait; -1: never.
        self.low_watermark = -1
        # Set when the lease client should be polled at once; whoever polls it resets this.
        self.needs_poll = False
        self.counts, self.timings = Counts(), TimingLog()
        self.results: ResultLog | None = None  # None: the run wants no rows
        # What was counted of runs that another run, or none, has replaced, by run.
        self._former: dict[str, tuple[Counts, TimingLog, ResultLog | None]] = {}
        # Why nothing gets done, by the latest attempt; empty if something does.
        self.trouble = ""
        self.reach, self.put_off, self.limit, self.brake = Reach(), PutOff(), RateLimit(), Brake()
        self._hand_back_now = False  # records that wait must be handed back
        self._hand_back_due = _NEVER  # when, in trouble, the first record whose backoff is over must be handed back
        self._tried: list[Tried] = []  # records that were handed back, and may have been sent

    @property
    def waiting(self) -> int:
        """How many records a user could take, now or after a backoff."""
        return self._leased.count + len(self._retries.heap)

    def ready(self, now: float) -> int:
        """Return how many users to wake; in a paced run one after the other."""
        if self.paused or self.brake.stops or self.put_off.stops(now, len(self._in_flight)):
            return 0
        if isinstance(self._leased, PacedQueue) or self.put_off.probing:
            return int(self.next_due() <= now)
        return self.waiting

    @property
    def in_hand(self) -> int:
        """How many records users are sending."""
        return len(self._in_flight)

    @property
    def unreported(self) -> int:
        """How many outcomes no ack has carried yet."""
        return len(self._delivered) + len(self._failed)

    @property
    def attempts_made(self) -> tuple[int, int, int]:
        """The attempts that left this worker, the repeats among them, and the possible repeats."""
        return self.counts.attempts_made(self._in_flight.values())

    def begin(self, session: int, run: RunConfig | None) -> None:
        """Begin a session, which holds nothing. Outcomes of the same run are kept; records that wait are dropped."""
        if self.run is None or run is None or run.run != self.run.run:
            self._delivered, self._failed = [], Failures()
            self._count_for(run)
        self.timings.begin_session()
        if self.results is not None:
            self.results.begin_session()
        self._drop_waiting()
        self._leased = PacedQueue(run.catch_up) if run is not None and run.paced else LeaseQueue()
        self.schedule = ScheduleEstimate()
        self._held, self._late, self._tried = RangeSet(), set(), []
        self.run, self.session, self._run_id = run, session, run.run if run is not None else ""
        self.closed, self.paused = run is None, False
        self._in_flight = {at: record for at, record in self._in_flight.items() if run and record.run == run.run}

    def _count_for(self, run: RunConfig | None) -> None:
        """Count the attempts of another run; a run that is resumed after others continues its own counts."""
        if self.run is not None:
            counted = self.counts.without(self._in_flight.values())
            self._former[self.run.run] = counted, self.timings, self.results
            if len(self._former) > MOST_FORMER:
                del self._former[next(iter(self._former))]
        former = self._former.get(run.run) if run is not None else None
        self.counts, self.timings, self.results = former or (Counts(), TimingLog(), self._results_of(run))
        self.trouble, self.reach, self._hand_back_due = "", Reach(), _NEVER
        self.meter, self.put_off, self.limit = PaceMeter(), PutOff(), RateLimit()
        self.brake = Brake(run.brake if run is not None else 0)

    def _results_of(self, run: RunConfig | None) -> ResultLog | None:
        if run is None or run.results == OFF or self._new_results is None:
            return None
        return self._new_results(run)

    def add_lease(self, grant: LeaseGrant, now: float) -> None:
        """Add the records of a lease, which came at `now`. ProtocolError if it contradicts itself, or without a run."""
        if self.run is None:
            raise ProtocolError(f"lease {grant.lease} belongs to no run")
        positions, redelivered = RangeSet(grant.positions), RangeSet(grant.redelivered)
        indexes = grant.index_list()
        self._held.update(positions)
        records: LeasedRecords = zip(positions.members(), indexes, grant.bodies, strict=True)
        known = {position for position in (*self._in_flight, *self._late) if position in positions}
        for position in known:
            if position in self._in_flight:
                # A user has been sending the record since a former session: its attempt serves the new lease.
                self._in_flight[position].session = self.session
            else:
                self._held.remove(position, position + 1)
        if isinstance(self._leased, PacedQueue):
            times = dict(zip(positions.members(), grant.due_list(), strict=True))
            due = ((times[one[0]], *one) for one in records if one[0] not in known)
            tried = {one.position: one for one in grant.tried}
            self._leased.add(due, grant.spacing, redelivered, tried, self.schedule.second(now))
        else:
            if known:
                records = ((position, index, body) for position, index, body in records if position not in known)
            self._leased.add(records, positions.count - len(known), redelivered, grant.tried)
        if self.closed:  # the lease was on its way when the feed was closed: the next ack does not list it
            self._held.subtract(self._leased.drop())

    def take_batch(self, now: float, most: int) -> list[Record]:
        """Return up to `most` records to send now: none if the run is paused or the worker's custody has ended."""
        if not (most := self._most_now(now, most)):
            return []
        # In trouble, a record whose backoff is over is handed back: here it would wait until an attempt succeeds.
        retried = self._retries.heap and not (self.trouble and self._hand_back_due < _NEVER)
        taken, leased = self._retries.take(now, most, self.counts) if retried else [], self._leased
        if isinstance(leased, PacedQueue):
            taken += self._take_due(leased, now, most - len(taken))
        else:
            while len(taken) < most and leased.count:
                taken += leased.take(self._run_id, self.session, most - len(taken), self.counts)
        if taken:
            self._note_taken(taken, now)
            if leased.count <= self.low_watermark:
                self._poll_if_low()
        return taken

    def _most_now(self, now: float, most: int) -> int:
        """Return how many of `most` records may be handed out now, whatever there is."""
        if self.closed or self.paused or now >= self.deadline or (self.trouble and not self._may_probe(now)):
            return 0
        if self.brake.stops or self.put_off.stops(now, len(self._in_flight)):
            return 0
        if self.trouble or self.put_off.probing:
            most = min(most, 1)
        return self.limit.allowed(now, most) if self.limit.rate else most

    def _note_taken(self, taken: list[Record], now: float) -> None:
        """Note records that users have now."""
        self.counts.taken += len(taken)
        for record in taken:
            self._in_flight[record.position] = record
        if self.trouble:
            self.reach.probe(now)
        if self.put_off.probing:
            self.put_off.begin_probe(taken[0])
        self.limit.take(len(taken))
        self.meter.note_busy(len(self._in_flight), self.users, now)

    def _take_due(self, queue: PacedQueue, now: float, most: int) -> list[Record]:
        """Return up to `most` records of a paced run that are due, with the time at which they were."""
        second, probe = self.schedule.second(now), bool(self.trouble)
        taken = queue.take(second, most, self._run_id, self.session, probe=probe) if most > 0 else []
        for due, record, known in taken:
            when = self.schedule.when(due)
            record.due, record.taken = when if -_NEVER < when < now else now, now
            if record.redelivered:
                self.counts.count_repeat(record)
            cause = self.meter.late_cause(record.due, now) if known is None else known
            self.meter.note_taken(now - record.due, second, cause)
        return [record for _, record, _ in taken]

    def overdue(self, now: float) -> int:
        """Return how many records of a paced run wait that are overdue because no user is free."""
        if not isinstance(self._leased, PacedQueue) or len(self._in_flight) < self.users or self.paused:
            return 0
        return self._leased.overdue(self.schedule.second(now) - LATE_S)

    def next_due(self) -> float:
        """Return the time from which on a record may be taken, by the worker's clock; infinity if none waits."""
        retry = self._retries.heap[0][0] if self._retries.heap else _NEVER
        if isinstance(self._leased, PacedQueue):
            return min(retry, self.schedule.when(self._leased.next_second(probe=bool(self.trouble))))
        return -_NEVER if self._leased.count else retry

    def _may_probe(self, now: float) -> bool:
        return self.reach.may_probe(now, in_flight=bool(self._in_flight))

    def wants_probe(self, now: float) -> bool:
        """Return whether a worker in trouble may make its next attempt, and has no record for it."""
        ready = self.next_due() <= now
        return not ready and self._may_probe(now)

    def _poll_if_low(self) -> None:
        if self.waiting <= self.low_watermark:
            self.low_watermark = -1  # once is enough
            self.needs_poll = True

    def record_outcome(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Record the outcome of an attempt. A second report of the same attempt is ignored."""
        sent = self._in_flight.pop(record.position, None)
        if sent is not record:
            if sent is not None:
                self._in_flight[record.position] = sent
            return
        self._note_over(record, answer, now)
        if self.trouble or not answer.status:
            self._note_reach(record, answer, now)
        if outcome is _RETRY and self.run is not None and self.run.holds and answer.is_no_attempt:
            self._put_off(record, answer, now)
        elif self.put_off.probing and self.put_off.note_outcome(record, answer):
            self.needs_poll = True
        if outcome is _DELIVERED and record.session == self.session:
            self._delivered.append(record.position)
        elif self.run is not None and record.run == self.run.run:
            outcome = self._record_other(record, answer, outcome, now)
        if self.results is not None and answer.sent and record.sent and record.run == self._run_id:
            self.results.note(record, answer, outcome, now)

    def _note_over(self, record: Record, answer: Answer, now: float) -> None:
        """Note an attempt that is over: when it was sent, and when its record was taken, if that is known."""
        if not self._in_flight:
            self.needs_poll = True
        if record.taken:
            self.meter.note_over(now - record.taken, now)
        if answer.sent and record.sent:
            self.timings.note(record.request, answer, record.sent, record.due, now)

    def _put_off(self, record: Record, answer: Answer, now: float) -> None:
        """Let an attempt not count: the API wants the run slower. If it says for how long, stop, and stop all."""
        record.put_off += 1
        self.needs_poll = True
        if not answer.asks_to_wait:
            self.counts.slowed += 1
            return
        record.waits_for_run = True
        self.counts.put_off += 1
        self.put_off.note(answer, now)

    def _record_other(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> Outcome:
        """Record an outcome other than "delivered in the session in which the record was leased".

        Returns what became of the record: if its attempts are used up, no retry follows.
        """
        if record.session != self.session and outcome is not Outcome.RETRY:
            self._late.add(record.position)
        record.outcome_unknown |= answer.unknown
        record.answered |= answer.status > 0
        if outcome is Outcome.DELIVERED:
            self._delivered.append(record.position)
        elif outcome is not Outcome.RETRY:
            self._fail(record, answer, in_doubt=outcome is Outcome.IN_DOUBT)
        elif record.session == self.session:
            return self._retry(record, answer, now)
        return outcome

    def note_progress(self, now: float) -> None:
        """Note how many attempts have been answered; call it often."""
        self.reach.note_progress(self.counts.answered(len(self._in_flight)), now)

    def _note_reach(self, record: Record, answer: Answer, now: float) -> None:
        """Judge from an attempt without an answer, or from one in trouble, whether the API can be reached."""
        before = self.trouble
        if answer.status:
            self.reach.succeed()
        else:
            self.counts.record_unanswered(record, sent=answer.sent)
            self.note_progress(now)
            self.reach.fail(answer, now)
            self._hand_back_now = bool(self.reach.trouble)
        self.trouble = self.reach.trouble
        self.needs_poll |= self._hand_back_now or bool(before)

    def hand_back(self, now: float) -> bool:
        """Hand back the records that wait while this worker is in trouble; return whether there were any.

        Others send them. A record that the API has had stays until its backoff is over; under at-most-once it stays
        longer if its answer is unknown. Records that were leased since the latest attempt stay for the next one.
        """
        everything, retries = self._hand_back_now, bool(self.trouble) and now >= self._hand_back_due
        if not (everything or retries) or self.closed or self.paused or self.run is None:
            return False
        self._hand_back_now, self._hand_back_due = False, _NEVER
        once, held = self.run.policy == "at-most-once", self._held.count
        for due, record in self._retries.drain():
            kept = once and record.outcome_unknown
            if record.attempts and (due > now or kept):
                self._retries.add(record, due)
                self._hand_back_due = min(self._hand_back_due, _NEVER if kept else due)
                continue
            self._held.remove(record.position, record.position + 1)
            if record.attempts:
                counted = record.attempts - record.put_off
                self._tried.append(Tried(record.position, counted, record.outcome_unknown))
        if everything:
            self._held.subtract(self._leased.drop())
        return self._held.count < held

    def drain_tried(self) -> tuple[Tried, ...]:
        """Remove and return the records that were handed back since the last ack, and may have been sent."""
        tried, self._tried = tuple(self._tried), []
        return tried

    def close(self) -> None:
        """Hand out no more: a record that may have been sent is in doubt, the others go back."""
        if self.closed:
            return
        self.closed = True
        for _, _, record in self._retries.heap:
            if record.outcome_unknown:
                self._fail(record, Answer(0, STOPPED), in_doubt=True)
        self._drop_waiting()

    def drain_outcomes(self) -> tuple[RangeSet, tuple[Failure, ...]]:
        """Remove and return the outcomes since the last ack: delivered positions, and failures.

        Failures for which an ack has no room are still in hand, and go with the next one.
        """
        delivered, failed = RangeSet.of(self._delivered), self._failed.take()
        self._delivered = []
        self._held.subtract(delivered)
        for one in failed:
            self._held.subtract(positions_of(one))
        return delivered, failed

    def restore(self, delivered: RangeSet, failed: Iterable[Failure]) -> None:
        """Put back outcomes that an ack carried and no answer confirmed."""
        self._delivered.extend(delivered.members())
        self._failed.restore(failed)

    def confirm(self, delivered: RangeSet, failed: Iterable[Failure]) -> None:
        """Note that the master has read these outcomes: if it leases their records later, they must be sent."""
        if self._late:
            self._late.difference_update(delivered.members(), *(positions_of(one).members() for one in failed))

    def holds(self) -> RangeSet:
        """Return every position in hand in this session. It is exact only right after `drain_outcomes`."""
        return self._held

    def _retry(self, record: Record, answer: Answer, now: float) -> Outcome:
        """Have a record sent again, if it may be; return its outcome if it may not, else that it is tried again."""
        assert self.run is not None
        if self.closed and not record.outcome_unknown:
            self._held.remove(record.position, record.position + 1)
        elif self.closed:
            return self._fail(record, answer, in_doubt=True)
        elif answer.sent and record.attempts - record.put_off >= self.run.max_attempts:
            return self._fail(record, answer, in_doubt=record.outcome_unknown)
        elif record.waits_for_run:
            self._retries.add(record, now)  # the run waits, so the record need not
        else:
            # What the API put off counts for the run, which sends slower now, and not for the record.
            counted = max(1, record.attempts - record.put_off) + record.unreached
            wait = backoff(counted, answer.retry_after, self._random)
            self._retries.add(record, now + wait)
        return Outcome.RETRY

    def _fail(self, record: Record, answer: Answer, *, in_doubt: bool) -> Outcome:
        if not in_doubt and self.brake.note_rejection(answer.status, self.counts.answered(len(self._in_flight))):
            self.needs_poll = True
        reason = answer.reason or f"HTTP {answer.status}"
        self._failed.add(record.position, (in_doubt, record.attempts, answer.status, reason, answer.excerpt))
        return Outcome.IN_DOUBT if in_doubt else Outcome.REJECTED

    def _drop_waiting(self) -> None:
        settled = self._failed.members()
        retried = RangeSet.of(record.position for _, record in self._retries.drain() if record.position not in settled)
        self._held.subtract(retried)
        self._held.subtract(self._leased.drop())
