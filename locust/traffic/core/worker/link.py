"""The worker's side of the protocol: it speaks first, asks for records as its feed runs low, and acks.

Guarded here:

- Only the master's messages of the newest session count, each once, in their order. A message that was overtaken is
  dropped as if it were lost; the next ack reports that by `heard` and `holds`.
- Every outcome goes with every ack until an answer confirms an ack that carried it. While outcomes wait for an answer,
  acks are fewer, so that a master that is slow to read need not read the same four times a second.
- The master decides how long custody lasts, in its welcome.
- Custody is counted from when the ack that was answered was *sent*, so that it ends here before it ends there.
- A worker that gets nothing done hands back what others can send, and asks for one record at a time, as a probe.
- The newest answer says whether a person pauses the run. A new session hands out nothing before its first answer.
"""

from collections import deque
from dataclasses import dataclass

from traffic.core.lease_sizing import feed_target, low_watermark, records_to_ask_for
from traffic.core.lease_terms import LeaseTerms
from traffic.core.protocol import (
    VERSION,
    Ack,
    AckReply,
    Failure,
    Hello,
    LeaseGrant,
    Message,
    ResultBatch,
    Tried,
    Welcome,
)
from traffic.core.ranges import RangeSet
from traffic.core.timings import KindTiming
from traffic.core.wire import ProtocolError
from traffic.core.worker.failures import merged
from traffic.core.worker.feed import Feed

# Users that wait for records which are due are woken one after the other, at this distance.
LEAST_SLEEP_S = 0.001


@dataclass(slots=True)
class _Sent:
    """An ack on its way: when it left, its new outcomes, and records that it handed back after they were sent."""

    seq: int
    at: float
    delivered: RangeSet
    failed: tuple[Failure, ...]
    tried: tuple[Tried, ...] = ()
    hold: int = 0  # the number of the request to wait that it carried, if any
    refused: int = 0  # the status that has tripped the brake, if one has
    timings: tuple[KindTiming, ...] = ()


class LeaseClient:
    """Turns the passing of time and the master's messages into acks, and leases into records for the feed.

    The adapter calls `poll` often (and whenever the feed is `needs_poll`), sends what it returns, after the rows that
    `result_batches` returns then, and hands every message to `receive`. `users` is how many users would take a record
    if there were one. `expected_fault` is a fault that this worker is about to meet. `terms` count until a master's
    welcome brings its own.
    """

    def __init__(self, feed: Feed, terms: LeaseTerms) -> None:
        self.feed, self.terms = feed, terms
        self.expected_fault = ""
        self.leaving = False
        self.joined = False
        self.session = 0
        self._hello_due = 0.0
        self._expires = 0.0
        self._seq = self._heard = 0
        self._ack_due = self._acked_at = self._timings_due = 0.0
        self._asked = self._told_probed = False
        self._unconfirmed: deque[_Sent] = deque()
        self._rate = _TakeRate()

    @property
    def users(self) -> int:
        """How many users would take a record if there were one."""
        return self.feed.users

    @users.setter
    def users(self, users: int) -> None:
        self.feed.users = users

    @property
    def all_confirmed(self) -> bool:
        """Whether nothing is in hand and the master has confirmed every outcome."""
        outcomes = self._unconfirmed_outcomes or self.feed.unreported
        return not (outcomes or self.feed.in_hand or self.feed.holds() or self._has_rows)

    @property
    def _has_rows(self) -> bool:
        """Whether there are rows of results that the master has not confirmed."""
        return self.feed.results is not None and not self.feed.results.all_confirmed

    def poll(self, now: float) -> Message | None:
        """Return what to send now, if anything."""
        if self.joined and now >= self._expires:
            self._end_custody(now)
        if not self.joined:
            return self._hello_if_due(now)
        self._rate.note(self.feed.counts.taken, now)
        self.feed.note_progress(now)
        if self.feed.hand_back(now):
            self._ack_due = now
        message = self._ack(now) if self._ack_is_due(now) else None
        self.feed.low_watermark = -1 if self._asked else low_watermark(self._target())
        return message

    def sleep_s(self, now: float, tick: float) -> float:
        """Return how long users that wait need not be looked after: `tick` seconds, or less if a record comes due."""
        feed = self.feed
        waits = feed.paused or feed.trouble or feed.brake.stops or feed.put_off.stops(now, feed.in_hand)
        if feed.run is None or not feed.run.paced or waits:
            return tick
        return min(tick, max(LEAST_SLEEP_S, feed.next_due() - now))

    def flush(self, now: float) -> Message | None:
        """Return an ack, whether one is due or not; None while there is no session."""
        return self._ack(now) if self.joined else None

    def receive(self, message: object, now: float) -> None:
        """Handle a message from the master. ProtocolError if a master sends no such message."""
        if isinstance(message, Welcome):
            self._on_welcome(message, now)
        elif isinstance(message, LeaseGrant | AckReply):
            if self.joined and message.session == self.session and message.seq > self._heard:
                self._on_answer(message, now)
        else:
            raise ProtocolError(f"a master does not send {type(message).__name__}")

    def _end_custody(self, now: float) -> None:
        """End the session: from now on the master may lease to others what this worker holds."""
        self.joined = False
        self._hello_due = now
        self._restore_outcomes()
        self.feed.begin(self.session, self.feed.run)

    def _hello_if_due(self, now: float) -> Message | None:
        if now < self._hello_due or self.leaving:
            return None
        self._hello_due = now + self.terms.hello_s
        return Hello(VERSION, self.session)

    def _on_welcome(self, message: Welcome, now: float) -> None:
        if message.session <= self.session:
            return
        self._restore_outcomes()
        self.feed.begin(message.session, message.run)
        self.session, self._heard, self._seq = message.session, message.seq, 0
        self.terms = message.terms
        self.joined, self._asked = True, False
        self._ack_due, self._expires = now, now + self.terms.lease_s
        # Custody begins with the first ack that is answered: a welcome may have been long on its way.
        self.feed.deadline = now

    def _on_answer(self, message: LeaseGrant | AckReply, now: float) -> None:
        self._heard = message.seq
        if (stamp := message.stamp) is not None:
            self.feed.schedule.note_second(stamp.left, stamp.second, stamp.speed)
        while self._unconfirmed and self._unconfirmed[0].seq <= message.answers:
            sent = self._unconfirmed.popleft()
            self.feed.confirm(sent.delivered, sent.failed)
            if sent.seq == message.answers and stamp is not None:
                self.feed.schedule.note_round_trip(sent.at, stamp.read, stamp.left, now)
            self.feed.put_off.confirm(sent.hold)
            self.feed.brake.confirm(sent.refused)
            self.feed.timings.confirm(sent.timings)
            if sent.seq == message.answers:
                self.feed.deadline = self._expires = sent.at + self.terms.lease_s
        if self.feed.results is not None:
            self.feed.results.confirm(message.results)
        # A lease means that the run is not paused.
        self.feed.paused = isinstance(message, AckReply) and message.paused
        self.feed.put_off.follow(probing=message.probe)
        self.feed.limit.set(message.limit)
        if isinstance(message, LeaseGrant):
            self._asked = False
            self.feed.add_lease(message, now)
        elif message.over:
            self.feed.close()

    def _restore_outcomes(self) -> None:
        for sent in self._unconfirmed:
            self.feed.restore(sent.delivered, sent.failed)
        self._unconfirmed.clear()

    @property
    def _unconfirmed_outcomes(self) -> bool:
        return any(sent.delivered or sent.failed for sent in self._unconfirmed)

    def _ack_is_due(self, now: float) -> bool:
        paced = self.feed.run is not None and self.feed.run.paced
        if not paced and not self._asked and self._wants(now) > 0:
            return True
        if paced and not self.feed.closed and now >= self._acked_at + self.terms.ack_s:
            return True  # it is dealt what comes due soon, so it asks all the time
        if self._has_news(now):
            return True
        if self._unconfirmed_outcomes:
            return now >= self._acked_at + self.terms.idle_ack_s
        drained = bool(self.feed.unreported) and not self.feed.in_hand and not self.feed.waiting
        return drained or now >= self._ack_due

    def _has_news(self, now: float) -> bool:
        """Return whether the master must know at once what the API has said."""
        request = self.feed.put_off.request(now)
        if request is not None and not any(sent.hold == request[0] for sent in self._unconfirmed):
            return True
        if self.feed.brake.stops and not any(sent.refused for sent in self._unconfirmed):
            return True
        return self.feed.put_off.probed and not self._told_probed

    def _wants(self, now: float) -> int:
        """Return how many records to ask for now."""
        if self.feed.closed or self.feed.paused or self.feed.run is None or self.leaving or not self.users:
            return 0
        if self.feed.brake.stops:
            return 0
        if self.feed.trouble or self.feed.put_off.probing:
            return int(self.feed.wants_probe(now))
        if self.feed.run.paced:
            return max(0, self._target() - self.feed.waiting)
        return records_to_ask_for(self._target(), self.feed.waiting)

    def _target(self) -> int:
        run = self.feed.run
        policy = run.policy if run is not None else ""
        if run is not None and run.paced and policy != "at-most-once":
            return self.terms.window_records
        return feed_target(self.terms, policy, users=self.users, records_per_s=self._rate.records_per_s)

    def _ack(self, now: float) -> Ack:
        delivered, failed = self.feed.drain_outcomes()
        self._seq += 1
        request = self.feed.put_off.request(now)
        number, hold = request if request is not None else (0, None)
        refused = self.feed.brake.tripped
        timings = self._timings(now)
        tried = self.feed.drain_tried()
        self._unconfirmed.append(_Sent(self._seq, now, delivered, failed, tried, number, refused, timings))
        self._told_probed = self.feed.put_off.probed
        every = RangeSet()
        for sent in self._unconfirmed:
            every.update(sent.delivered)
        # If an ack has no room for every outcome, the others are reported before more records are asked for.
        wants = 0 if self.feed.unreported else self._wants(now)
        self._asked = wants > 0
        holds = self.feed.holds()
        busy = bool(holds or self._unconfirmed_outcomes or wants or self.feed.in_hand or self._has_rows)
        self._acked_at = now
        self._ack_due = now + (self.terms.ack_s if busy else self.terms.idle_ack_s)
        attempts, resent, maybe_resent = self.feed.attempts_made
        paced, meter = self.feed.run is not None and self.feed.run.paced, self.feed.meter
        most_busy, meter.busy = meter.busy, self.feed.in_hand
        return Ack(
            session=self.session,
            seq=self._seq,
            heard=self._heard,
            run=self.feed.run.run if self.feed.run else "",
            delivered=tuple(every),
            failed=merged(failure for sent in self._unconfirmed for failure in sent.failed),
            holds=tuple(holds),
            wants=wants,
            attempts=attempts,
            resent=resent,
            users=self.users,
            trouble=self.feed.trouble,
            leaving=self.leaving,
            maybe_resent=maybe_resent,
            fault=self.feed.reach.fault or self.expected_fault,
            tried=tuple(one for sent in self._unconfirmed for one in sent.tried),
            pace=meter.measures() if paced else None,
            busy=most_busy if paced else 0,
            overdue=self.feed.overdue(now) if paced else 0,
            hold=hold,
            put_off=self.feed.counts.put_off,
            probed=self.feed.put_off.probed,
            slowed=self.feed.counts.slowed,
            refused=refused,
            timings=timings,
            rows=self.feed.results.made if self.feed.results is not None else 0,
        )

    def result_batches(self, now: float, message: Message | None) -> list[ResultBatch]:
        """Return the rows that are to be sent now, before the `message` that `poll` or `flush` has returned.

        So the master has the rows of every outcome before an ack reports it.
        """
        if self.feed.results is None or not self.joined:
            return []
        return self.feed.results.batches(now, everything=isinstance(message, Ack))

    def _timings(self, now: float) -> tuple[KindTiming, ...]:
        """Return what the master does not know of how long attempts took: now and then, and whenever nothing is left.

        So the report, which follows the last outcome, has all of it.
        """
        if now < self._timings_due and (self.feed.in_hand or self.feed.waiting):
            return ()
        self._timings_due = now + self.terms.idle_ack_s
        return self.feed.timings.unconfirmed()


class _TakeRate:
    """How many records a second the users have been taking, over the latest spans of `SPAN_S`."""

    SPAN_S = 0.25

    def __init__(self) -> None:
        self.records_per_s = 0
        self._since, self._count = 0.0, 0

    def note(self, taken: int, now: float) -> None:
        """Note how many records have been taken so far."""
        if taken < self._count or now - self._since >= 4 * self.SPAN_S:
            self._since, self._count, self.records_per_s = now, taken, 0
        elif now - self._since >= self.SPAN_S:
            fresh = (taken - self._count) / (now - self._since)
            self.records_per_s = round((self.records_per_s + fresh) / 2) or round(fresh)
            self._since, self._count = now, taken
