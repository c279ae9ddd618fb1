"""Dead letters are found by any text in them, and given out in pieces."""

import pytest

from traffic.core.letters import Query, search

LETTERS = [
    {
        "index": at,
        "outcome": "rejected" if at % 2 else "in_doubt",
        "attempts": 1,
        "status": 422 if at % 2 else 0,
        "reason": f"HTTP 422: name {at} is not known",
        "worker": "Vm_ABC",
        "key": f"20260102-030405-abcd-{at}",
        "record": '{"name": "Ñandú"}' if at == 7 else None,
    }
    for at in range(10)
]


@pytest.mark.parametrize(
    ("text", "matched"),
    [("", 10), ("ñandú", 1), ("vm_abc", 10), ("in_doubt", 5), ("name 3 is", 1), ("abcd-9", 1), ("nothing", 0)],
)
def test_a_text_is_looked_for_in_every_member_without_regard_to_case(text: str, matched: int) -> None:
    assert search(iter(LETTERS), Query(text, 0, 100))["matched"] == matched


def test_the_pieces_are_all_matches_in_order() -> None:
    found = [search(LETTERS, Query("rejected", first, 2)) for first in (0, 2, 4, 6)]
    assert [letter["index"] for one in found for letter in one["letters"]] == [1, 3, 5, 7, 9]
    assert {(one["total"], one["matched"]) for one in found} == {(10, 5)}
