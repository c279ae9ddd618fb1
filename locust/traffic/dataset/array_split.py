"""Find the boundaries between the records of an array: where a text can be cut, and where its records begin."""

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_SEPARATOR = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*")
# Of the places where a text might be cut between two records, so many are tried.
_CUTS = 2000


def cuts(data: bytes, at: int, separator: bytes, *, nested: bool) -> Iterator[int]:
    """Yield where a text could be cut behind a record, from the one that begins at `at` on; the likely places first.

    `separator` stands between two records. `nested`: records hold objects, so that what looks like a separator may be
    within a record; if not, the last such place is tried first.
    """
    mark = b"}" + separator + b"{"
    last = cut = data.rfind(mark, at) + 1
    if not cut:
        return
    if not nested:
        yield cut
    # Between two records as many brackets are closed as were opened.
    depth = _depth(data, at, cut)
    for _ in range(_CUTS):
        if depth == 0:
            yield cut
        last, cut = cut, data.rfind(mark, at, cut) + 1
        if not cut:
            return
        depth -= _depth(data, cut, last)


def begins(piece: memoryview, lengths: npt.NDArray[np.int64], separator: bytes) -> npt.NDArray[np.int64]:
    """Return where the values of these lengths begin in a piece; what separates them is mostly `separator`."""
    starts = np.zeros(len(lengths), np.int64)
    np.cumsum(lengths[:-1] + len(separator), out=starts[1:])
    if starts[-1] + lengths[-1] == len(piece):
        data, before = np.frombuffer(piece, np.uint8), starts[1:] - len(separator)
        if all((data[before + nth] == byte).all() for nth, byte in enumerate(separator)):
            return starts
    at, made = 0, []
    for length in lengths.tolist():
        made.append(at)
        match = _SEPARATOR.match(piece, at + length)
        at = match.end() if match else at + length
    return np.array(made, np.int64)


def _depth(data: bytes, start: int, stop: int) -> int:
    """Return how many brackets are opened and not closed; brackets in strings are counted, too."""
    opened = data.count(b"{", start, stop) + data.count(b"[", start, stop)
    return opened - data.count(b"}", start, stop) - data.count(b"]", start, stop)
