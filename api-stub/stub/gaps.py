"""Finds the missing among millions of indexes. Rule: count first, and list indexes only near a gap.

Opens no store: yields queries and is sent their results. Counting over an index is ten times as fast as listing it.
"""

from collections.abc import Generator

import msgspec

SMALL = 2048  # indexes in a range that is listed rather than counted
MAX_GAPS = 1000  # missing indexes that a search returns at most


class RangeQuery(msgspec.Struct, frozen=True):
    """Asks how many indexes from `first` to before `end` are stored; with `listing`, which of them."""

    first: int
    end: int
    listing: bool


Search = Generator[RangeQuery, "int | list[int]", list[int]]


def search(top: int, limit: int = MAX_GAPS) -> Search:
    """Search for the first `limit` missing indexes below `top`. Returns them in order."""
    found: list[int] = []
    unsearched = [(0, top)]
    while unsearched and len(found) < limit:
        first, end = unsearched.pop()
        small = end - first <= SMALL
        answer = yield RangeQuery(first, end, small)
        if isinstance(answer, list):
            found += sorted(set(range(first, end)).difference(answer))
        elif answer == 0:
            found += range(first, min(end, first + limit))
        elif answer < end - first:
            middle = (first + end) // 2
            unsearched += [(middle, end), (first, middle)]
    return found[:limit]
