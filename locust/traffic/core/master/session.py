"""Keep one worker's session: what the master has sent, and what the worker holds.

Guarded here:

- Messages to a worker are numbered. The worker drops a message that was overtaken, and reports by `heard` which it
  has read.
- If a worker has received a lease (or a later message) and does not hold its positions, the lease was lost or handed
  back: positions without an outcome are pending again.
- A record that a worker in trouble hands back after sending it is pending again, and known to have been sent by it.
"""

from dataclasses import dataclass, field

from traffic.core.lease_sizing import most_records, records_that_fit
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.decisions import Leased, LeaseHandedBack, LeaseReturned, Send
from traffic.core.master.leases import Lease
from traffic.core.master.run import Run
from traffic.core.protocol import Ack, AckReply, LeaseGrant, RunConfig, Stamp, Tried, Welcome
from traffic.core.ranges import RangeSet

RATE_S, LEAST_RATE_S = 0.5, 0.05


@dataclass(frozen=True, slots=True)
class SendLimits:
    """What a worker is allowed for the API's sake: whether it is to try it, and how many records a second; 0: any."""

    probe: bool = False
    records_per_s: float = 0.0


@dataclass(slots=True)
class Session:
    """One membership of a worker, from a welcome until it leaves, is lost, or is welcomed again."""

    worker: str
    number: int
    deadline: float
    heard_at: float = float("-inf")
    received: int = 0
    sent: int = 0
    users: int = 0
    # In a paced run: how many users were sending at once, and how many overdue records wait for a free one.
    busy: int = 0
    overdue: int = 0
    # Why the worker gets nothing done, if it does not, and what it lacks itself.
    trouble: str = ""
    fault: str = ""
    # How many attempts a second it makes, measured over `RATE_S` or more, except at first.
    records_per_s: float = 0.0
    _attempts: int = 0
    _counted_at: float | None = None
    # The message number by which each live lease was granted.
    granted: dict[int, int] = field(default_factory=dict)

    def note_attempts(self, attempts: int, now: float) -> None:
        """Note how many attempts the worker has made since the run began there."""
        if self._counted_at is None or attempts < self._attempts:
            self._attempts, self._counted_at = attempts, now
            return
        seconds = now - self._counted_at
        if seconds >= RATE_S or not self.records_per_s:
            self.records_per_s = (attempts - self._attempts) / max(seconds, LEAST_RATE_S)
        if seconds >= RATE_S:
            self._attempts, self._counted_at = attempts, now

    def next_seq(self) -> int:
        """Return the number of the next message to this worker."""
        self.sent += 1
        return self.sent

    def welcome(self, run: RunConfig | None, terms: LeaseTerms, seq: int) -> Send:
        """Return the welcome that begins the session, in this run or in none, with the terms of leases."""
        return Send(self.worker, Welcome(self.number, seq, run, terms))

    def ack_reply(self, *, over: bool, paused: bool, paced: bool, limits: SendLimits) -> Send:
        """Return the answer to the latest ack that was received."""
        stamp, seq = self._stamp() if paced else None, self.next_seq()
        reply = AckReply(self.number, seq, self.received, over, paused, stamp, limits.probe, limits.records_per_s)
        return Send(self.worker, reply)

    def _stamp(self) -> Stamp | None:
        """Return when the latest ack was read; what else a stamp has is known when the answer leaves."""
        return Stamp(self.heard_at) if self.received else None

    def in_transit(self, run: Run, ack: Ack) -> int:
        """Return how many records are in leases that the worker had not read when it asked for more."""
        leases = run.ledger.leases.of(self.worker)
        return sum(lease.open.count for lease in leases if self.granted[lease.number] > ack.heard)

    def return_unheld(self, run: Run, ack: Ack) -> list[LeaseReturned | LeaseHandedBack]:
        """Make pending again what the worker was leased, and neither holds nor has settled."""
        made: list[LeaseReturned | LeaseHandedBack] = []
        holds, tried = RangeSet(ack.holds), {one.position: one for one in ack.tried}
        for lease in run.ledger.leases.of(self.worker):
            if self.granted[lease.number] > ack.heard and not ack.leaving:
                continue
            back = lease.open.minus(holds)
            if tried:
                made += self._return_tried(run, lease, [tried[at] for at in back.members() if at in tried])
                back = lease.open.minus(holds)
            if back:
                run.ledger.return_lease(lease, back)
                made.append(LeaseReturned(lease.number, self.worker, back, self._is_reported(back)))
        live = {lease.number for lease in run.ledger.leases.of(self.worker)}
        self.granted = {number: seq for number, seq in self.granted.items() if number in live}
        return made

    def _return_tried(self, run: Run, lease: Lease, tried: list[Tried]) -> list[LeaseHandedBack]:
        """Make pending again what the worker has sent in vain. The journal keeps it as leased: it may have arrived."""
        if not tried:
            return []
        positions = RangeSet.of(one.position for one in tried)
        run.ledger.prior_attempts.note(self.worker, positions)
        run.ledger.prior_attempts.note_tries(tried)
        run.ledger.return_lease(lease, positions)
        return [LeaseHandedBack(lease.number, self.worker, positions, self._is_reported(positions))]

    def _is_reported(self, back: RangeSet) -> bool:
        """Whether people see it. A worker in trouble hands back single records all the time, as it probes."""
        return back.count > 1 or not self.trouble

    def grant(
        self, run: Run, wants: int, terms: LeaseTerms, limits: SendLimits, spacing: float = 0.0
    ) -> list[Leased | Send]:
        """Cut a lease from the worker's own remainder or, if that is empty, from the largest other one.

        In a paced run, only from its own; `spacing` is the planned seconds between two of its records. Returns nothing
        if no record is left to lease.
        """
        ledger, most = run.ledger, most_records(terms, wants)
        if not ledger.assignment.remainders[self.worker] and (run.pacer or not ledger.steal(self.worker, most)):
            return []
        positions = ledger.assignment.remainders[self.worker].head(most)
        indexes = run.order.indexes(positions.array())
        fits = records_that_fit(terms, run.dataset.lengths(indexes))
        positions, indexes = positions.head(fits), indexes[:fits]
        bodies, at_ms = run.dataset.bodies(indexes), 0
        if run.handed_out is not None:
            at_ms = run.handed_out.note(positions)
            bodies = run.handed_out.stamped(positions, bodies)
        redelivered = ledger.prior_attempts.repeats_among(positions)
        lease = ledger.lease(self.worker, positions)
        seq = self.next_seq()
        self.granted[lease.number] = seq
        grant = LeaseGrant(
            session=self.number,
            seq=seq,
            answers=self.received,
            lease=lease.number,
            positions=tuple(lease.open),
            redelivered=tuple(redelivered),
            indexes=indexes.astype("<u8").tobytes(),
            bodies=tuple(bodies),
            tried=ledger.prior_attempts.tries_among(redelivered) if redelivered else (),
            due=run.pacer.due(positions) if run.pacer else b"",
            spacing=spacing,
            stamp=self._stamp() if run.pacer else None,
            probe=limits.probe,
            limit=limits.records_per_s,
        )
        return [Leased(lease.number, self.worker, positions, at_ms), Send(self.worker, grant)]
