"""One delivery of a dataset: what it was asked to be, and its account so far."""

from dataclasses import dataclass, field

from .dataset import Dataset
from .decisions import Booked
from .ledger import Ledger
from .order import Order
from .position import DeadLetter, State
from .protocol import Ack, RunTerms
from .ranges import RangeSet
from .recovery import Recovery
from .wire import ProtocolError


@dataclass(slots=True)
class Run:
    """A run: its dataset, its order, what its workers are told, and its ledger.

    `attempts` and `resent` are what each worker has counted, by worker: requests made for records, and those of
    them that were not a record's first as far as that worker could know.
    """

    terms: RunTerms
    dataset: Dataset
    order: Order
    ledger: Ledger
    attempts: dict[str, int] = field(default_factory=dict)
    resent: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, terms: RunTerms, dataset: Dataset, order: Order) -> "Run":
        """A run of which nothing has been sent."""
        return cls(terms, dataset, order, Ledger(order.records))

    @classmethod
    def recovered(cls, terms: RunTerms, dataset: Dataset, order: Order, recovery: Recovery) -> "Run":
        """A run as its journal left it."""
        return cls(terms, dataset, order, recovery.ledger, dict(recovery.attempts), dict(recovery.resent))

    def book(self, worker: str, ack: Ack, *, foreign: bool) -> list[Booked]:
        """Book the outcomes in an ack that speaks of this run; nothing where none was news.

        `foreign`: it was said in a former session. ProtocolError where the run does not have such a position.
        """
        top = max((stop for _, stop in ack.delivered), default=0)
        if max([top, *(failure.position + 1 for failure in ack.failed)]) > self.ledger.records:
            raise ProtocolError(f"worker {worker} speaks of a position that run {ack.run} does not have")
        delivered = self.ledger.deliver(worker, RangeSet(ack.delivered))
        self.note_attempts(worker, ack.attempts, ack.resent)
        letters = []
        for said in ack.failed:
            state = State.IN_DOUBT if said.in_doubt else State.REJECTED
            letter = DeadLetter(said.position, state, said.attempts, said.status, said.reason, worker)
            if self.ledger.bury(letter, foreign=foreign):
                letters.append(letter)
        attempts, resent = self.attempts[worker], self.resent[worker]
        return [Booked(worker, delivered, tuple(letters), attempts, resent)] if delivered or letters else []

    def note_attempts(self, worker: str, attempts: int, resent: int) -> None:
        """Take a worker's count since the run began; an older, smaller one changes nothing."""
        self.attempts[worker] = max(attempts, self.attempts.get(worker, 0))
        self.resent[worker] = max(resent, self.resent.get(worker, 0))
