"""The master's account of every position of a run: pending, leased, delivered, rejected or in doubt.

The rule that this module guards: a position is in one place at a time. It is pending in exactly one remainder,
or open in exactly one lease, or settled; and what is settled as delivered stays so, whatever is said later.
A worker's word counts for what it was ever leased, and for nothing else (`ever_leased_among`).
`invariants.check_ledger` verifies all of it, and tests call it after every step.
"""

from collections.abc import Iterable

import numpy as np

from traffic.core.master.assignment import Assignment
from traffic.core.master.dead_letters import DeadLetters
from traffic.core.master.leases import Lease, Leases
from traffic.core.master.prior_attempts import PriorAttempts
from traffic.core.master.worker_share import WorkerShare
from traffic.core.ranges import RangeSet
from traffic.core.record_state import PRECEDENCE, Cause, DeadLetterGroup, RecordState

_DEAD = (RecordState.REJECTED, RecordState.IN_DOUBT)
# By state: what is not settled is worth nothing.
_PRECEDENCES = np.array([PRECEDENCE.get(state, 0) for state in RecordState], np.uint8)


class Ledger:
    """The account of a run of `records` positions.

    `states` has shape (records,). `counts[state]` is how many positions are in that state. `shares` has a row for each
    worker that ever had a slice. `dead` has the dead letters by position. `prior_attempts` remembers attempts at
    unsettled positions. `ever_leased` has, by worker, every position that it was ever leased in this run. `repeats`
    counts outcomes for positions that were settled already.
    """

    def __init__(self, records: int) -> None:
        self.records = records
        self.states = np.zeros(records, np.uint8)
        self.assignment = Assignment()
        self.assignment.unassigned.add(0, records)
        self.leases = Leases()
        self.prior_attempts = PriorAttempts(records)
        self.ever_leased: dict[str, RangeSet] = {}
        self.shares: dict[str, WorkerShare] = {}
        self.dead = DeadLetters(records)
        self.counts = [records, 0, 0, 0, 0]
        self.repeats = 0

    @property
    def unsettled(self) -> int:
        """How many positions have no outcome yet."""
        return self.counts[RecordState.PENDING] + self.counts[RecordState.LEASED]

    @property
    def settled(self) -> int:
        """How many positions have their outcome."""
        return self.records - self.unsettled

    def assign(self, workers: Iterable[str]) -> None:
        """Cut what is unassigned into one slice for each of `workers`, equal to within one; without one it stays so."""
        names = list(workers)
        for name in names:
            self._share(name)
        positions, self.assignment.unassigned = self.assignment.unassigned, RangeSet()
        for name, size in self.assignment.assign(positions, names).items():
            self.shares[name].slice += size

    def join(self, worker: str) -> int:
        """Give a worker that has no remainder a slice, cut from the largest; its size.

        One that had its slice before comes back: what it gets now has been moved to it.
        """
        back, share = worker in self.shares, self._share(worker)
        taken = self.assignment.join(worker)
        for source, size in taken.items():
            if back:
                share.moved += size
            else:
                share.slice += size
            if source is not None:
                self.shares[source].moved -= size
        return sum(taken.values())

    def steal(self, worker: str, least: int) -> tuple[str | None, int] | None:
        """Give a worker that has run dry part of the largest remainder; see `Assignment.steal`."""
        moved = self.assignment.steal(worker, least)
        if moved is not None:
            source, size = moved
            self.shares[worker].moved += size
            if source is not None:
                self.shares[source].moved -= size
        return moved

    def lease(self, worker: str, positions: RangeSet) -> Lease:
        """Put `positions`, all of them in the worker's remainder, into its custody."""
        self.assignment.remove(positions, worker)
        self._mark(positions, RecordState.PENDING, RecordState.LEASED)
        self.record_leased(worker, positions)
        return self.leases.make(worker, positions)

    def record_leased(self, worker: str, positions: RangeSet) -> None:
        """Take note that a worker was leased `positions`, whatever becomes of the lease: its word on them counts."""
        self.ever_leased.setdefault(worker, RangeSet()).update(positions)

    def ever_leased_among(self, worker: str, said: RangeSet) -> RangeSet:
        """Those of the positions in `said` that the worker was ever leased: of others it can know nothing."""
        return said.common(self.ever_leased.get(worker, RangeSet()))

    def record_delivered(self, worker: str, positions: RangeSet) -> RangeSet:
        """Book that `worker` saw `positions` delivered; those for which this was news.

        It makes no difference by which lease the worker had them, or whether it still has it: what it saw is true.
        """
        newly = self._settle_open(worker, RecordState.DELIVERED, positions)
        newly.update(self._settle_late(worker, RecordState.DELIVERED, positions.minus(newly)))
        self.prior_attempts.forget(newly)
        return newly

    def record_failure(self, positions: RangeSet, cause: Cause, *, stale: bool = False) -> RangeSet:
        """Book positions as rejected or in doubt; those for which this was news. `stale`: by a former session's word.

        It is none where another worker has the position in its custody by now: what comes of it is that one's to say.
        Nor is what a worker says again of an attempt that was made before the position was reopened.
        """
        if self.prior_attempts.former:
            in_hand = RangeSet() if stale else self.leases.held(cause.worker, positions)
            positions = positions.minus(self.prior_attempts.stale_reports(cause.worker, positions, in_hand))
        newly = self._settle_open(cause.worker, cause.state, positions)
        newly.update(self._settle_late(cause.worker, cause.state, positions.minus(newly)))
        self.dead.put(newly, cause)
        self.prior_attempts.forget(newly)
        return newly

    def return_lease(self, lease: Lease, positions: RangeSet) -> None:
        """Make `positions`, open in `lease`, pending again in its worker's remainder."""
        self.leases.close(lease, positions)
        self._mark(positions, RecordState.LEASED, RecordState.PENDING)
        self.assignment.remainders[lease.worker].update(positions)

    def reclaim(self, lease: Lease) -> RangeSet:
        """Take a lost worker's lease back; its positions, pending in its remainder now, may have been sent."""
        positions = lease.open.copy()
        self.prior_attempts.note(lease.worker, positions)
        self.return_lease(lease, positions)
        return positions

    def leave(self, worker: str, successors: Iterable[str]) -> int:
        """Cut the remainder of a worker that is gone among `successors`, or leave it unassigned; its size.

        Its leases must have been settled, given back or reclaimed before.
        """
        remainder = self.assignment.leave(worker)
        if remainder:
            self.shares[worker].moved -= remainder.count
            for successor, size in self.assignment.assign(remainder, successors).items():
                self.shares[successor].moved += size
        return remainder.count

    def reopen(self, positions: RangeSet) -> None:
        """Make dead letters pending again; `prior_attempts` keeps them. Call it only without workers and leases.

        Raises ValueError if one of `positions` is no dead letter.
        """
        for start, stop in positions:
            stood = self.states[start:stop]
            if len(stood) != stop - start or not np.isin(stood, _DEAD).all():
                raise ValueError(f"positions {start}-{stop - 1} cannot have been dead letters just then")
        for group in self.dead.by_cause(positions):
            self.prior_attempts.former.put(group.positions, group.cause)
        self._unsettle(positions)

    def return_former(self) -> tuple[DeadLetterGroup, ...]:
        """Have what was reopened, is pending, and nobody may have sent since, end as it had before; its letters."""
        former = self.prior_attempts.former
        if not former:
            return ()
        waiting = former.among(self.positions(RecordState.PENDING))
        groups = tuple(former.by_cause(waiting))
        for group in groups:
            self._move_from(self.assignment.discard(group.positions))
            self._credit_late(group.cause.worker, RecordState.PENDING, group.cause.state, group.positions)
            self.dead.put(group.positions, group.cause)
        former.drop(waiting)
        return groups

    def restore(self, worker: str, delivered: RangeSet, letters: Iterable[DeadLetterGroup]) -> None:
        """Book once more what a journal says was news. Only while the ledger has neither workers nor leases.

        ValueError where it cannot have been news, or the run does not have such a position.
        """
        self._check_possible(RecordState.DELIVERED, delivered)
        self._unsettle(self.dead.among(delivered))
        self._restore(worker, RecordState.DELIVERED, delivered)
        for group in letters:
            if group.cause.state not in _DEAD:
                raise ValueError(f"a dead letter cannot have ended {group.cause.state.name.lower()}")
            self._check_possible(group.cause.state, group.positions)
            self._unsettle(self.dead.among(group.positions))
            self._restore(group.cause.worker, group.cause.state, group.positions)
            self.dead.put(group.positions, group.cause)

    def _check_possible(self, state: RecordState, positions: RangeSet) -> None:
        for start, stop in positions:
            stood = self.states[start:stop]
            if len(stood) != stop - start or (stood == RecordState.DELIVERED).any():
                raise ValueError(f"positions {start}-{stop - 1} cannot have ended {state.name.lower()} just then")

    def _restore(self, worker: str, state: RecordState, positions: RangeSet) -> None:
        if not positions:
            return
        self.assignment.unassigned.subtract(positions)
        self.prior_attempts.forget(positions)
        self.record_leased(worker, positions)
        self._mark(positions, RecordState.PENDING, state)
        share = self._share(worker)
        share.slice += positions.count
        share.credit(state, positions.count)

    def _unsettle(self, positions: RangeSet) -> None:
        """Make dead letters pending, and nobody's."""
        for group in self._retract(positions):
            self.shares[group.cause.worker].slice -= group.positions.count
            self._mark(group.positions, group.cause.state, RecordState.PENDING)
        self.assignment.unassigned.update(positions)

    def dead_letters_to_send(self, policy: str) -> RangeSet:
        """The dead letters that may be sent again: under at-most-once none that the API may have."""
        doubtful = (RecordState.IN_DOUBT,) if policy == "at-least-once" else ()
        return self.positions(RecordState.REJECTED, *doubtful)

    def positions(self, *states: RecordState) -> RangeSet:
        """All positions that stand in one of `states`."""
        # A byte a position, and one at either end that is never chosen.
        chosen = np.zeros(self.records + 2, np.bool_)
        for state in states:
            chosen[1:-1] |= self.states == state
        edges = np.flatnonzero(chosen[1:] != chosen[:-1])
        return RangeSet(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    def _settle_open(self, worker: str, state: RecordState, positions: RangeSet) -> RangeSet:
        """Settle those of `positions` that are open in the worker's own leases; which these were."""
        newly = self.leases.take(worker, positions)
        self._mark(newly, RecordState.LEASED, state)
        if newly:
            self.shares[worker].credit(state, newly.count)
        return newly

    def _settle_late(self, worker: str, state: RecordState, positions: RangeSet) -> RangeSet:
        """Settle positions that the worker has no lease of (any more); those for which this was news."""
        newly = RangeSet()
        if not positions:
            return newly
        places = positions.array()
        stood = self.states[places]
        precedence = _PRECEDENCES[stood]
        self.repeats += int(np.count_nonzero(precedence))
        fresh = precedence < PRECEDENCE[state]
        # What comes of a position that another has in hand is that one's to say, unless it was delivered.
        fresh &= (stood != RecordState.LEASED) | (state is RecordState.DELIVERED)
        for before in np.unique(stood[fresh]).tolist():
            taken = RangeSet.of_array(places[fresh & (stood == before)])
            self._move_from(self._take_from_holders(taken, RecordState(before)))
            self._credit_late(worker, RecordState(before), state, taken)
            newly.update(taken)
        return newly

    def _credit_late(self, worker: str, before: RecordState, after: RecordState, positions: RangeSet) -> None:
        """Settle positions that have been taken from whoever had them: `worker` has them now."""
        self._mark(positions, before, after)
        share = self._share(worker)
        share.moved += positions.count
        share.credit(after, positions.count)

    def _take_from_holders(self, positions: RangeSet, state: RecordState) -> dict[str | None, int]:
        """Take positions away from whoever has them, or said how they ended; how many of whom (None: nobody's)."""
        if state is RecordState.PENDING:
            return self.assignment.discard(positions)
        if state is RecordState.LEASED:
            return dict(self.leases.discard(positions).items())
        sizes: dict[str | None, int] = {}
        for group in self._retract(positions):
            sizes[group.cause.worker] = sizes.get(group.cause.worker, 0) + group.positions.count
        return sizes

    def _move_from(self, sizes: dict[str | None, int]) -> None:
        for holder, size in sizes.items():
            if holder is not None:
                self.shares[holder].moved -= size

    def _retract(self, positions: RangeSet) -> list[DeadLetterGroup]:
        """Take back that dead letters ended so; what they were."""
        groups = self.dead.by_cause(positions)
        for group in groups:
            self.shares[group.cause.worker].credit(group.cause.state, -group.positions.count)
        self.dead.drop(positions)
        return groups

    def _mark(self, positions: RangeSet, before: RecordState, after: RecordState) -> None:
        for start, stop in positions:
            self.states[start:stop] = after
        self.counts[before] -= positions.count
        self.counts[after] += positions.count

    def _share(self, worker: str) -> WorkerShare:
        return self.shares.setdefault(worker, WorkerShare())
