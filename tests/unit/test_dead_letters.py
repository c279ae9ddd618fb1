"""Dead letters are found by any text in them, and given out in pieces."""

import json
from pathlib import Path

import pytest

from traffic.core.master.letter_search import Query, search, search_dead, search_lines
from traffic.core.master.report import dead_letters
from traffic.core.record_state import RecordState
from unit.a_run import a_run, close, record_failure

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


TEXTS = ["", "rejected", "in_doubt", "409", "w1", "ñ17", "abcd-23", "none", "not known", '"n": 4', "nothing"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("first", "most"), [(0, 3), (1, 2), (4, 50), (900, 5)])
def test_letters_in_memory_and_in_a_file_are_found_as_if_each_were_read(
    tmp_path: Path, text: str, first: int, most: int
) -> None:
    run = a_run(tmp_path, 1200, ["w1", "w2"])
    for at in (17, 23, 599):
        record_failure(run, "w1", at, RecordState.REJECTED, 409, 'HTTP 409: "name" is not known')
    for at in range(700, 1190):
        record_failure(run, "w2", at, RecordState.IN_DOUBT, 0, "no answer")
    letters = list(dead_letters(run))
    query = Query(text, first, most)
    found = search(letters, query)
    lines = [json.dumps(letter, ensure_ascii=False).encode() for letter in letters]
    assert found["total"] == 493
    assert search_dead(run, run.ledger.dead.copy(), query) == found
    assert search_lines(lines, query) == found
    close(run)
