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

    `attempts`, `resent` and `maybe_resent` are what each worker has counted, by worker: requests that left it, those of
    them for records that the API had answered before, and those for records that it may have had.
    """

    terms: RunTerms
    dataset: Dataset
    order: Order
    ledger: Ledger
    attempts: dict[str, int] = field(default_factory=dict)
    resent: dict[str, int] = field(default_factory=dict)
    maybe_resent: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, terms: RunTerms, dataset: Dataset, order: Order) -> "Run":
        """A run of which nothing has been sent."""
        return cls(terms, dataset, order, Ledger(order.records))

    @classmethod
    def recovered(cls, terms: RunTerms, dataset: Dataset, order: Order, recovery: Recovery) -> "Run":
        """A run as its journal left it."""
        counted = dict(recovery.attempts), dict(recovery.resent), dict(recovery.maybe_resent)
        return cls(terms, dataset, order, recovery.ledger, *counted)

    def book(self, worker: str, ack: Ack, *, foreign: bool) -> list[Booked]:
        """Book the outcomes in an ack that speaks of this run; nothing where none was news.

        `foreign`: it was said in a former session. ProtocolError where the run does not have such a position.
        """
        top = max((stop for _, stop in ack.delivered), default=0)
        if max([top, *(failure.position + 1 for failure in ack.failed)]) > self.ledger.records:
            raise ProtocolError(f"worker {worker} speaks of a position that run {ack.run} does not have")
        delivered = self.ledger.deliver(worker, RangeSet(ack.delivered))
        self.note_attempts(worker, ack.attempts, ack.resent, ack.maybe_resent)
        letters = []
        for said in ack.failed:
            state = State.IN_DOUBT if said.in_doubt else State.REJECTED
            letter = DeadLetter(said.position, state, said.attempts, said.status, said.reason, worker)
            if self.ledger.bury(letter, foreign=foreign):
                letters.append(letter)
        if not delivered and not letters:
            return []
        counted = self.attempts[worker], self.resent[worker], self.maybe_resent[worker]
        return [Booked(worker, delivered, tuple(letters), *counted)]

    def note_attempts(self, worker: str, attempts: int, resent: int, maybe_resent: int = 0) -> None:
        """Take a worker's count since the run began; an older, smaller one changes nothing."""
        self.attempts[worker] = max(attempts, self.attempts.get(worker, 0))
        self.resent[worker] = max(resent, self.resent.get(worker, 0))
        self.maybe_resent[worker] = max(maybe_resent, self.maybe_resent.get(worker, 0))
