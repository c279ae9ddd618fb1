"""One worker's session as the master keeps it, and what is said in it.

The rules that this module guards:

- Messages to a worker are numbered, so that it drops one that was overtaken and says by `heard` which it has read.
- A lease that the worker has heard of, or that was overtaken by a later message, and that it does not hold, is lost
  or handed back: what is not settled in it is pending again.
"""

from dataclasses import dataclass, field

import numpy as np

from .decisions import Leased, LeaseReturned, Send
from .leases import Lease
from .protocol import Ack, Acked, Grant, RunTerms, Terms, Welcome
from .ranges import RangeSet
from .run import Run


@dataclass(slots=True)
class Session:
    """One worker's connection, from a welcome until it leaves, is lost, or is welcomed anew."""

    worker: str
    number: int
    hello: int
    deadline: float
    received: int = 0
    sent: int = 0
    users: int = 0
    trouble: str = ""
    # The message number by which each live lease was granted.
    granted: dict[int, int] = field(default_factory=dict)

    def next_seq(self) -> int:
        """The number of the next message to this worker."""
        self.sent += 1
        return self.sent

    def welcome(self, run: RunTerms | None, seq: int) -> Send:
        """Say that the session has begun, in this run or in none."""
        return Send(self.worker, Welcome(self.number, seq, run))

    def acked(self, *, over: bool, paused: bool) -> Send:
        """Confirm the latest ack that was received; say whether records are handed out."""
        return Send(self.worker, Acked(self.number, self.next_seq(), self.received, over, paused))

    def on_its_way(self, run: Run, ack: Ack) -> int:
        """Records in leases that the worker had not read of when it asked: it will have them without asking again."""
        leases = run.ledger.leases.of(self.worker)
        return sum(lease.open.count for lease in leases if self.granted[lease.number] > ack.heard)

    def take_back(self, run: Run, ack: Ack) -> list[LeaseReturned]:
        """Make pending again what the worker has been told to hold and does not."""
        made: list[LeaseReturned] = []
        holds = RangeSet(ack.holds)
        for lease in run.ledger.leases.of(self.worker):
            if self.granted[lease.number] > ack.heard and not ack.leaving:
                continue
            back = lease.open.minus(holds)
            if back:
                run.ledger.give_back(lease, back)
                made.append(LeaseReturned(lease.number, self.worker, back))
        live = {lease.number for lease in run.ledger.leases.of(self.worker)}
        self.granted = {number: seq for number, seq in self.granted.items() if number in live}
        return made

    def grant(self, run: Run, wants: int, terms: Terms) -> list[Leased | Send]:
        """Cut a lease from the worker's own slice, or from the largest remainder where it has run dry.

        Nothing where no record is left to lease.
        """
        ledger, most = run.ledger, min(wants, terms.lease_records)
        if not ledger.partition.remainders[self.worker] and ledger.refill(self.worker, most) is None:
            return []
        positions = ledger.partition.remainders[self.worker].head(most)
        indexes = run.order.indexes(positions.array())
        size = np.cumsum(run.dataset.lengths(indexes), dtype=np.uint64)
        fits = max(1, int(np.searchsorted(size, terms.lease_bytes, side="right")))
        positions, indexes = positions.head(fits), indexes[:fits]
        bodies = tuple(run.dataset.bodies(indexes))
        again = ledger.earlier.repeats_among(positions)
        lease = ledger.lease(self.worker, positions)
        grant = self._grant_message(lease, again, indexes.astype("<u8").tobytes(), bodies)
        return [Leased(lease.number, self.worker, positions), Send(self.worker, grant)]

    def _grant_message(self, lease: Lease, again: RangeSet, indexes: bytes, bodies: tuple[bytes, ...]) -> Grant:
        seq = self.next_seq()
        self.granted[lease.number] = seq
        return Grant(
            session=self.number,
            seq=seq,
            answers=self.received,
            lease=lease.number,
            positions=tuple(lease.open),
            again=tuple(again),
            indexes=indexes,
            bodies=bodies,
        )
