"""Say how the records of a run are spread over its schedule: evenly, or as independent people would send them.

Arrivals are in operational time, in which one record is due per unit on the average; a profile turns it into seconds
(E. Cinlar, "Introduction to Stochastic Processes", 1975, 4.7). So a rate that changes needs no arithmetic of its own.

Poisson arrivals are made in blocks. A Poisson process of which the number in a block is known is as many independent
uniform times, in order; and these are the partial sums of exponential gaps, divided by their total (L. Devroye,
"Non-Uniform Random Variate Generation", 1986, V.3). The numbers are SplitMix64's (see `order`), which any release can
make again. So every block has exactly its records, which keeps the rate, and
can be made by itself, which a restarted master needs.
"""

from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from traffic.core.order import mix, mix_array
from traffic.core.pace.profile import Floats

Kind = Literal["even", "poisson"]

BLOCK = 16_384
_GOLDEN = 0x9E3779B97F4A7C15
_MASK64 = (1 << 64) - 1
# A stream of its own, so that a seed's arrivals and its order have nothing to do with each other.
_STREAM = 0x0A881A15
_KEPT_BLOCKS = 8


class Arrivals(Protocol):
    """When each position of a run of `records` is due, in operational time, and how many are due before a time.

    `deviation` is the standard deviation of the number in a unit of time: 0 for even arrivals, 1 for Poisson ones.
    """

    records: int
    deviation: float

    def at(self, positions: npt.ArrayLike) -> Floats:
        """Return the operational time of each position: shape (n,). It never falls from a position to the next."""

    def before(self, time: float) -> int:
        """Return how many positions have an operational time less than `time`."""


class EvenArrivals:
    """Position n is due at n."""

    deviation = 0.0

    def __init__(self, records: int) -> None:
        self.records = records

    def at(self, positions: npt.ArrayLike) -> Floats:
        """Return the operational time of each position."""
        return np.asarray(positions, np.float64)

    def before(self, time: float) -> int:
        """Return how many positions are due before `time`."""
        return int(min(max(np.ceil(time), 0), self.records))


class PoissonArrivals:
    """As many arrivals as there are records, Poisson within each block; they depend on `records` and `seed` alone."""

    deviation = 1.0

    def __init__(self, records: int, seed: int) -> None:
        self.records, self._state = records, mix((seed + _STREAM) & _MASK64)
        self._block = lru_cache(_KEPT_BLOCKS)(self._make)

    def at(self, positions: npt.ArrayLike) -> Floats:
        """Return the operational time of each position."""
        positions = np.asarray(positions, np.int64)
        made = np.empty(positions.shape, np.float64)
        blocks = positions // BLOCK
        for block in np.unique(blocks).tolist():
            here = blocks == block
            made[here] = self._block(block)[positions[here] - block * BLOCK]
        return made

    def before(self, time: float) -> int:
        """Return how many positions are due before `time`."""
        if time <= 0:
            return 0
        if time >= self.records:
            return self.records
        block = int(time) // BLOCK
        return block * BLOCK + int(np.searchsorted(self._block(block), time, side="left"))

    def _make(self, block: int) -> Floats:
        size = min(BLOCK, self.records - block * BLOCK)
        first = block * (BLOCK + 1) + 1
        numbers = np.arange(first, first + size + 1, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(self._state)
        # The high 53 bits: all that a float holds, and never 1.
        uniform = (mix_array(numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        sums = np.cumsum(-np.log1p(-uniform))
        made: Floats = block * BLOCK + size * (sums[:-1] / sums[-1])
        return made


def arrivals(kind: Kind, records: int, seed: int) -> Arrivals:
    """Return the arrivals of that kind. `seed` (any integer) counts for Poisson arrivals alone."""
    return EvenArrivals(records) if kind == "even" else PoissonArrivals(records, seed)
