"""The worker's queue of leased records, from which its users take.

Guarded here: a record is handed out only while the worker's custody lasts (`deadline`), and never while a person
pauses the run (`paused`). It is in one place at a time: waiting, in a user's hands, or waiting for its next attempt.
Its outcome is kept until the master has confirmed it.
"""

import heapq
import random
from collections.abc import Iterable

from traffic.core.outcome import Answer, Outcome, backoff
from traffic.core.protocol import Failure, LeaseGrant, RunConfig, Tried
from traffic.core.ranges import RangeSet
from traffic.core.wire import ProtocolError
from traffic.core.worker.failures import Failures, places
from traffic.core.worker.reach import DEAD_AFTER, PROBE_S, Reach
from traffic.core.worker.record import Counts, Record
from traffic.core.worker.waiting import Places, Waiting

__all__ = ["DEAD_AFTER", "PROBE_S", "Feed", "Record"]

STOPPED = "the run was stopped while the answer was awaited"
_DELIVERED = Outcome.DELIVERED  # one look-up less for each record
_NEVER = float("inf")


class Feed:
    """The leased records of one session at a time. Times are seconds on the worker's own clock."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._leased = Waiting()
        self._retries: list[tuple[float, int, Record]] = []
        self._in_flight: dict[int, Record] = {}
        # Positions of former sessions whose outcome came in this one: a lease may still be on its way with them.
        self._late: set[int] = set()
        self._delivered: list[int] = []
        self._failed = Failures()
        self._held = RangeSet()
        self.run: RunConfig | None = None
        self._run_id = ""
        self.session = 0
        self.deadline = 0.0
        self.closed = True
        # Set by the link: a person pauses the run, so what waits stays here.
        self.paused = False
        # When so few records wait, `needs_poll` is set; -1: there is no hurry.
        self.low_watermark = -1
        # Whether something has happened since it was last reset that the link should act upon: it is time to `poll`.
        self.needs_poll = False
        self.counts = Counts()
        # What those were, by run, when another run or none took its place.
        self._former_counts: dict[str, Counts] = {}
        # Why nothing gets done, as the latest attempt saw it; empty where something does.
        self.trouble = ""
        self.reach = Reach()
        self._clearing = False  # what waits is to be handed back
        self._clear_at = _NEVER  # when, in trouble, the first record whose backoff is over is to be handed back
        self._tried: list[Tried] = []  # what was handed back, and may have been sent

    @property
    def waiting(self) -> int:
        """Records that a user could take now or after a backoff."""
        return self._leased.count + len(self._retries)

    @property
    def ready(self) -> int:
        """Records that users are to be woken for."""
        return 0 if self.paused else self.waiting

    @property
    def in_hand(self) -> int:
        """Records that users are sending."""
        return len(self._in_flight)

    @property
    def news(self) -> int:
        """Outcomes that no ack has carried yet."""
        return len(self._delivered) + len(self._failed)

    @property
    def done(self) -> tuple[int, int, int]:
        """The attempts that left this worker, how many of them were repeats, and how many maybe were."""
        return self.counts.done(self._in_flight.values())

    def begin(self, session: int, run: RunConfig | None) -> None:
        """Begin a session, which holds nothing. Outcomes of the same run are kept; what waits is dropped."""
        if self.run is None or run is None or run.run != self.run.run:
            self._delivered, self._failed = [], Failures()
            self._count_for(run)
        self._drop_waiting()
        self._held, self._late, self._tried = RangeSet(), set(), []
        self.run, self.session, self._run_id = run, session, run.run if run is not None else ""
        self.closed, self.paused = run is None, False
        self._in_flight = {at: record for at, record in self._in_flight.items() if run and record.run == run.run}

    def _count_for(self, run: RunConfig | None) -> None:
        """Count the attempts of another run: a run that is resumed after others goes on with its own counts."""
        if self.run is not None:
            self._former_counts[self.run.run] = self.counts.without(self._in_flight.values())
        self.counts = self._former_counts.get(run.run, Counts()) if run is not None else Counts()
        self.trouble, self.reach, self._clear_at = "", Reach(), _NEVER

    def add_lease(self, grant: LeaseGrant) -> None:
        """Take a lease in. ProtocolError where it contradicts itself, or there is no run that it could be of."""
        if self.run is None:
            raise ProtocolError(f"lease {grant.lease} belongs to no run")
        positions, redelivered = RangeSet(grant.positions), RangeSet(grant.redelivered)
        indexes = grant.index_list()
        self._held.update(positions)
        rest: Places = zip(positions.members(), indexes, grant.bodies, strict=True)
        known = {position for position in (*self._in_flight, *self._late) if position in positions}
        for position in known:
            if position in self._in_flight:
                # A user has been sending it since a former session: that attempt serves the new lease.
                self._in_flight[position].session = self.session
            else:
                self._held.remove(position, position + 1)
        if known:
            rest = ((position, index, body) for position, index, body in rest if position not in known)
        self._leased.add(rest, positions.count - len(known), redelivered, grant.tried)
        if self.closed:  # it was on its way as the feed was closed: the next ack says that it is not held
            self._held.subtract(self._leased.drop())

    def take(self, now: float) -> Record | None:
        """A record to send now; None where there is none yet, the run is paused, or the worker's custody has lapsed."""
        taken = self.take_batch(now, 1)
        return taken[0] if taken else None

    def take_batch(self, now: float, most: int) -> list[Record]:
        """As `remove`: up to `most` records."""
        if self.closed or self.paused or now >= self.deadline or (self.trouble and not self._may_probe(now)):
            return []
        if self.trouble:
            most = min(most, 1)
        # In trouble, a record whose backoff is over goes back: else it stays here, from one vain attempt to the next.
        retried = self._retries and not (self.trouble and self._clear_at < _NEVER)
        taken, leased = self._due_retries(now, most) if retried else [], self._leased
        while len(taken) < most and leased.count:
            taken += leased.take(self._run_id, self.session, most - len(taken), self.counts)
        if taken:
            self.counts.taken += len(taken)
            for record in taken:
                self._in_flight[record.position] = record
            if self.trouble:
                self.reach.probe(now)
            if leased.count <= self.low_watermark:
                self._look_whether_low()
        return taken

    def _may_probe(self, now: float) -> bool:
        return self.reach.may_probe(now, flying=bool(self._in_flight))

    def wants_probe(self, now: float) -> bool:
        """Whether a worker in trouble has no record for its next attempt, and should have one by now."""
        ready = self._leased.count or (self._retries and self._retries[0][0] <= now)
        return not ready and self._may_probe(now)

    def _due_retries(self, now: float, most: int) -> list[Record]:
        """Take up to `most` records whose backoff is over."""
        taken: list[Record] = []
        while self._retries and self._retries[0][0] <= now and len(taken) < most:
            record = heapq.heappop(self._retries)[2]
            self.counts.begin_again(record)
            record.attempts += 1
            taken.append(record)
        return taken

    def _look_whether_low(self) -> None:
        if self.waiting <= self.low_watermark:
            self.low_watermark = -1  # once is enough
            self.needs_poll = True

    def book(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Book what an attempt showed. A second word on the same attempt changes nothing."""
        flying = self._in_flight.pop(record.position, None)
        if flying is not record:
            if flying is not None:
                self._in_flight[record.position] = flying
            return
        if not self._in_flight:
            self.needs_poll = True
        if self.trouble or not answer.status:
            self._note_reach(record, answer, now)
        if outcome is _DELIVERED and record.session == self.session:
            self._delivered.append(record.position)
        elif self.run is not None and record.run == self.run.run:
            self._book_other(record, answer, outcome, now)

    def _book_other(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Book what is not simply delivered in the session in which it was leased."""
        if record.session != self.session and outcome is not Outcome.RETRY:
            self._late.add(record.position)
        record.outcome_unknown |= answer.unknown
        record.answered |= answer.status > 0
        if outcome is Outcome.DELIVERED:
            self._delivered.append(record.position)
        elif outcome is not Outcome.RETRY:
            self._fail(record, answer, in_doubt=outcome is Outcome.IN_DOUBT)
        elif record.session == self.session:
            self._retry(record, answer, now)

    def look(self, now: float) -> None:
        """Note how far the attempts have come; call it often."""
        self.reach.look(self.counts.answered(len(self._in_flight)), now)

    def _note_reach(self, record: Record, answer: Answer, now: float) -> None:
        """Take what an attempt without an answer, or one in trouble, says of the way to the API."""
        was = self.trouble
        if answer.status:
            self.reach.succeed()
        else:
            self.counts.book_unanswered(record, sent=answer.sent)
            self.look(now)
            self.reach.fail(answer, now)
            self._clearing = bool(self.reach.trouble)
        self.trouble = self.reach.trouble
        self.needs_poll |= self._clearing or bool(was)

    def hand_back(self, now: float) -> bool:
        """Let go of what waits while this worker is in trouble, so that others send it; whether there was anything.

        What the API has had stays for as long as it has to wait, and under at-most-once also if its answer is unknown.
        A record that was leased since the latest attempt stays: it is there for the next.
        """
        clearing, due_back = self._clearing, bool(self.trouble) and now >= self._clear_at
        if not (clearing or due_back) or self.closed or self.paused or self.run is None:
            return False
        self._clearing, self._clear_at = False, _NEVER
        once, held = self.run.policy == "at-most-once", self._held.count
        waiting, self._retries = self._retries, []
        for due, position, record in waiting:
            kept = once and record.outcome_unknown
            if record.attempts and (due > now or kept):
                heapq.heappush(self._retries, (due, position, record))
                self._clear_at = min(self._clear_at, _NEVER if kept else due)
                continue
            self._held.remove(position, position + 1)
            if record.attempts:
                self._tried.append(Tried(position, record.attempts, record.outcome_unknown))
        if clearing:
            self._held.subtract(self._leased.drop())
        return self._held.count < held

    def report_tried(self) -> tuple[Tried, ...]:
        """What was handed back since the last report, and may have been sent."""
        tried, self._tried = tuple(self._tried), []
        return tried

    def next_retry(self) -> float | None:
        """When the next backoff is over; None where no record waits for one."""
        return self._retries[0][0] if self._retries else None

    def close(self) -> None:
        """Hand out no more: what has not been sent goes back, what may have been sent is in doubt."""
        if self.closed:
            return
        self.closed = True
        for _, _, record in self._retries:
            if record.outcome_unknown:
                self._fail(record, Answer(0, STOPPED), in_doubt=True)
        self._drop_waiting()

    def report(self) -> tuple[RangeSet, tuple[Failure, ...]]:
        """The outcomes since the last report: delivered positions, and failures.

        Those for which there was no room are in hand still, and go with the next.
        """
        delivered, failed = RangeSet.of(self._delivered), self._failed.take()
        self._delivered = []
        self._held.subtract(delivered)
        for one in failed:
            self._held.subtract(places(one))
        return delivered, failed

    def restore(self, delivered: RangeSet, failed: Iterable[Failure]) -> None:
        """Take outcomes back that an ack carried and no answer confirmed."""
        self._delivered.extend(delivered.members())
        self._failed.restore(failed)

    def confirm(self, delivered: RangeSet, failed: Iterable[Failure]) -> None:
        """Take note that the master has read these outcomes: whatever it leases from here on is to be sent."""
        if self._late:
            self._late.difference_update(delivered.members(), *(places(one).members() for one in failed))

    def holds(self) -> RangeSet:
        """Every position in hand in this session; right just after `report`."""
        return self._held

    def _retry(self, record: Record, answer: Answer, now: float) -> None:
        assert self.run is not None
        if self.closed and not record.outcome_unknown:
            self._held.remove(record.position, record.position + 1)
        elif self.closed:
            self._fail(record, answer, in_doubt=True)
        elif answer.sent and record.attempts >= self.run.max_attempts:
            self._fail(record, answer, in_doubt=record.outcome_unknown)
        else:
            due = now + backoff(record.attempts + record.unreached, answer.retry_after, self._chance)
            heapq.heappush(self._retries, (due, record.position, record))

    def _fail(self, record: Record, answer: Answer, *, in_doubt: bool) -> None:
        reason = answer.reason or f"HTTP {answer.status}"
        self._failed.add(record.position, (in_doubt, record.attempts, answer.status, reason))

    def _drop_waiting(self) -> None:
        settled = self._failed.members()
        retried = RangeSet.of(record.position for _, _, record in self._retries if record.position not in settled)
        self._held.subtract(retried)
        self._held.subtract(self._leased.drop())
        self._retries.clear()
