"""The worker's queue of leased records, from which its users take.

The rules that this module guards: a record is handed out only while the worker's custody lasts (`deadline`), and none
while a person pauses the run (`paused`); it is in one place at a time (waiting, in a user's hands, or waiting for its
next attempt); and what became of it is kept until the master has confirmed that it is booked.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from .outcome import Answer, Outcome, backoff
from .protocol import Failure, Grant, RunTerms
from .ranges import RangeSet
from .wire import ProtocolError

STOPPED = "the run was stopped while the answer was awaited"
# After this many attempts in a row that did not reach the API, it is taken for dead: one attempt a second probes it.
DEAD_AFTER = 5
PROBE_S = 1.0
# What is told of an answer: a rule of a person may say more than acks have room for.
LONGEST_REASON = 500


@dataclass(slots=True, eq=False)
class Record:
    """A record in a worker's hands: `index` is its place in the file, `body` its bytes as they stand there.

    `attempts` counts those made by this worker, `unreached` those of them that did not reach the API: they do not
    count against the record. `doubted` says that one of them had no answer.
    """

    run: str
    session: int
    position: int
    index: int
    body: bytes
    again: bool
    attempts: int = 0
    unreached: int = 0
    doubted: bool = False

    @property
    def key(self) -> str:
        """The Idempotency-Key: the same at every attempt, on every worker, after a resume."""
        return f"{self.run}-{self.index}"


# What waits of a lease: position, index and body of each record, and which of them others may have sent (None: none).
# Records are made when they are taken: a full feed is no work for the collector.
_Waiting = tuple[Iterator[tuple[int, int, bytes]], RangeSet | None]
_NOTHING: _Waiting = (iter(()), None)
_DELIVERED = Outcome.DELIVERED  # one look-up less for each record


class Feed:
    """The leased records of one session at a time. Times are seconds on the worker's own clock."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._rest, self._again = _NOTHING  # of the lease that records are taken from at present
        self._leases: deque[_Waiting] = deque()  # those behind it
        self._queued = 0  # records of all these
        self._retries: list[tuple[float, int, Record]] = []
        self._flying: dict[int, Record] = {}
        # Positions of former sessions whose outcome came in this one: a lease may still be on its way with them.
        self._late: set[int] = set()
        self._delivered: list[int] = []
        self._failed: list[Failure] = []
        self._held = RangeSet()
        self.run: RunTerms | None = None
        self._run_id = ""
        self.session = 0
        self.deadline = 0.0
        self.closed = True
        # Set by the link: a person pauses the run, so what waits stays here.
        self.paused = False
        # When so few records wait, `stirred` is set; -1: there is no hurry.
        self.low = -1
        # Whether something has happened since it was last reset that the link should act upon: it is time to `poll`.
        self.stirred = False
        self.attempts = 0
        self.resent = 0
        # What those were, by run, when another run or none took its place.
        self._counts: dict[str, tuple[int, int]] = {}
        # Why the API cannot be reached, as the latest attempt saw it; empty where it can.
        self.trouble = ""
        self._unreached = 0
        self._probe_due = 0.0

    @property
    def waiting(self) -> int:
        """Records that a user could take now or after a backoff."""
        return self._queued + len(self._retries)

    @property
    def ready(self) -> int:
        """Records that users are to be woken for."""
        return 0 if self.paused else self.waiting

    @property
    def in_hand(self) -> int:
        """Records that users are sending."""
        return len(self._flying)

    @property
    def news(self) -> int:
        """Outcomes that no ack has carried yet."""
        return len(self._delivered) + len(self._failed)

    def begin(self, session: int, run: RunTerms | None) -> None:
        """Begin a session, which holds nothing. Outcomes of the same run are kept; what waits is dropped."""
        if self.run is None or run is None or run.run != self.run.run:
            self._delivered, self._failed = [], []
            self._count_for(run)
        self._drop_waiting()
        self._held, self._late = RangeSet(), set()
        self.run, self.session, self._run_id = run, session, run.run if run is not None else ""
        self.closed, self.paused = run is None, False
        self._flying = {at: record for at, record in self._flying.items() if run and record.run == run.run}

    def _count_for(self, run: RunTerms | None) -> None:
        """Count the attempts of another run: a run that is resumed after others goes on with its own counts."""
        if self.run is not None:
            self._counts[self.run.run] = (self.attempts, self.resent)
        self.attempts, self.resent = self._counts.get(run.run, (0, 0)) if run is not None else (0, 0)

    def offer(self, grant: Grant) -> None:
        """Take a lease in. ProtocolError where it contradicts itself, or there is no run that it could be of."""
        if self.run is None:
            raise ProtocolError(f"lease {grant.lease} belongs to no run")
        positions, again = RangeSet(grant.positions), RangeSet(grant.again)
        indexes = grant.index_list()
        self._held.update(positions)
        rest: Iterator[tuple[int, int, bytes]] = zip(positions.members(), indexes, grant.bodies, strict=True)
        known = {position for position in (*self._flying, *self._late) if position in positions}
        for position in known:
            if position in self._flying:
                # A user has been sending it since a former session: that attempt serves the new lease.
                self._flying[position].session = self.session
            else:
                self._held.remove(position, position + 1)
        if known:
            rest = ((position, index, body) for position, index, body in rest if position not in known)
        self._leases.append((rest, again if again.count else None))
        self._queued += positions.count - len(known)

    def take(self, now: float) -> Record | None:
        """A record to send now; None where there is none yet, the run is paused, or the worker's custody has lapsed."""
        taken = self.take_some(now, 1)
        return taken[0] if taken else None

    def take_some(self, now: float, most: int) -> list[Record]:
        """As `take`: up to `most` records."""
        if self.closed or self.paused or now >= self.deadline or (self.trouble and now < self._probe_due):
            return []
        if self.trouble:
            most = min(most, 1)
        taken = self._due_retries(now, most) if self._retries else []
        while len(taken) < most and self._queued:
            taken += self._fresh(most - len(taken))
        if taken:
            self._probe_due = now + PROBE_S
            self.attempts += len(taken)
            for record in taken:
                self._flying[record.position] = record
            if self._queued <= self.low:
                self._look_whether_low()
        return taken

    def _due_retries(self, now: float, most: int) -> list[Record]:
        """Take up to `most` records whose backoff is over."""
        taken: list[Record] = []
        while self._retries and self._retries[0][0] <= now and len(taken) < most:
            record = heapq.heappop(self._retries)[2]
            record.attempts += 1
            taken.append(record)
        self.resent += len(taken)
        return taken

    def _fresh(self, most: int) -> list[Record]:
        """Make up to `most` of the records that have waited longest; none where the next lease is only now begun."""
        run, session, rest = self._run_id, self.session, islice(self._rest, most)
        made = [Record(run, session, position, index, body, False, 1) for position, index, body in rest]
        if not made:
            self._rest, self._again = self._leases.popleft()
        elif self._again is not None:
            for record in made:
                record.again = record.position in self._again
                self.resent += record.again
        self._queued -= len(made)
        return made

    def _look_whether_low(self) -> None:
        if self.waiting <= self.low:
            self.low = -1  # once is enough
            self.stirred = True

    def book(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Book what an attempt showed. A second word on the same attempt changes nothing."""
        flying = self._flying.pop(record.position, None)
        if flying is not record:
            if flying is not None:
                self._flying[record.position] = flying
            return
        if not self._flying:
            self.stirred = True
        if self._unreached or not answer.sent:
            self._note_reach(answer)
        if outcome is _DELIVERED and record.session == self.session:
            self._delivered.append(record.position)
        elif self.run is not None and record.run == self.run.run:
            self._book_other(record, answer, outcome, now)

    def _book_other(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Book what is not simply delivered in the session in which it was leased."""
        if record.session != self.session and outcome is not Outcome.RETRY:
            self._late.add(record.position)
        record.doubted |= answer.unknown
        if outcome is Outcome.DELIVERED:
            self._delivered.append(record.position)
        elif outcome is not Outcome.RETRY:
            self._fail(record, answer, in_doubt=outcome is Outcome.IN_DOUBT)
        elif record.session == self.session:
            self._retry(record, answer, now)

    def _note_reach(self, answer: Answer) -> None:
        self._unreached = 0 if answer.sent else self._unreached + 1
        self.trouble = answer.reason[:LONGEST_REASON] if self._unreached >= DEAD_AFTER else ""

    def next_retry(self) -> float | None:
        """When the next backoff is over; None where no record waits for one."""
        return self._retries[0][0] if self._retries else None

    def close(self) -> None:
        """Hand out no more: what has not been sent goes back, what may have been sent is in doubt."""
        if self.closed:
            return
        self.closed = True
        for _, _, record in self._retries:
            if record.doubted:
                self._fail(record, Answer(0, STOPPED), in_doubt=True)
        self._drop_waiting()

    def report(self) -> tuple[RangeSet, tuple[Failure, ...]]:
        """The outcomes since the last report: delivered positions, and failures."""
        delivered, failed = RangeSet.of(self._delivered), tuple(self._failed)
        self._delivered, self._failed = [], []
        self._held.subtract(delivered)
        for failure in failed:
            self._held.remove(failure.position, failure.position + 1)
        return delivered, failed

    def restore(self, delivered: RangeSet, failed: Iterable[Failure]) -> None:
        """Take outcomes back that an ack carried and no answer confirmed."""
        self._delivered.extend(delivered.members())
        self._failed.extend(failed)

    def confirm(self, delivered: RangeSet, failed: Iterable[Failure]) -> None:
        """Take note that the master has read these outcomes: whatever it leases from here on is to be sent."""
        if self._late:
            self._late.difference_update(delivered.members(), (failure.position for failure in failed))

    def holds(self) -> RangeSet:
        """Every position in hand in this session; right just after `report`."""
        return self._held

    def _retry(self, record: Record, answer: Answer, now: float) -> None:
        assert self.run is not None
        record.unreached += not answer.sent
        if self.closed and not record.doubted:
            self._held.remove(record.position, record.position + 1)
        elif self.closed:
            self._fail(record, answer, in_doubt=True)
        elif answer.sent and record.attempts - record.unreached >= self.run.max_attempts:
            self._fail(record, answer, in_doubt=record.doubted)
        else:
            due = now + backoff(record.attempts, answer.retry_after, self._chance)
            heapq.heappush(self._retries, (due, record.position, record))

    def _fail(self, record: Record, answer: Answer, *, in_doubt: bool) -> None:
        reason = answer.reason or f"HTTP {answer.status}"
        self._failed.append(Failure(record.position, in_doubt, record.attempts, answer.status, reason[:LONGEST_REASON]))

    def _drop_waiting(self) -> None:
        settled = {failure.position for failure in self._failed}
        retried = RangeSet.of(record.position for _, _, record in self._retries if record.position not in settled)
        leases = [self._rest, *(rest for rest, _ in self._leases)]
        waiting = RangeSet.of(position for rest in leases for position, _, _ in rest)
        self._held.subtract(retried)
        self._held.subtract(waiting)
        self._leases.clear()
        self._rest, self._again = _NOTHING
        self._queued = 0
        self._retries.clear()
