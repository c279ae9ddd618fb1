"""Say which record is at which position: by the identity, by a seeded permutation that needs no table, or by times.

A table would cost 8 bytes a record and the time to shuffle it. A permutation that can be computed at any point costs
nothing to keep, is the same on every machine, and a restarted master has it again from the seed alone.

The construction is a balanced Feistel network over the smallest domain of 4^k values that holds N, with
out-of-range values encrypted again until they fall in range ("cycle walking"): J. Black and P. Rogaway,
"Ciphers with Arbitrary Finite Domains", CT-RSA 2002. The round function is the finaliser of SplitMix64
(G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). Such a network is an
even permutation of its domain, which a shuffle is for half of the seeds only: so half of the seeds swap the indexes
0 and 1. The order is no secret.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Indexes = npt.NDArray[np.uint64]
Kind = Literal["random", "file", "time"]

ROUNDS = 12
_GOLDEN = 0x9E3779B97F4A7C15
_MASK64 = (1 << 64) - 1
_ONE, _TWO = np.uint64(1), np.uint64(2)


def mix(value: int) -> int:
    """Apply SplitMix64's finaliser to one Python integer."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def mix_array(values: Indexes) -> Indexes:
    """Apply SplitMix64's finaliser to an array; unsigned arithmetic wraps, as it should."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Order:
    """The bijection from the positions of a run, 0 to records-1, to the indexes of as many records of its dataset.

    `kind` "file" is the identity. "random" depends on `records` and `seed` (any integer, used modulo 2^64) alone.
    "time" is as `ranked` says: the place of each position's record, shape (records,); None: that of the file.
    If a run delivers a part of its dataset, the part begins at the index `first`, which is added to each.
    """

    def __init__(self, records: int, seed: int, kind: Kind, first: int = 0, ranked: Indexes | None = None) -> None:
        self.records, self._ranked = records, ranked
        self.first = np.uint64(first)
        self.seed = seed
        self.kind: Kind = kind
        self._half_bits = np.uint64(max(1, ((records - 1).bit_length() + 1) // 2))
        self._half_mask = np.uint64((1 << int(self._half_bits)) - 1)
        state = seed & _MASK64
        self._keys = [np.uint64(mix((state + nth * _GOLDEN) & _MASK64)) for nth in range(1, ROUNDS + 1)]
        self._odd = records > 1 and mix((state + (ROUNDS + 1) * _GOLDEN) & _MASK64) & 1 == 1

    def _encrypt(self, values: Indexes) -> Indexes:
        left, right = values >> self._half_bits, values & self._half_mask
        for key in self._keys:
            left, right = right, left ^ (mix_array(right + key) & self._half_mask)
        return (left << self._half_bits) | right

    def indexes(self, positions: npt.ArrayLike) -> Indexes:
        """Return the indexes of the records at `positions`, an integer sequence of shape (n,), in the same shape.

        Raises IndexError if a position is none of the run's.
        """
        try:
            values = np.array(positions, dtype=np.uint64)
        except OverflowError as error:
            raise IndexError(f"a position in a run of {self.records} records: {error}") from error
        if values.size and int(values.max()) >= self.records:
            raise IndexError(f"position {int(values.max())} in a run of {self.records} records")
        if self.kind == "time" and self._ranked is not None:
            return np.asarray(self._ranked[values], np.uint64) + self.first
        if self.kind != "random":
            return values + self.first
        values = self._encrypt(values)
        while (outside := values >= np.uint64(self.records)).any():
            values[outside] = self._encrypt(values[outside])
        return (np.where(values < _TWO, values ^ _ONE, values) if self._odd else values) + self.first
