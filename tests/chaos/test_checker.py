"""The checker finds each kind of lie, in stores and reports that are made up."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import Claims, Stored, Verdict, bodies, check, read_store
from chaos.harm import Death
from chaos.history import ANSWER_LOST, ASKED_FOR, MASTER_KILLED, RECLAIMED, RESTARTED, Attempt, Known, explain
from chaos.show import Gap, Twice, gap, sent_twice

RUN = "20260101-000000-abcd"
BODIES = ['{"name": "a", "msg":  "1"}', '{"msg":"ü","name":"b"}', '{"name":"c","msg":"3"}', '{"name":"d","msg":"4"}']


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "traffic.json"
    path.write_text("[\n" + " ,\n".join(BODIES) + "\n]\n")
    return path


def stored(*indexes: int) -> list[Stored]:
    return [Stored(f"{RUN}-{index}", BODIES[index]) for index in indexes]


def letter(index: int, outcome: str = "in_doubt", **other: Any) -> dict[str, Any]:
    return {"index": index, "outcome": outcome, "key": f"{RUN}-{index}", "record": BODIES[index], **other}


def claims(letters: Iterable[dict[str, Any]] = (), unsent: Iterable[int] = ()) -> Claims:
    letters, unsent = list(letters), list(unsent)
    rejected = sum(one["outcome"] == "rejected" for one in letters)
    counts = {
        "records": 4,
        "pending": 0,
        "leased": 0,
        "delivered": 4 - len(letters) - len(unsent),
        "rejected": rejected,
        "in_doubt": len(letters) - rejected,
        "unsent": len(unsent),
    }
    row = {name: counts[name] for name in ("delivered", "rejected", "in_doubt")} | {"slice": 4, "moved": 0}
    return Claims({"run": RUN, "counts": counts, "workers": [row], "audit": None}, letters, unsent)


def test_a_true_report_of_a_full_store_is_good(file: Path) -> None:
    verdict = check(file, stored(0, 1, 2, 3), claims(), exit_code=0)
    assert verdict == Verdict(records=4, stored=4)
    assert verdict.good
    assert str(verdict) == "good"


def test_what_is_not_delivered_may_be_stored_or_not(file: Path) -> None:
    letters = [letter(0), letter(1, "rejected"), letter(2, "rejected")]
    assert check(file, stored(), claims(letters, [3]), exit_code=3).good
    assert check(file, stored(0, 1), claims(letters, [3]), exit_code=3).good
    assert check(file, stored(0, 1, 3), claims(letters), exit_code=3).good


def test_a_delivered_record_that_is_not_in_the_store_is_lost(file: Path) -> None:
    verdict = check(file, stored(0, 1, 3), claims())
    assert verdict.lost == [2]
    assert not verdict.good
    assert "1 lost: [2]" in str(verdict)


def test_a_key_stored_twice_is_duplicated(file: Path) -> None:
    assert check(file, stored(0, 1, 2, 3, 3), claims()).duplicated == [3]


def test_a_body_stored_under_another_key_is_duplicated_and_unexpected(file: Path) -> None:
    verdict = check(file, [*stored(0, 1, 2, 3), Stored("another-run-1", BODIES[1])], claims())
    assert verdict.duplicated == [1]
    assert verdict.unexpected == ["another-run-1"]


def test_a_body_stored_without_a_key_is_duplicated_and_unexpected(file: Path) -> None:
    verdict = check(file, [*stored(0, 1, 2, 3), Stored(None, BODIES[0])], claims())
    assert verdict.duplicated == [0]
    assert verdict.unexpected == ["None"]


def test_records_that_are_equal_in_the_file_are_no_duplicates(tmp_path: Path) -> None:
    file = tmp_path / "traffic.json"
    file.write_text(f"[{BODIES[0]}, {BODIES[0]}, {BODIES[2]}, {BODIES[3]}]")
    store = [Stored(f"{RUN}-{index}", body) for index, body in enumerate(bodies(file))]
    assert check(file, store, claims()).good


def test_another_body_under_a_record_s_key_is_unexpected_and_the_record_lost(file: Path) -> None:
    verdict = check(file, [*stored(0, 1, 2), Stored(f"{RUN}-3", BODIES[3].replace(" ", ""))], claims())
    assert verdict.good  # no space in it: the same bytes
    verdict = check(file, [*stored(1, 2, 3), Stored(f"{RUN}-0", BODIES[0].replace("  ", " "))], claims())
    assert verdict.unexpected == [f"{RUN}-0"]
    assert verdict.lost == [0]


def test_an_index_outside_the_file_is_unexpected(file: Path) -> None:
    verdict = check(file, [*stored(0, 1, 2, 3), Stored(f"{RUN}-4", BODIES[0] + " ")], claims())
    assert verdict.unexpected == [f"{RUN}-4"]


def test_an_unsent_record_that_is_stored_is_a_lie(file: Path) -> None:
    assert check(file, stored(0, 1, 2, 3), claims(unsent=[2])).lies[0] == "index 2 is called unsent and is in the store"


@pytest.mark.parametrize("name", ["records", "delivered", "rejected", "in_doubt", "unsent", "pending", "leased"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_figure_that_is_off_by_one_is_a_lie(file: Path, name: str, by: int) -> None:
    letters = [letter(1), letter(2, "rejected")]
    good = claims(letters, [3])
    assert check(file, stored(0), good, exit_code=3).good
    wrong = claims(letters, [3])
    wrong.report["counts"][name] += by
    assert check(file, stored(0), wrong, exit_code=3).lies


@pytest.mark.parametrize(
    ("letters", "unsent", "lie"),
    [
        ([letter(1), letter(1)], [], "index 1 is listed 2 times"),
        ([letter(1)], [1], "index 1 is listed 2 times"),
        ([], [4], "index 4 is listed, and the file has no such record"),
        ([letter(1) | {"index": -1}], [], "index -1 is listed"),
        ([letter(1, "delivered")], [], "dead letter 1 has the outcome delivered"),
        ([letter(1, key="other-1")], [], "dead letter 1 has the key other-1"),
        ([letter(1, record=BODIES[2])], [], "dead letter 1 holds another record"),
    ],
)
def test_a_list_that_is_wrong_is_a_lie(file: Path, letters: list[dict[str, Any]], unsent: list[int], lie: str) -> None:
    verdict = check(file, stored(0, 2, 3), claims(letters, unsent))
    assert any(found.startswith(lie) for found in verdict.lies), verdict.lies


@pytest.mark.parametrize(("exit_code", "good"), [(0, True), (3, False), (1, False), (-9, False)])
def test_the_exit_code_says_whether_all_were_delivered(file: Path, exit_code: int, good: bool) -> None:
    assert check(file, stored(0, 1, 2, 3), claims(), exit_code).good is good


def test_a_run_with_dead_letters_that_exits_0_is_a_lie(file: Path) -> None:
    assert check(file, stored(0, 1, 2), claims([letter(3)]), exit_code=0).lies == [
        "the exit code: the report says 0, it is 3"
    ]


def test_workers_rows_that_do_not_add_up_are_lies(file: Path) -> None:
    said = claims()
    said.report["workers"][0] |= {"delivered": 3, "moved": -1}
    lies = check(file, stored(0, 1, 2, 3), said).lies
    assert [lie.partition(":")[0] for lie in lies] == ["delivered by worker", "slices and what moved"]


@pytest.mark.parametrize("audit", [{"stored": 3, "agrees": True}, {"stored": 4, "agrees": False}])
def test_an_audit_that_does_not_fit_the_store_is_a_lie(file: Path, audit: dict[str, object]) -> None:
    said = claims()
    said.report["audit"] = audit
    assert len(check(file, stored(0, 1, 2, 3), said).lies) == 1


def test_the_bodies_are_the_file_s_own_bytes(file: Path) -> None:
    assert bodies(file) == BODIES


def test_the_store_is_read_from_sqlite_or_from_a_call(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE messages (key TEXT, payload TEXT, other INTEGER)")
        db.executemany("INSERT INTO messages VALUES (?, ?, 1)", [("k-0", "{}"), (None, "[]")])
    db.close()
    assert read_store(path) == [Stored("k-0", "{}"), Stored(None, "[]")]
    assert read_store(lambda: iter(stored(2))) == stored(2)


def test_the_claims_are_read_from_the_latest_run_s_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    (tmp_path / "report.json").write_text(json.dumps({"run": RUN}))
    (folder / "dead-letters.jsonl").write_text(json.dumps(letter(1)) + "\n")
    (folder / "unsent.txt").write_text("3\n2\n")
    assert Claims.read(tmp_path) == Claims({"run": RUN}, [letter(1)], [3, 2])


def post(worker: str, sent: float, ended: float, status: int = 0) -> Attempt:
    return Attempt(f"{RUN}-0", worker, sent, ended, status)


@pytest.mark.parametrize(
    ("first", "again", "known", "cause"),
    [
        (post("a", 1, 2, 503), post("a", 3, 4, 201), Known(), ASKED_FOR),
        (post("a", 1, 2, 429), post("b", 3, 4, 201), Known(), ASKED_FOR),
        (post("a", 1, 2), post("a", 3, 4, 201), Known(), ANSWER_LOST),
        (post("a", 1, 2), post("a", 3, 4, 201), Known(api_down=[(2.1, 3)]), RESTARTED),
        (post("a", 1, 2), post("a", 9, 10, 201), Known(api_down=[(5, 6)]), ANSWER_LOST),
        (post("a", 1, 2, 201), post("b", 9, 10, 201), Known(lost={"a": 1.5}), RECLAIMED),
        (post("a", 1, 20, 201), post("b", 9, 10, 201), Known(lost={"a": 1.5}), RECLAIMED),
        (post("b", 1, 2, 201), post("a", 9, 10, 201), Known(frozen={"a": 1}), RECLAIMED),
        (post("a", 1, 2, 503), post("a", 3, 4, 201), Known(at_most_once=True), ASKED_FOR),
        # In flight when its master was killed, or sent out of a lease of that master's, and not answered since.
        (post("a", 1, 20, 201), post("b", 9, 10, 201), Known(master_down=[(1.5, 3)]), MASTER_KILLED),
        (post("a", 5, 20, 201), post("a", 9, 10, 201), Known(master_down=[(1.5, 3)]), MASTER_KILLED),
        (post("a", 1, 2, 503), post("b", 9, 10, 201), Known(master_down=[(1.5, 3)]), ASKED_FOR),
        # Its answer was not confirmed before the worker died, or could not be, because there was no master.
        (post("a", 1, 2, 201), post("b", 9, 10, 201), Known(lost={"a": 8.9}), RECLAIMED),
        (post("a", 1, 2, 201), post("b", 30, 31, 201), Known(lost={"a": 20}, master_down=[(2.5, 12)]), RECLAIMED),
    ],
)
def test_a_post_that_had_a_cause_is_given_it(first: Attempt, again: Attempt, known: Known, cause: str) -> None:
    found = explain([first, again], known)
    assert (found.posts, found.again, found.uncaused) == (2, 1, [])
    assert dict(found.causes) == {cause: 1}


@pytest.mark.parametrize(
    ("first", "again", "known"),
    [
        (post("a", 1, 2, 201), post("a", 3, 4, 201), Known()),
        (post("a", 1, 2, 201), post("a", 3, 4, 201), Known(lost={"a": 1})),
        (post("a", 1, 2, 201), post("b", 3, 4, 201), Known()),
        (post("a", 1, 2, 201), post("b", 3, 4, 201), Known(lost={"a": 3.5})),
        (post("a", 1, 2, 404), post("b", 3, 4, 201), Known()),
        (post("a", 1, 5, 503), post("b", 3, 4, 201), Known()),
        (Attempt(f"{RUN}-0", "a", 1), post("b", 3, 4, 201), Known()),
        (post("a", 1, 2), post("a", 3, 4, 201), Known(at_most_once=True)),
        (post("a", 1, 2, 500), post("a", 3, 4, 201), Known(at_most_once=True)),
        (post("a", 1, 2), post("b", 3, 4, 201), Known(at_most_once=True, lost={"a": 1}, frozen={"b": 1})),
        # The worker lives and knows the answer: whatever became of the master, it can say so to the next.
        (post("a", 1, 2, 201), post("b", 9, 10, 201), Known(master_down=[(1.5, 3)])),
        (post("a", 1, 2, 404), post("b", 9, 10, 201), Known(master_down=[(1.5, 3)])),
        (post("a", 1, 8, 201), post("a", 9, 10, 201), Known(master_down=[(1.5, 3)])),
        # Out of a lease of the next master's, or still in flight for another reason.
        (post("a", 7, 20, 201), post("b", 9, 10, 201), Known(master_down=[(1.5, 3)])),
        (post("a", 1, 20, 201), post("b", 9, 10, 201), Known(master_down=[(9.5, 12)])),
        (post("a", 1, 20, 201), post("b", 9, 10, 201), Known(at_most_once=True, master_down=[(1.5, 3)])),
        # Answered so long before its worker died that it had been confirmed.
        (post("a", 1, 2, 201), post("b", 11, 12, 201), Known(lost={"a": 10})),
        (post("a", 1, 2, 201), post("b", 40, 41, 201), Known(lost={"a": 35}, master_down=[(2.5, 12)])),
        (post("a", 1, 2, 201), post("b", 40, 41, 201), Known(lost={"a": 20}, master_down=[(12, 15)])),
    ],
)
def test_a_post_without_a_cause_is_named(first: Attempt, again: Attempt, known: Known) -> None:
    found = explain([first, again], known)
    assert len(found.uncaused) == 1
    assert not found.causes


def test_a_frozen_worker_may_send_no_more_than_its_users_had_taken() -> None:
    tries = [Attempt(f"{RUN}-{n}", worker, at, at, 201) for n in range(5) for worker, at in (("b", 1), ("a", 2))]
    found = explain(tries, Known(frozen={"a": 1}, users=3))
    assert found.causes[RECLAIMED] == 3
    assert len(found.uncaused) == 2


def test_what_was_sent_twice_is_told_apart_by_where_it_was_when_the_master_died() -> None:
    firsts = [Attempt(f"{RUN}-{n}", "a", sent, ended, 201) for n, (sent, ended) in enumerate([(1, 2), (4, 6), (7, 8)])]
    again = [Attempt(f"{RUN}-{n}", "b", 20, 21, 201) for n in range(3)]
    alone = Attempt(f"{RUN}-9", "a", 1, 2, 201)
    found = sent_twice([*again, *firsts, alone], killed=5.0)
    assert found == Twice(in_flight=1, answered=1, other=1, oldest_s=3.0)
    assert found.records == 3


def test_the_gap_after_a_death_is_the_longest_and_ends_for_all_when_each_worker_has_sent() -> None:
    times = [("a", 9.0), ("a", 10.5), ("b", 11.0), ("c", 16.0), ("c", 16.5), ("d", 17.0)]
    attempts = [Attempt(f"{RUN}-{n}", worker, at, at, 201) for n, (worker, at) in enumerate(times)]
    assert gap(attempts, Death(killed=10.0), workers=2) == Gap(began=1.0, ended=6.0, all_back=7.0)
    assert gap(attempts, Death(killed=10.0), workers=3) is None
    assert gap(attempts, Death(killed=18.0), workers=1) is None


def test_a_worker_that_leaves_while_there_is_no_master_is_lost_with_what_nobody_confirmed() -> None:
    known = Known(master_down=[(2, 12)])
    known.note_left("a", 3)
    known.note_left("b", 13)
    assert known.lost == {"a": 3}
    found = explain([post("a", 2.5, 2.6, 201), post("c", 15, 16, 201)], known)
    assert dict(found.causes) == {RECLAIMED: 1}


def rows_of(*outcomes: tuple[int, str], at: str = "t") -> list[dict[str, str]]:
    return [{"index": str(index), "outcome": outcome, "sent": f"{at}{index}"} for index, outcome in outcomes]


ALL_FOUR = rows_of((0, "delivered"), (1, "delivered"), (2, "retry"), (2, "delivered"), (3, "delivered"))


@pytest.mark.parametrize(
    ("rows", "kept", "lost", "attempts", "lie"),
    [
        (ALL_FOUR, 5, 0, 5, ""),
        (ALL_FOUR[:3], 3, 2, 5, ""),
        (ALL_FOUR[:3], 3, 5, 5, ""),
        (ALL_FOUR[:4], 5, 0, 5, "the rows"),
        ([*ALL_FOUR, ALL_FOUR[0]], 6, 0, 5, "rows of one attempt"),
        (ALL_FOUR[:3], 3, 1, 5, "at least the attempts"),
        ([*ALL_FOUR[:3], *rows_of((2, "retry"), (3, "retry"), at="u")], 5, 1, 5, "at least the delivered"),
    ],
)
def test_each_attempt_has_a_row_or_is_counted_as_lost(
    file: Path, rows: list[dict[str, str]], kept: int, lost: int, attempts: int, lie: str
) -> None:
    made = claims()
    made.report["counts"]["attempts"] = attempts
    made.report["results"] = {"rows": kept, "lost": lost}
    made.rows = rows
    lies = check(file, stored(0, 1, 2, 3), made, exit_code=0).lies
    assert any(lie in one for one in lies) is bool(lie), lies


def test_a_row_that_calls_delivered_what_the_store_lacks_is_a_lie(file: Path) -> None:
    made = claims([letter(3)])
    made.report["counts"]["attempts"] = 5
    made.report["results"] = {"rows": 5, "lost": 0}
    made.rows = ALL_FOUR
    (lie,) = check(file, stored(0, 1, 2), made, exit_code=3).lies
    assert "that the store lacks" in lie
