"""Group a worker's failed records for its reports: those that failed alike are reported together.

Guarded here: a thousand rejections with one reason and one answer are reported in one entry, so they cost neither side
more than a thousand deliveries. If each has its own, a report has room for a limited number, and for so many bytes.
"""

from collections.abc import Iterable
from itertools import chain

from traffic.core.excerpt import Excerpt
from traffic.core.outcome import LONGEST_REASON
from traffic.core.protocol import Failure
from traffic.core.ranges import RangeSet

# The master reads so many kinds in a few hundredths of a second.
MOST_KINDS = 1000
# And so many bytes of what the API answered: an ack may be sent several times until it is confirmed.
MOST_ANSWERS = 1 << 18
# What failures of one kind have in common: whether in doubt, attempts, status, reason, answer.
Kind = tuple[bool, int, int, str, Excerpt | None]


class Failures:
    """Failures that no ack has carried yet, by what they have in common."""

    def __init__(self) -> None:
        self._positions: dict[Kind, list[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._positions.values()))

    def add(self, position: int, kind: Kind) -> None:
        """Add a failure; a long reason is cut."""
        in_doubt, attempts, status, reason, answer = kind
        self._positions.setdefault((in_doubt, attempts, status, reason[:LONGEST_REASON], answer), []).append(position)

    def members(self) -> set[int]:
        """Return the positions of all failures."""
        return set(chain.from_iterable(self._positions.values()))

    def take(self) -> tuple[Failure, ...]:
        """Remove and return as many as the next ack has room for."""
        kinds: list[Kind] = []
        size = 0
        for kind in self._positions:
            size += kind[-1].size if kind[-1] is not None else 0
            if kinds and (size > MOST_ANSWERS or len(kinds) == MOST_KINDS):
                break
            kinds.append(kind)
        return tuple(Failure(tuple(RangeSet.of(self._positions.pop(kind))), *kind) for kind in kinds)

    def restore(self, failures: Iterable[Failure]) -> None:
        """Put back failures that were taken."""
        for failure in failures:
            self._positions.setdefault(_kind(failure), []).extend(positions_of(failure).members())


def positions_of(failure: Failure) -> RangeSet:
    """Return the positions of a failure."""
    return RangeSet(failure.positions)


def merged(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Return the failures of several acks, those that are alike in one."""
    made: dict[Kind, RangeSet] = {}
    for failure in failures:
        made.setdefault(_kind(failure), RangeSet()).update(positions_of(failure))
    return tuple(Failure(tuple(positions), *kind) for kind, positions in made.items())


def _kind(failure: Failure) -> Kind:
    return failure.in_doubt, failure.attempts, failure.status, failure.reason, failure.answer
