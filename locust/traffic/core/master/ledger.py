"""Account for every position of a run: pending, leased, delivered, rejected or in doubt.

Guarded here: a position is in one place at a time. It is pending in exactly one remainder, or open in exactly one
lease, or settled; and a delivered position stays delivered, whatever is reported later. A worker's report counts for
positions that it was ever leased, and for no others (`ever_leased_among`). `invariants.check_ledger` verifies all of
it, and tests call it after every step.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from traffic.core.master.assignment import Assignment
from traffic.core.master.dead_letters import DeadLetters
from traffic.core.master.leases import Lease, Leases
from traffic.core.master.position_states import PositionStates
from traffic.core.master.prior_attempts import PriorAttempts
from traffic.core.master.worker_share import WorkerShares
from traffic.core.ranges import RangeSet
from traffic.core.record_state import PRECEDENCE, Cause, DeadLetterGroup, RecordState

_DEAD = (RecordState.REJECTED, RecordState.IN_DOUBT)
_UNDELIVERED = (RecordState.PENDING, RecordState.LEASED, *_DEAD)
# By state; 0: not settled.
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
        self._states = PositionStates(records)
        self.assignment = Assignment()
        self.assignment.unassigned.add(0, records)
        self.leases = Leases()
        self.prior_attempts = PriorAttempts(records)
        self.ever_leased: dict[str, RangeSet] = {}
        self.shares = WorkerShares()
        self.dead = DeadLetters(records)
        self.repeats = 0

    @property
    def states(self) -> npt.NDArray[np.uint8]:
        """The state of each position."""
        return self._states.array

    @property
    def counts(self) -> list[int]:
        """How many positions are in each state."""
        return self._states.counts

    @property
    def unsettled(self) -> int:
        """How many positions have no outcome yet."""
        return self.counts[RecordState.PENDING] + self.counts[RecordState.LEASED]

    @property
    def settled(self) -> int:
        """How many positions have an outcome."""
        return self.records - self.unsettled

    def assign(self, workers: Iterable[str]) -> None:
        """Cut what is unassigned into a slice for each of `workers`, equal to within one; without one it stays."""
        names = list(workers)
        for name in names:
            self.shares.of(name)
        positions, self.assignment.unassigned = self.assignment.unassigned, RangeSet()
        for name, size in self.assignment.assign(positions, names).items():
            self.shares[name].slice += size

    def take_part(self, worker: str) -> None:
        """Let a worker take part with an empty remainder: the records of a paced run are dealt as they come due."""
        self.shares.of(worker)
        self.assignment.remainders.setdefault(worker, RangeSet())

    def join(self, worker: str) -> int:
        """Give a worker that has no remainder a slice, cut from the largest ones. Returns its size.

        For a worker that had a slice before, this counts as moved to it.
        """
        back, share = worker in self.shares, self.shares.of(worker)
        taken = self.assignment.join(worker)
        self.shares.move_from(taken)
        size = sum(taken.values())
        if back:
            share.moved += size
        else:
            share.slice += size
        return size

    def steal(self, worker: str, least: int) -> bool:
        """Give a worker with an empty remainder part of another (`Assignment.steal`). Returns whether it got any."""
        moved = self.assignment.steal(worker, least)
        if moved is None:
            return False
        source, size = moved
        self.shares[worker].moved += size
        self.shares.move_from({source: size})
        return True

    def lease(self, worker: str, positions: RangeSet) -> Lease:
        """Lease `positions`, all of them in the worker's remainder, to the worker."""
        self.assignment.remove(positions, worker)
        self._states.change(positions, RecordState.PENDING, RecordState.LEASED)
        self.record_leased(worker, positions)
        return self.leases.make(worker, positions)

    def record_leased(self, worker: str, positions: RangeSet) -> None:
        """Note that a worker was leased `positions`: its reports of them count, whatever becomes of the lease."""
        self.ever_leased.setdefault(worker, RangeSet()).update(positions)

    @property
    def leased_to(self) -> int:
        """The position from which on none was ever leased."""
        return max((positions.pairs[-1][1] for positions in self.ever_leased.values() if positions), default=0)

    def ever_leased_among(self, worker: str, positions: RangeSet) -> RangeSet:
        """Return those of `positions` that the worker was ever leased. It can know nothing of the others."""
        return positions.common(self.ever_leased.get(worker, RangeSet()))

    def record_delivered(self, worker: str, positions: RangeSet) -> RangeSet:
        """Record that `worker` saw `positions` delivered. Returns those that were not delivered before.

        By which lease the worker had them, and whether it still has it, makes no difference: what it saw is true.
        """
        newly = self._settle_open(worker, RecordState.DELIVERED, positions)
        newly.update(self._settle_late(worker, RecordState.DELIVERED, positions.minus(newly)))
        self.prior_attempts.forget(newly)
        return newly

    def record_failure(self, positions: RangeSet, cause: Cause, answer: int = 0, *, stale: bool = False) -> RangeSet:
        """Record positions as rejected or in doubt. Returns those that this settled or overruled.

        A position that is leased to another worker by now is ignored: that worker will report its outcome. So is a
        report that repeats an attempt from before the position was reopened. `answer` is the number of the answer;
        `stale`: a former session reports it.
        """
        if self.prior_attempts.former:
            in_hand = RangeSet() if stale else self.leases.held(cause.worker, positions)
            positions = positions.minus(self.prior_attempts.stale_reports(cause.worker, positions, in_hand))
        newly = self._settle_open(cause.worker, cause.state, positions)
        newly.update(self._settle_late(cause.worker, cause.state, positions.minus(newly)))
        self.dead.put(newly, cause, answer)
        self.prior_attempts.forget(newly)
        return newly

    def return_lease(self, lease: Lease, positions: RangeSet) -> None:
        """Make `positions`, open in `lease`, pending again in its worker's remainder."""
        self.leases.close(lease, positions)
        self._states.change(positions, RecordState.LEASED, RecordState.PENDING)
        self.assignment.remainders[lease.worker].update(positions)

    def reclaim(self, lease: Lease) -> RangeSet:
        """Return a lost worker's lease to its remainder. Returns the positions, which may have been sent."""
        positions = lease.open.copy()
        self.prior_attempts.note(lease.worker, positions)
        self.return_lease(lease, positions)
        return positions

    def leave(self, worker: str, successors: Iterable[str]) -> int:
        """Cut the remainder of a worker that is gone among `successors`, or unassign it. Returns its size.

        Its leases must have been settled, returned or reclaimed before.
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
        if (wrong := self._states.first_outside(positions, *_DEAD)) is not None:
            raise ValueError(f"positions {wrong[0]}-{wrong[1] - 1} cannot have been dead letters just then")
        self.prior_attempts.former.copy_from(self.dead, positions)
        self._unsettle(positions)

    def return_former(self) -> tuple[DeadLetterGroup, ...]:
        """Restore the dead letters that were reopened, are pending, and cannot have been sent since. Returns them."""
        former = self.prior_attempts.former
        if not former:
            return ()
        waiting = former.among(self.positions(RecordState.PENDING))
        groups = tuple(former.groups(waiting))
        for alike, cause in former.by_cause(waiting):
            self.shares.move_from(self.assignment.discard(alike))
            self._credit_late(cause.worker, RecordState.PENDING, cause.state, alike)
        self.dead.copy_from(former, waiting)
        former.drop(waiting)
        return groups

    def restore(self, worker: str, delivered: RangeSet, letters: Iterable[DeadLetterGroup]) -> None:
        """Settle what a journal says was settled. Call it only without workers and leases.

        Raises ValueError if this cannot have happened, or if the run does not have such a position.
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
            self.dead.put(group.positions, group.cause, group.answer)

    def _check_possible(self, state: RecordState, positions: RangeSet) -> None:
        if (wrong := self._states.first_outside(positions, *_UNDELIVERED)) is not None:
            raise ValueError(f"positions {wrong[0]}-{wrong[1] - 1} cannot have ended {state.name.lower()} just then")

    def _restore(self, worker: str, state: RecordState, positions: RangeSet) -> None:
        if not positions:
            return
        self.assignment.unassigned.subtract(positions)
        self.prior_attempts.forget(positions)
        self.record_leased(worker, positions)
        self._states.change(positions, RecordState.PENDING, state)
        share = self.shares.of(worker)
        share.slice += positions.count
        share.credit(state, positions.count)

    def _unsettle(self, positions: RangeSet) -> None:
        """Make dead letters pending and unassigned."""
        for alike, cause in self._retract(positions):
            self.shares[cause.worker].slice -= alike.count
            self._states.change(alike, cause.state, RecordState.PENDING)
        self.assignment.unassigned.update(positions)

    def dead_letters_to_send(self, policy: str) -> RangeSet:
        """Return the dead letters that may be sent again: under at-most-once none that the API may have."""
        in_doubt = (RecordState.IN_DOUBT,) if policy == "at-least-once" else ()
        return self.positions(RecordState.REJECTED, *in_doubt)

    def positions(self, *states: RecordState) -> RangeSet:
        """Return all positions that are in one of `states`."""
        return self._states.positions(*states)

    def _settle_open(self, worker: str, state: RecordState, positions: RangeSet) -> RangeSet:
        """Settle those of `positions` that are open in the worker's own leases. Returns these."""
        newly = self.leases.take(worker, positions)
        self._states.change(newly, RecordState.LEASED, state)
        if newly:
            self.shares[worker].credit(state, newly.count)
        return newly

    def _settle_late(self, worker: str, state: RecordState, positions: RangeSet) -> RangeSet:
        """Settle positions that the worker has no lease of (any more). Returns those that this settled or overruled."""
        newly = RangeSet()
        if not positions:
            return newly
        places = positions.array()
        states = self.states[places]
        precedence = _PRECEDENCES[states]
        self.repeats += int(np.count_nonzero(precedence))
        fresh = precedence < PRECEDENCE[state]
        # A position that is leased to another worker is left to that worker, unless it was delivered.
        fresh &= (states != RecordState.LEASED) | (state is RecordState.DELIVERED)
        for before in np.unique(states[fresh]).tolist():
            taken = RangeSet.of_array(places[fresh & (states == before)])
            self.shares.move_from(self._take_from_holders(taken, RecordState(before)))
            self._credit_late(worker, RecordState(before), state, taken)
            newly.update(taken)
        return newly

    def _credit_late(self, worker: str, before: RecordState, after: RecordState, positions: RangeSet) -> None:
        """Settle positions that have been taken from their holders: they count for `worker` now."""
        self._states.change(positions, before, after)
        share = self.shares.of(worker)
        share.moved += positions.count
        share.credit(after, positions.count)

    def _take_from_holders(self, positions: RangeSet, state: RecordState) -> dict[str | None, int]:
        """Take positions from those who have them or settled them. Returns how many from whom (None: unassigned)."""
        if state is RecordState.PENDING:
            return self.assignment.discard(positions)
        if state is RecordState.LEASED:
            return dict(self.leases.discard(positions).items())
        sizes: dict[str | None, int] = {}
        for alike, cause in self._retract(positions):
            sizes[cause.worker] = sizes.get(cause.worker, 0) + alike.count
        return sizes

    def _retract(self, positions: RangeSet) -> list[tuple[RangeSet, Cause]]:
        """Retract that dead letters ended so. Returns what they were, by cause."""
        causes = self.dead.by_cause(positions)
        for alike, cause in causes:
            self.shares[cause.worker].credit(cause.state, -alike.count)
        self.dead.drop(positions)
        return causes
