"""Remember earlier attempts at positions that have no outcome yet.

Guarded here: a worker that may have sent a position is remembered until the position is settled. So the next worker
knows that it repeats an attempt, a stale report is not mistaken for a new one, and a position that nobody sends again
ends as these attempts left it.
"""

from collections.abc import Iterable

from traffic.core.master.dead_letters import DeadLetters
from traffic.core.protocol import Tried
from traffic.core.ranges import RangeSet


class PriorAttempts:
    """The earlier attempts of a run of `records` positions.

    `tried` has, by worker, the unsettled positions that it may have sent before it was given up or handed them back.
    `tries` has, by position, how often a worker in trouble had sent it. `former` has, by position, the dead letters
    that were reopened and have no new outcome yet.
    """

    def __init__(self, records: int) -> None:
        self.tried: dict[str, RangeSet] = {}
        self.tries: dict[int, Tried] = {}
        self.former = DeadLetters(records)

    def note(self, worker: str, positions: RangeSet) -> None:
        """Note that a worker may have sent `positions`, which are pending again."""
        self.tried.setdefault(worker, RangeSet()).update(positions)

    def note_tries(self, tries: Iterable[Tried]) -> None:
        """Note how often these were sent, so that the next worker goes on counting."""
        self.tries |= {one.position: one for one in tries}

    def tries_among(self, positions: RangeSet) -> tuple[Tried, ...]:
        """Return how often those of `positions` were sent of which that is known, or which the API had answered."""
        known = map(self._try_at, positions.members()) if self.tries or self.former else ()
        return tuple(one for one in known if one is not None)

    def _try_at(self, position: int) -> Tried | None:
        letter = self.former.get(position)
        before = Tried(position, 0, outcome_unknown=False) if letter is not None and letter.status else None
        return self.tries.get(position, before)

    def forget(self, positions: RangeSet) -> None:
        """Forget the attempts at `positions`, which are settled."""
        for tried in self.tried.values():
            tried.subtract(positions)
        if self.tries:
            for position in [at for at in self.tries if at in positions]:
                del self.tries[position]
        self.former.drop(positions)

    def repeats_among(self, positions: RangeSet) -> RangeSet:
        """Return those of `positions` that may have been sent before, also those from before a reopening."""
        made = self.tried_among(positions)
        made.update(self.former.among(positions))
        return made

    def tried_among(self, positions: RangeSet) -> RangeSet:
        """Return those of `positions` that a worker may have sent before they were pending again."""
        made = RangeSet()
        for tried in self.tried.values():
            made.update(positions.common(tried))
        return made

    def stale_reports(self, worker: str, positions: RangeSet, in_hand: RangeSet) -> RangeSet:
        """Return those of `positions` that were reopened, and of which the worker's report is from before.

        The worker was not leased these since. `in_hand` are those that it reports as its present leases.
        """
        old = self.former.among(positions)
        old.subtract(in_hand)
        old.subtract(self.tried.get(worker, RangeSet()))
        return old
