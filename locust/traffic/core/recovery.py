"""From a run's journal to its ledger: what a former master had booked, in the order in which it did.

What was leased and has neither an outcome nor been returned may have been sent: it is pending again, and it is known
who had it. Everything else that is not settled is pending and nobody's.
"""

from .decisions import Booked, Entry, Leased
from .ledger import Ledger
from .ranges import RangeSet


class RecoveryError(Exception):
    """Entries that no run of so many records can have made; the text says which."""


class Recovery:
    """Takes a journal's entries one after the other. Memory: what the ledger itself needs.

    `ledger` is right after each entry, and has no worker; `attempts` and `resent` are what each worker has counted.
    """

    def __init__(self, records: int) -> None:
        self.ledger = Ledger(records)
        self.attempts: dict[str, int] = {}
        self.resent: dict[str, int] = {}
        self._leased: dict[str, RangeSet] = {}

    def take(self, entry: Entry) -> None:
        """Take the next entry. RecoveryError where it contradicts those before."""
        if isinstance(entry, Booked):
            self._book(entry)
            return
        if max((stop for _, stop in entry.positions), default=0) > self.ledger.records:
            raise RecoveryError(f"a lease of {entry.positions} in a run of {self.ledger.records} records")
        leased = self._leased.setdefault(entry.worker, RangeSet())
        if isinstance(entry, Leased):
            leased.update(entry.positions)
            self.ledger.leases_made = max(self.ledger.leases_made, entry.lease)
        else:
            leased.subtract(entry.positions)

    def held(self) -> dict[str, RangeSet]:
        """Which positions that have no outcome were in hand, by worker; nobody is named who had none."""
        pending = self.ledger.partition.unassigned
        held = {worker: leased.minus(leased.minus(pending)) for worker, leased in self._leased.items()}
        return {worker: positions for worker, positions in held.items() if positions}

    def _book(self, entry: Booked) -> None:
        try:
            self.ledger.restore(entry.worker, entry.delivered, entry.letters)
        except ValueError as error:
            raise RecoveryError(str(error)) from error
        if entry.attempts:
            self.attempts[entry.worker] = entry.attempts
            self.resent[entry.worker] = entry.resent
