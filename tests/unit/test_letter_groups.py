"""Answers get numbers, the journal has them, and dead letters are grouped by what the API said."""

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from traffic.core.excerpt import Excerpt
from traffic.core.master import answer_book
from traffic.core.master.answer_book import MOST_PATTERNS, NONE, OTHER, AnswerBook
from traffic.core.master.dead_letters import DeadLetters
from traffic.core.master.letter_groups import MOST_SHOWN, group_names, groups_to_json, in_group, letter_groups
from traffic.core.master.letter_search import Query, search_dead
from traffic.core.master.report import dead_letter_groups, dead_letters
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, RecordState
from unit.a_run import a_run, close, lease

REJECTED = Cause(RecordState.REJECTED, 1, 422, "HTTP 422", "w1")
BY_ANOTHER = Cause(RecordState.REJECTED, 3, 422, "HTTP 422", "w2")
LOST = Cause(RecordState.IN_DOUBT, 2, 0, "no answer", "w1")


def excerpt(text: str) -> Excerpt:
    return Excerpt("text/plain", (), text.encode(), len(text))


class Store:
    """A journal in memory."""

    def __init__(self) -> None:
        self.kept: dict[int, Excerpt] = {}

    @property
    def last_answer(self) -> int:
        return max(self.kept, default=0)

    def answers(self, numbers: Sequence[int]) -> dict[int, Excerpt]:
        return {number: self.kept[number] for number in numbers if number in self.kept}


def test_an_answer_has_one_number_and_is_read_before_and_after_the_journal_has_it() -> None:
    store = Store()
    book = AnswerBook(store)
    one, other = book.number(excerpt("no name")), book.number(excerpt("no email"))
    assert (book.number(excerpt("no name")), book.number(None)) == (one, NONE)
    assert len({one, other, NONE}) == 3
    assert book.read([one, NONE, other]) == {one: excerpt("no name"), other: excerpt("no email")}
    new = book.take_new()
    assert [made.number for made in new] == [one, other]
    assert book.take_new() == ()
    store.kept = {made.number: made.excerpt for made in new}
    third = book.number(excerpt("no age"))
    assert [made.number for made in book.take_new()] == [third]
    assert list(book._unwritten) == [third], "what the journal has is not kept in memory"
    assert book.read([one, third]) == {one: excerpt("no name"), third: excerpt("no age")}


def test_memory_and_disk_are_bounded_whatever_is_answered() -> None:
    store = Store()
    book = AnswerBook(store)
    with patch.object(answer_book, "REMEMBERED", 10), patch.object(answer_book, "MOST_BYTES", 40_000):
        for at in range(MOST_PATTERNS + 1000):
            book.number(excerpt("".join(chr(97 + int(figure)) for figure in str(at)).ljust(15)))
            store.kept |= {one.number: one.excerpt for one in book.take_new()}
    assert len(book._numbers) == 10
    assert len(book._unwritten) <= 1
    assert sum(one.size for one in store.kept.values()) <= 40_000
    assert book.not_kept == MOST_PATTERNS + 1000 - len(store.kept) > 0
    last = book.pattern_numbers(np.array([store.last_answer], np.uint32))
    assert book.pattern_name(int(last[0])) == OTHER


def test_a_book_that_is_restored_goes_on_counting() -> None:
    book = AnswerBook(Store())
    book.restore([(1, "no name", 100), (4, "no email", 100)])
    assert book.pattern_name(book.pattern_number(4)) == "no email"
    assert book.number(excerpt("no name")) == 5
    assert book.pattern_number(5) == book.pattern_number(1)


@pytest.fixture
def filled() -> tuple[DeadLetters, AnswerBook]:
    """Dead letters of four groups, by two workers."""
    dead, book = DeadLetters(100), AnswerBook()
    for at, cause in ((10, REJECTED), (20, BY_ANOTHER), (21, REJECTED)):
        dead.put(RangeSet([(at, at + 1)]), cause, book.number(excerpt(f"record {at} has no name")))
    dead.put(RangeSet([(30, 34)]), REJECTED, book.number(excerpt("no email")))
    dead.put(RangeSet([(40, 42)]), LOST)
    dead.put(RangeSet([(50, 51)]), REJECTED)
    return dead, book


def test_letters_are_grouped_by_what_the_api_said_whoever_sent_them(filled: tuple[DeadLetters, AnswerBook]) -> None:
    groups = letter_groups(*filled)
    assert [(one.outcome, one.status, one.says, one.count, one.example) for one in groups] == [
        ("rejected", 422, "no email", 4, 30),
        ("rejected", 422, "record … has no name", 3, 10),
        ("in_doubt", 0, "no answer", 2, 40),
        ("rejected", 422, "HTTP 422", 1, 50),
    ]
    dead, book = filled
    assert [in_group(dead, book, one.id) for one in groups] == [
        RangeSet([(30, 34)]),
        RangeSet([(10, 11), (20, 22)]),
        RangeSet([(40, 42)]),
        RangeSet([(50, 51)]),
    ]
    assert not in_group(dead, book, "422-00000000")
    by_letter = group_names(dead.values(), book)
    for one in groups:
        assert by_letter.count(one.id) == one.count


def test_the_largest_groups_are_shown_and_the_others_counted() -> None:
    dead, book = DeadLetters(1000), AnswerBook()
    for at in range(MOST_SHOWN + 3):
        words = "".join(chr(97 + int(figure)) for figure in str(at))
        dead.put(RangeSet([(at, at + 1)]), REJECTED, book.number(excerpt(words)))
    made = groups_to_json(letter_groups(dead, book), lambda position: position + 1000)
    assert len(made["groups"]) == MOST_SHOWN
    assert made["groups"][0]["example"] == 1000
    assert made["others"] == {"groups": 3, "count": 3}


def test_letters_of_former_attempts_keep_their_answers(filled: tuple[DeadLetters, AnswerBook]) -> None:
    dead, _ = filled
    former = DeadLetters(100)
    former.put(RangeSet([(90, 91)]), LOST)
    some = RangeSet([(20, 22), (31, 32), (40, 41)])
    former.copy_from(dead, some)
    assert dict(former) == {at: dead[at] for at in some.members()} | {90: LOST.of(90)}
    groups = [list(group.letters()) for group in former.groups(some)]
    assert sorted(groups, key=lambda letters: letters[0].position) == [[dead[at]] for at in (20, 21, 31, 40)]


@pytest.mark.parametrize("text", ["", "no name", "missing"])
def test_a_search_looks_into_answers_and_keeps_to_a_group(tmp_path: Path, text: str) -> None:
    run = a_run(tmp_path, 60, ["w1"])
    for at in range(60):
        lease(run, "w1", at)
        answer = run.answers.number(excerpt("no name" if at % 3 else "no email"))
        run.ledger.record_failure(RangeSet([(at, at + 1)]), REJECTED, answer)
    no_name, no_email = dead_letter_groups(run)["groups"]
    assert (no_name["count"], no_email["count"]) == (40, 20)
    found = search_dead(run, run.ledger.dead, Query(text, 0, 100, no_name["group"]))
    assert (found["total"], found["matched"]) == (60, 0 if text == "missing" else 40)
    assert all(letter["answer"]["text"] == "no name" for letter in found["letters"])
    assert {letter["group"] for letter in dead_letters(run)} == {no_name["group"], no_email["group"]}
    close(run)
