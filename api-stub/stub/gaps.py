"""Finds the missing among millions of indexes. Rule: it counts where counting is enough, and reads only near a gap.

It opens no store: it asks, and is sent the answers. A count over an index is ten times as fast as reading it.
"""

from collections.abc import Generator

import msgspec

SMALL = 2048  # indexes that are read rather than counted
MAX_GAPS = 1000  # missing indexes that are looked for


class Ask(msgspec.Struct, frozen=True):
    """How many indexes from `first` to before `end` are stored; `which` of them, if it is set."""

    first: int
    end: int
    which: bool


Search = Generator[Ask, "int | list[int]", list[int]]


def search(top: int, limit: int = MAX_GAPS) -> Search:
    """Look for the first missing below `top`; returns them in order."""
    found: list[int] = []
    unsearched = [(0, top)]
    while unsearched and len(found) < limit:
        first, end = unsearched.pop()
        small = end - first <= SMALL
        answer = yield Ask(first, end, small)
        if isinstance(answer, list):
            found += sorted(set(range(first, end)).difference(answer))
        elif answer == 0:
            found += range(first, min(end, first + limit))
        elif answer < end - first:
            middle = (first + end) // 2
            unsearched += [(middle, end), (first, middle)]
    return found[:limit]
