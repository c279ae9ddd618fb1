"""Rebuild a run's ledger from its journal, entry by entry.

A position that was leased and has neither an outcome nor been returned may have been sent: it becomes pending, and
its worker is remembered. Everything else that is not settled is pending and unassigned. A dead letter that was
reopened is held by no worker until it is leased again.
"""

from traffic.core.master.decisions import Entry, Leased, OutcomesRecorded, Reopened
from traffic.core.master.ledger import Ledger
from traffic.core.ranges import RangeSet


class RecoveryError(Exception):
    """No run of so many records can have made these entries. The text says which."""


class Recovery:
    """Reads a journal's entries one after the other. Memory: what the ledger itself needs.

    `ledger` is right after each entry, and has no worker. `attempts`, `resent`, `maybe_resent` and `rows` are what each
    worker has counted. `handed_out` has the leases in their order, with their times, if records get these.
    """

    def __init__(self, records: int) -> None:
        self.ledger = Ledger(records)
        self.attempts: dict[str, int] = {}
        self.resent: dict[str, int] = {}
        self.maybe_resent: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.handed_out: list[tuple[RangeSet, int]] = []
        # By worker and lease, what that worker has neither settled nor returned.
        self._leased: dict[str, dict[int, RangeSet]] = {}

    def take(self, entry: Entry) -> None:
        """Apply the next entry. Raises RecoveryError if it contradicts those before."""
        if isinstance(entry, OutcomesRecorded):
            self._restore_outcomes(entry)
            return
        if isinstance(entry, Reopened):
            self._reopen(entry)
            return
        if max((stop for _, stop in entry.positions), default=0) > self.ledger.records:
            raise RecoveryError(f"a lease of {entry.positions} in a run of {self.ledger.records} records")
        if isinstance(entry, Leased):
            self._leased.setdefault(entry.worker, {})[entry.lease] = entry.positions.copy()
            self.ledger.record_leased(entry.worker, entry.positions)
            if entry.at_ms:
                self.handed_out.append((entry.positions, entry.at_ms))
            self.ledger.leases.made = max(self.ledger.leases.made, entry.lease)
        else:
            self._close(entry.worker, entry.positions, entry.lease)

    def held(self) -> dict[str, RangeSet]:
        """Return the positions without an outcome that may have been sent, by worker; no worker that has none."""
        pending = self.ledger.assignment.unassigned
        made: dict[str, RangeSet] = {}
        for worker, leases in self._leased.items():
            for leased in leases.values():
                made.setdefault(worker, RangeSet()).update(leased.common(pending))
        return {worker: positions for worker, positions in made.items() if positions}

    def _close(self, worker: str, positions: RangeSet, only: int | None = None) -> None:
        """Remove positions from a worker's leases, or from `only` one: what it had in others may have been sent."""
        leases = self._leased.get(worker, {})
        for number in [only] if only is not None else list(leases):
            if number in leases:
                leases[number].subtract(positions)
                if not leases[number]:
                    del leases[number]

    def _reopen(self, entry: Reopened) -> None:
        try:
            self.ledger.reopen(entry.positions)
        except ValueError as error:
            raise RecoveryError(str(error)) from error
        for worker in self._leased:
            self._close(worker, entry.positions)

    def _restore_outcomes(self, entry: OutcomesRecorded) -> None:
        try:
            self.ledger.restore(entry.worker, entry.delivered, entry.letters)
        except ValueError as error:
            raise RecoveryError(str(error)) from error
        self._close(entry.worker, entry.delivered)
        if entry.attempts:
            self.attempts[entry.worker] = entry.attempts
            self.resent[entry.worker] = entry.resent
            self.maybe_resent[entry.worker] = entry.maybe_resent
            self.rows[entry.worker] = entry.rows
