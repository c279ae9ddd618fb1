"""The master's account of every position of a run: pending, leased, delivered, rejected or in doubt.

The rule that this module guards: a position is in one place at a time. It is pending in exactly one remainder,
or open in exactly one lease, or settled; and what is settled as delivered stays so, whatever is said later.
`invariants.check_ledger` verifies all of it, and tests call it after every step.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from .earlier import EarlierAttempts
from .leases import Lease, Leases
from .partition import Partition
from .position import SETTLED, WORTH, DeadLetter, State
from .ranges import RangeSet
from .tally import Tally


class Ledger:
    """The account of a run of `records` positions.

    `states` has shape (records,); `counts[state]` is how many positions stand so; `tallies` has a row for each
    worker that ever had a slice; `dead` has the dead letters by position; `earlier` is what is known of attempts at
    unsettled positions; `repeats` is how many outcomes came for positions that were settled already.
    """

    def __init__(self, records: int) -> None:
        self.records = records
        self.states = np.zeros(records, np.uint8)
        self.partition = Partition()
        self.partition.unassigned.add(0, records)
        self.leases = Leases()
        self.earlier = EarlierAttempts()
        self.tallies: dict[str, Tally] = {}
        self.dead: dict[int, DeadLetter] = {}
        self.counts = [records, 0, 0, 0, 0]
        self.repeats = 0

    @property
    def unsettled(self) -> int:
        """How many positions have no outcome yet."""
        return self.counts[State.PENDING] + self.counts[State.LEASED]

    @property
    def settled(self) -> int:
        """How many positions have their outcome."""
        return self.records - self.unsettled

    def deal(self, workers: Iterable[str]) -> None:
        """Cut what is unassigned into one slice for each of `workers`, equal to within one; without one it stays so."""
        names = list(workers)
        for name in names:
            self._tally(name)
        positions, self.partition.unassigned = self.partition.unassigned, RangeSet()
        for name, size in self.partition.deal(positions, names).items():
            self.tallies[name].slice += size

    def join(self, worker: str) -> int:
        """Give a worker that has no remainder a slice, cut from the largest; its size.

        One that had its slice before comes back: what it gets now has been moved to it.
        """
        back, tally = worker in self.tallies, self._tally(worker)
        taken = self.partition.join(worker)
        for source, size in taken.items():
            if back:
                tally.moved += size
            else:
                tally.slice += size
            if source is not None:
                self.tallies[source].moved -= size
        return sum(taken.values())

    def refill(self, worker: str, least: int) -> tuple[str | None, int] | None:
        """Give a worker that has run dry part of the largest remainder; see `Partition.refill`."""
        moved = self.partition.refill(worker, least)
        if moved is not None:
            source, size = moved
            self.tallies[worker].moved += size
            if source is not None:
                self.tallies[source].moved -= size
        return moved

    def lease(self, worker: str, positions: RangeSet) -> Lease:
        """Put `positions`, all of them in the worker's remainder, into its custody."""
        self.partition.take(positions, worker)
        self._mark(positions, State.PENDING, State.LEASED)
        return self.leases.make(worker, positions)

    def deliver(self, worker: str, positions: RangeSet) -> RangeSet:
        """Book that `worker` saw `positions` delivered; those for which this was news.

        It makes no difference by which lease the worker had them, or whether it still has it: what it saw is true.
        """
        news = self._settle_open(worker, State.DELIVERED, positions)
        for position in self._not_delivered(positions.minus(news)):
            if self._settle_late(worker, State.DELIVERED, position):
                news.add(position, position + 1)
        self.earlier.forget(news)
        return news

    def bury(self, letter: DeadLetter, *, foreign: bool = False) -> bool:
        """Book a position as rejected or in doubt; whether this was news. `foreign`: it was said in a former session.

        It is none where another worker has the position in its custody by now: what comes of it is that one's to say.
        Nor is what a worker says again of an attempt that was made before the position was reopened.
        """
        place = RangeSet([(letter.position, letter.position + 1)])
        in_hand = not foreign and self.leases.holds(letter.worker, letter.position)
        if self.earlier.is_old(letter, in_hand=in_hand):
            return False
        news = bool(self._settle_open(letter.worker, letter.state, place))
        news = news or self._settle_late(letter.worker, letter.state, letter.position)
        if news:
            self.dead[letter.position] = letter
            self.earlier.forget(place)
        return news

    def give_back(self, lease: Lease, positions: RangeSet) -> None:
        """Make `positions`, open in `lease`, pending again in its worker's remainder."""
        self.leases.close(lease, positions)
        self._mark(positions, State.LEASED, State.PENDING)
        self.partition.remainders[lease.worker].update(positions)

    def reclaim(self, lease: Lease) -> RangeSet:
        """Take a lost worker's lease back; its positions, pending in its remainder now, may have been sent."""
        positions = lease.open.copy()
        self.earlier.note(lease.worker, positions)
        self.give_back(lease, positions)
        return positions

    def leave(self, worker: str, heirs: Iterable[str]) -> int:
        """Cut the remainder of a worker that is gone among `heirs`, or leave it unassigned; its size.

        Its leases must have been settled, given back or reclaimed before.
        """
        remainder = self.partition.leave(worker)
        if remainder:
            self.tallies[worker].moved -= remainder.count
            for heir, size in self.partition.deal(remainder, heirs).items():
                self.tallies[heir].moved += size
        return remainder.count

    def reopen(self, positions: RangeSet) -> None:
        """Make dead letters pending again; `earlier` keeps them. Only while the ledger has neither workers nor leases.

        ValueError where one of `positions` is no dead letter.
        """
        dead = (State.REJECTED, State.IN_DOUBT)
        for start, stop in positions:
            stood = self.states[start:stop]
            if len(stood) != stop - start or not np.isin(stood, dead).all():
                raise ValueError(f"positions {start}-{stop - 1} cannot have been dead letters just then")
        for position in positions.members():
            self.earlier.former[position] = self.dead[position]
            self._unsettle(position)

    def return_former(self) -> tuple[DeadLetter, ...]:
        """Have what was reopened, is pending, and nobody may have sent since, end as it had before; its letters."""
        former = self.earlier.former
        letters = tuple(former[at] for at in sorted(former) if self.states[at] == State.PENDING)
        for letter in letters:
            holder = self.partition.discard(letter.position)
            if holder is not None:
                self.tallies[holder].moved -= 1
            self._credit_late(letter.worker, State.PENDING, letter.state, letter.position)
            self.dead[letter.position] = letter
            del former[letter.position]
        return letters

    def restore(self, worker: str, delivered: RangeSet, letters: Iterable[DeadLetter]) -> None:
        """Book once more what a journal says was news. Only while the ledger has neither workers nor leases.

        ValueError where it cannot have been news, or the run does not have such a position.
        """
        for start, stop in delivered:
            stood = self.states[start:stop]
            if len(stood) != stop - start or (stood == State.DELIVERED).any():
                raise ValueError(f"positions {start}-{stop - 1} cannot have been delivered just then")
            for position in (np.flatnonzero(stood) + start).tolist():
                self._unsettle(position)
        self._restore(worker, State.DELIVERED, delivered)
        for letter in letters:
            at = letter.position
            possible = at < self.records and letter.state in (State.REJECTED, State.IN_DOUBT)
            if not possible or self.states[at] == State.DELIVERED:
                raise ValueError(f"position {at} cannot have ended {letter.state.name.lower()} just then")
            if at in self.dead:
                self._unsettle(at)
            self._restore(letter.worker, letter.state, RangeSet([(at, at + 1)]))
            self.dead[at] = letter

    def _restore(self, worker: str, state: State, positions: RangeSet) -> None:
        if not positions:
            return
        self.partition.unassigned.subtract(positions)
        self.earlier.forget(positions)
        self._mark(positions, State.PENDING, state)
        tally = self._tally(worker)
        tally.slice += positions.count
        tally.credit(state, positions.count)

    def _unsettle(self, position: int) -> None:
        before = State(int(self.states[position]))
        self.tallies[self._overrule(position)].slice -= 1
        place = RangeSet([(position, position + 1)])
        self._mark(place, before, State.PENDING)
        self.partition.unassigned.update(place)

    def dead_letters_to_send(self, policy: str) -> RangeSet:
        """The dead letters that may be sent again: under at-most-once none that the API may have."""
        doubtful = (State.IN_DOUBT,) if policy == "at-least-once" else ()
        return self.positions(State.REJECTED, *doubtful)

    def positions(self, *states: State) -> RangeSet:
        """All positions that stand in one of `states`."""
        # A byte a position, and one at either end that is never chosen.
        chosen = np.zeros(self.records + 2, np.bool_)
        for state in states:
            chosen[1:-1] |= self.states == state
        edges = np.flatnonzero(chosen[1:] != chosen[:-1])
        return RangeSet(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    def _settle_open(self, worker: str, state: State, positions: RangeSet) -> RangeSet:
        """Settle those of `positions` that are open in the worker's own leases; which these were."""
        news = self.leases.take(worker, positions)
        self._mark(news, State.LEASED, state)
        if news:
            self.tallies[worker].credit(state, news.count)
        return news

    def _not_delivered(self, positions: RangeSet) -> Iterator[int]:
        """Those of `positions` that are not delivered yet; the others are repeats: an ack says all that was unheard."""
        for start, stop in positions.pairs:
            rest = np.flatnonzero(self.states[start:stop] != State.DELIVERED) + start
            self.repeats += stop - start - len(rest)
            yield from rest.tolist()

    def _settle_late(self, worker: str, state: State, position: int) -> bool:
        """Settle a position that the worker has no lease of (any more); whether this was news."""
        before = State(int(self.states[position]))
        if before in SETTLED:
            self.repeats += 1
            if WORTH[state] <= WORTH[before]:
                return False
            holder: str | None = self._overrule(position)
        elif before is State.LEASED and state is not State.DELIVERED:
            return False
        else:
            holder = self._take_from_holder(position, before)
        if holder is not None:
            self.tallies[holder].moved -= 1
        self._credit_late(worker, before, state, position)
        return True

    def _credit_late(self, worker: str, before: State, after: State, position: int) -> None:
        """Settle a position that has been taken from whoever had it: `worker` has it now."""
        self._mark(RangeSet([(position, position + 1)]), before, after)
        tally = self._tally(worker)
        tally.moved += 1
        tally.credit(after, 1)

    def _overrule(self, position: int) -> str:
        """Take back that a position ended rejected or in doubt; who had said so."""
        letter = self.dead.pop(position)
        self.tallies[letter.worker].credit(letter.state, -1)
        return letter.worker

    def _take_from_holder(self, position: int, state: State) -> str | None:
        """Take a position out of the remainder or the lease that has it; whose that was."""
        if state is State.PENDING:
            return self.partition.discard(position)
        return self.leases.discard(position)

    def _mark(self, positions: RangeSet, before: State, after: State) -> None:
        for start, stop in positions:
            self.states[start:stop] = after
        self.counts[before] -= positions.count
        self.counts[after] += positions.count

    def _tally(self, worker: str) -> Tally:
        return self.tallies.setdefault(worker, Tally())
