"""Limits the memory and disk for a traffic file. A file that needs more is refused before either is used up.

The rule that this module guards: memory and disk are checked before they are taken, and a margin is left for a run that
goes on meanwhile. A small compressed file can be very large once it is decompressed, so its own size does not matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traffic.dataset.diagnosis import DatasetError

# The index: where a record begins (8 bytes), and its length (4).
INDEX_BYTES = 12
# A run's memory for each record beside the index: its state in the ledger, and for a moment a copy of that.
RUN_BYTES = 2
# How many records are added between two checks of the memory.
STEP = 1 << 19
# What needs less than this is not checked: it fits wherever the master itself does.
SMALL = 1 << 20
# Margins for the run: memory for its leases, its statistics and its windows of the file; disk for its journal.
MEMORY_MARGIN = 96 << 20
DISK_MARGIN = 64 << 20
# The margin is at most this part of the memory or the disk.
_MARGIN_PART = 8
# The most bytes that Python takes for each character of JSON that begins or separates values; tests measure it.
_COSTS = {b"{": 96, b"[": 120, b":": 136, b",": 72}
_COPIES = 4


@dataclass(frozen=True, slots=True)
class Left:
    """How many bytes are left of `total`. `of` names the limit, `remedy` says how to raise it."""

    size: int
    total: int
    of: str
    remedy: str

    def beside(self, margin: int) -> int:
        """Return how many bytes can be used, so that a run has its margin."""
        return max(0, self.size - min(margin, self.total // _MARGIN_PART))


Measure = Callable[[], Left | None]
"""Returns how much is left now; None if no limit is known."""


def _unknown() -> None:
    return None


def values_cost(text: bytes) -> int:
    """Return the most bytes of memory that Python takes for the values of a JSON text."""
    return _COPIES * len(text) + sum(cost * text.count(mark) for mark, cost in _COSTS.items())


class Budget:
    """Memory and disk for one file; by default without a limit."""

    def __init__(self, memory: Measure = _unknown, disk: Measure = _unknown) -> None:
        self._memory, self._disk = memory, disk

    def check_records(self, file: Path, records: int, done: int, size: int) -> int:
        """Return up to how many records the index may grow before the next check.

        `records` are in the index after `done` of the file's `size` bytes. DatasetError if more might not fit.
        """
        left = self._memory()
        # An array that is full grows by a sixteenth.
        growth = STEP * INDEX_BYTES + records * INDEX_BYTES // 16
        if left is not None and left.beside(MEMORY_MARGIN) < growth + (records + STEP) * RUN_BYTES:
            expected = max(records + STEP + records // 16, records * size // max(1, done))
            what = f"has about {float(f'{expected:.3g}'):,.0f} records, by its size"
            raise _too_many(file, what, expected, left, records * INDEX_BYTES)
        return records + STEP

    def check_index(self, file: Path, records: int) -> None:
        """Raise DatasetError if the index of so many records does not fit into memory; nothing of it is there yet."""
        need = records * (INDEX_BYTES + RUN_BYTES)
        left = self._memory() if need > SMALL else None
        if left is not None and left.beside(MEMORY_MARGIN) < need:
            raise _too_many(file, f"has {records:,} records", records, left, 0)

    def check_values(self, file: Path, text: bytes, record: int | None, times: int = 1) -> None:
        """Raise DatasetError if the values of a JSON text may not fit into memory, `times` times."""
        if len(text) <= SMALL:
            return
        self.check_memory(file, times * values_cost(text), "takes", record)

    def check_memory(self, file: Path, need: int, takes: str, record: int | None = None) -> None:
        """Raise DatasetError if the memory for a check is not there. `takes` is the message's verb."""
        left = self._memory() if need > SMALL else None
        if left is not None and left.beside(MEMORY_MARGIN) < need:
            there = _have(left.beside(MEMORY_MARGIN), left)
            what = f"{takes} up to {_mb(need, up=True)} of memory to be checked, and {there}"
            raise DatasetError(file, what, f"{left.remedy}, or make the records smaller.", record)

    def spare_memory(self) -> int | None:
        """Return how many bytes of memory can be taken beside the margin; None if no limit is known."""
        left = self._memory()
        return None if left is None else left.beside(MEMORY_MARGIN)

    def check_disk(self, file: Path, made: int, more: int) -> None:
        """Raise DatasetError if `more` bytes cannot be written for this file, after `made` were."""
        if made + more <= SMALL:
            return
        if not self.fits_disk(more):
            left = self._disk()
            assert left is not None  # else it fits
            what = (
                f"the file needs more than {_mb(made + more, up=True)} of disk once it is unpacked or converted, and "
            )
            what += _have(left.beside(DISK_MARGIN) + made, left)
            raise DatasetError(file, what, f"{left.remedy}, or split the file.")

    def fits_disk(self, more: int) -> bool:
        """Whether so many bytes can be written beside the margin."""
        left = self._disk() if more else None
        return left is None or left.beside(DISK_MARGIN) >= more


def _too_many(file: Path, what: str, records: int, left: Left, held: int) -> DatasetError:
    """Return the error for an index of so many records, of which `held` bytes are in memory already."""
    need = records * (INDEX_BYTES + RUN_BYTES)
    there = _have(left.beside(MEMORY_MARGIN) + held, left)
    message = f"the file {what}: they need {_mb(need, up=True)} of memory, and {there}"
    return DatasetError(file, message, f"{left.remedy}, or split the file.")


def _have(size: int, left: Left) -> str:
    return f"there are {_mb(size)} for it, of {left.of} of {_mb(left.total)}"


def _mb(size: int, *, up: bool = False) -> str:
    """Return a size for people, with one decimal if it is small; `up`: rounded up."""
    step = 10**5 if size < 10**7 else 10**6
    steps = -(-size // step) if up else size // step
    return f"{steps / 10:.1f} MB" if step < 10**6 else f"{steps:,} MB"
