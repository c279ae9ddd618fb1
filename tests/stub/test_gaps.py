from hypothesis import given
from hypothesis import strategies as st

from stub.gaps import MAX_GAPS, SMALL, search


def run(stored: set[int], top: int, limit: int = MAX_GAPS) -> tuple[list[int], int]:
    """Answer a search from a set. Returns what it found, and how many indexes it listed."""
    asking = search(top, limit)
    query = next(asking)
    read = 0
    while True:
        inside = [i for i in stored if query.first <= i < query.end]
        read += len(inside) if query.listing else 0
        try:
            query = asking.send(inside if query.listing else len(inside))
        except StopIteration as found:
            return found.value, read


@given(st.integers(0, 10_000), st.sets(st.integers(0, 10_000), max_size=50), st.integers(1, 60))
def test_it_finds_the_first_missing_in_order(top: int, absent: set[int], limit: int) -> None:
    stored = set(range(top + 1)) - absent
    assert run(stored, top, limit)[0] == sorted(i for i in absent if i < top)[:limit]


@given(st.sets(st.integers(0, 10**17), min_size=1, max_size=20))
def test_it_finds_the_first_missing_where_most_are(stored: set[int]) -> None:
    top = max(stored)
    expected = [i for i in range(min(top, MAX_GAPS + len(stored))) if i not in stored]
    assert run(stored, top)[0] == expected[:MAX_GAPS]


def test_it_reads_only_near_a_gap() -> None:
    found, read = run(set(range(100_000)) - {77_777}, 99_999)
    assert found == [77_777]
    assert read <= 2 * SMALL
