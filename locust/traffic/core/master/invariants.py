"""Check the ledger's invariants for tests and simulations. They are written here a second time, and independently."""

from collections import Counter

import numpy as np

from traffic.core.master.ledger import Ledger
from traffic.core.ranges import RangeSet
from traffic.core.record_state import SETTLED, RecordState


class BrokenInvariantError(AssertionError):
    """The ledger contradicts itself."""


def _claim(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenInvariantError(what)


def check_ledger(ledger: Ledger) -> None:
    """Raise BrokenInvariantError unless the ledger keeps P1, its share of P2, and its own arithmetic."""
    _check_counts(ledger)
    _check_places(ledger)
    _check_shares(ledger)
    dead = ledger.positions(RecordState.REJECTED, RecordState.IN_DOUBT)
    _claim(
        RangeSet.of(ledger.dead) == dead,
        "P2: the dead letters are not the rejected and the in-doubt positions",
    )
    _check_words(ledger, dead)
    for position, letter in ledger.dead.items():
        _claim(ledger.states[position] == letter.state, f"position {position} and its dead letter disagree")


def _check_words(ledger: Ledger, dead: RangeSet) -> None:
    """Check that no worker holds, or has settled, what it was never leased."""
    for worker, share in ledger.shares.items():
        had = set(ledger.ever_leased.get(worker, RangeSet()).members())
        settled = share.delivered + share.rejected + share.in_doubt
        _claim(settled <= len(had), f"{worker}: {settled} settled by one that was leased {len(had)}")
        held = [position for lease in ledger.leases.of(worker) for position in lease.open.members()]
        _claim(had.issuperset(held), f"{worker} holds what it was never leased")
        buried = [at for at in dead.members() if ledger.dead[at].worker == worker]
        _claim(had.issuperset(buried), f"{worker} has dead letters that it was never leased")


def _check_counts(ledger: Ledger) -> None:
    seen = np.bincount(ledger.states, minlength=len(RecordState)).tolist()
    _claim(seen == ledger.counts, f"counts {ledger.counts}, but the positions say {seen}")
    _claim(sum(ledger.counts) == ledger.records, "P2: the counts do not add up to the records")


def _check_places(ledger: Ledger) -> None:
    """Check that every pending position is in one remainder, every leased one in one lease, and no other in either."""
    remainders = [*ledger.assignment.remainders.values(), ledger.assignment.unassigned]
    pending = Counter(position for places in remainders for position in places.members())
    leases = list(ledger.leases)
    leased = Counter(position for lease in leases for position in lease.open.members())
    _claim(max(pending.values(), default=1) == 1, "a position is in two remainders")
    _claim(max(leased.values(), default=1) == 1, "P1: a position is in two live leases")
    _claim(all(lease.open for lease in leases), "an empty lease is still live")
    _claim(RangeSet.of(pending) == ledger.positions(RecordState.PENDING), "a pending position is in no remainder")
    _claim(RangeSet.of(leased) == ledger.positions(RecordState.LEASED), "a leased position is in no lease")
    settled = ledger.positions(*SETTLED)
    _claim(not ledger.prior_attempts.tried_among(settled), "a settled position is still marked as tried")
    _claim(not any(at in settled for at in ledger.prior_attempts.former), "a settled position is still a reopened one")


def _check_shares(ledger: Ledger) -> None:
    owned = ledger.assignment.unassigned.count
    for worker, share in ledger.shares.items():
        remainder = len(ledger.assignment.remainders.get(worker, ()))
        leased = sum(lease.open.count for lease in ledger.leases.of(worker))
        settled = share.delivered + share.rejected + share.in_doubt
        assigned = share.slice + share.moved
        _claim(
            assigned == remainder + leased + settled,
            f"{worker}: {assigned} assigned, {remainder}+{leased}+{settled} found",
        )
        owned += assigned
    _claim(owned == ledger.records, f"slices of {owned} in a run of {ledger.records}")
    for state, kind in (
        (RecordState.DELIVERED, "delivered"),
        (RecordState.REJECTED, "rejected"),
        (RecordState.IN_DOUBT, "in_doubt"),
    ):
        total = sum(getattr(share, kind) for share in ledger.shares.values())
        _claim(total == ledger.counts[state], f"{kind}: {total} by worker, {ledger.counts[state]} in all")
