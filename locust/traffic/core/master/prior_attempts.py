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
    """`tried` says, by worker, which unsettled positions it may have sent before it was given up.

    `tries` has, by position, how often one was sent that a worker in trouble handed back. `former` has, by position,
    the dead letters that were reopened and have no new outcome yet. A run has `records`.
    """

    def __init__(self, records: int) -> None:
        self.tried: dict[str, RangeSet] = {}
        self.tries: dict[int, Tried] = {}
        self.former = DeadLetters(records)

    def note(self, worker: str, positions: RangeSet) -> None:
        """Take note that a worker which is given up may have sent `positions`."""
        self.tried.setdefault(worker, RangeSet()).update(positions)

    def note_tries(self, tries: Iterable[Tried]) -> None:
        """Take note how often these were sent, so that whoever has them next goes on counting."""
        self.tries |= {one.position: one for one in tries}

    def tries_among(self, positions: RangeSet) -> tuple[Tried, ...]:
        """How often those of `positions` were sent of which a worker has said so, or which the API had answered."""
        known = map(self._try_at, positions.members()) if self.tries or self.former else ()
        return tuple(one for one in known if one is not None)

    def _try_at(self, position: int) -> Tried | None:
        letter = self.former.get(position)
        before = Tried(position, 0, outcome_unknown=False) if letter is not None and letter.status else None
        return self.tries.get(position, before)

    def forget(self, positions: RangeSet) -> None:
        """These are settled: who may have sent them, and what they had been, is of no account any more."""
        for tried in self.tried.values():
            tried.subtract(positions)
        if self.tries:
            for position in [at for at in self.tries if at in positions]:
                del self.tries[position]
        self.former.drop(positions)

    def repeats_among(self, positions: RangeSet) -> RangeSet:
        """Those of `positions` that may have been sent before: by a worker that was given up, or before a reopening."""
        made = self.tried_among(positions)
        made.update(self.former.among(positions))
        return made

    def tried_among(self, positions: RangeSet) -> RangeSet:
        """Those of `positions` that a worker which was given up may have sent."""
        made = RangeSet()
        for tried in self.tried.values():
            made.update(positions.common(tried))
        return made

    def stale_reports(self, worker: str, positions: RangeSet, in_hand: RangeSet) -> RangeSet:
        """Those of `positions` that were reopened, and of which the worker's word is from before.

        It cannot know of having had them since. `in_hand` are those that it speaks of as its leases now.
        """
        old = self.former.among(positions)
        old.subtract(in_hand)
        old.subtract(self.tried.get(worker, RangeSet()))
        return old
