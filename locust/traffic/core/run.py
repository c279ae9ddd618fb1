"""One delivery of a dataset: what it was asked to be, and its account so far."""

from dataclasses import dataclass, field

from .dataset import Dataset
from .ledger import Ledger
from .order import Order
from .protocol import RunTerms
from .recovery import Recovery


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

    def note_attempts(self, worker: str, attempts: int, resent: int) -> None:
        """Take a worker's count since the run began; an older, smaller one changes nothing."""
        self.attempts[worker] = max(attempts, self.attempts.get(worker, 0))
        self.resent[worker] = max(resent, self.resent.get(worker, 0))
