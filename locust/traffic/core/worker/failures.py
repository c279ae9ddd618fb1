"""Group a worker's failed records for its reports: those that failed alike are reported together.

Guarded here: a thousand rejections with one reason are reported in one entry, so they cost neither side more than a
thousand deliveries. If each has a reason of its own, a report has room for a limited number.
"""

from collections.abc import Iterable
from itertools import chain, islice

from traffic.core.outcome import LONGEST_REASON
from traffic.core.protocol import Failure
from traffic.core.ranges import RangeSet

# The master reads so many kinds in a few hundredths of a second.
MOST_KINDS = 1000
# What failures of one kind have in common: whether in doubt, attempts, status, reason.
Kind = tuple[bool, int, int, str]


class Failures:
    """Failures that no ack has carried yet, by what they have in common."""

    def __init__(self) -> None:
        self._positions: dict[Kind, list[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._positions.values()))

    def add(self, position: int, kind: Kind) -> None:
        """Add a failure; a long reason is cut."""
        in_doubt, attempts, status, reason = kind
        self._positions.setdefault((in_doubt, attempts, status, reason[:LONGEST_REASON]), []).append(position)

    def members(self) -> set[int]:
        """Return the positions of all failures."""
        return set(chain.from_iterable(self._positions.values()))

    def take(self) -> tuple[Failure, ...]:
        """Remove and return as many as the next ack has room for."""
        kinds = list(islice(self._positions, MOST_KINDS))
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
    return failure.in_doubt, failure.attempts, failure.status, failure.reason
