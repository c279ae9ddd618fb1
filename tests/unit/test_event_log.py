"""Who asks again and again reads each event once, in a line; the log takes a bounded place."""

from typing import get_args

import pytest

from traffic.core.master.decisions import (
    AllSettled,
    Event,
    LeaseHandedBack,
    LeaseReclaimed,
    LeaseReturned,
    OutcomesRecorded,
    OutcomesRefused,
    RunSlowed,
    UsersJudged,
    WorkerGone,
    WorkerJoined,
    WorkerTroubled,
)
from traffic.core.master.event_log import LONGEST, EventLog
from traffic.core.ranges import RangeSet

AT = "2026-01-02T03:04:05.678Z"


def an_event_log(first: int = 0, kept: int = 4) -> EventLog:
    return EventLog(lambda: AT, first, kept)


def test_whoever_asks_in_turn_is_told_each_thing_once() -> None:
    event_log, heard, ask = an_event_log(first=70), [], 0
    for round_ in range(5):
        for at in range(round_):
            event_log.note("a-kind", "info", f"{round_}.{at}")
        answer = event_log.to_json(ask)
        heard += [row["text"] for row in answer["rows"]]
        ask = answer["next"]
    assert heard == [f"{round_}.{at}" for round_ in range(5) for at in range(round_)]
    assert ask == 70 + len(heard)


def test_what_is_too_old_is_gone_and_the_numbers_show_it() -> None:
    event_log = an_event_log(kept=4)
    for at in range(10):
        event_log.note("a-kind", "info", str(at))
    assert [row["n"] for row in event_log.to_json(2)["rows"]] == [6, 7, 8, 9]
    assert event_log.to_json(10) == {"next": 10, "rows": []}


def test_a_row_has_what_programs_and_people_want() -> None:
    event_log = an_event_log()
    event_log.note("refused", "bad", "no")
    assert event_log.to_json(0)["rows"] == [{"n": 0, "at": AT, "kind": "refused", "level": "bad", "text": "no"}]


def test_a_text_without_end_is_cut_short() -> None:
    event_log = an_event_log()
    event_log.note("refused", "bad", "x" * (2 * LONGEST))
    text = event_log.since(0)[0].text
    assert len(text) == LONGEST
    assert text.endswith("x…")


@pytest.mark.parametrize(
    ("decision", "kind", "level"),
    [
        (WorkerJoined("w", 25), "worker-joined", "good"),
        (WorkerGone("w", "it left", 3, 1), "worker-gone", "warning"),
        (WorkerGone("w", "it left", 0, 1), "worker-gone", "info"),
        (LeaseReclaimed(7, "w", RangeSet([(40, 60)]), "not heard from for 5 s"), "lease-reclaimed", "warning"),
        (LeaseReturned(7, "w", RangeSet([(40, 60)])), "lease-returned", "info"),
        (AllSettled("r"), "all-settled", "info"),
    ],
)
def test_a_decision_that_people_are_told_is_noted_in_its_own_words(decision, kind, level) -> None:
    event_log = an_event_log()
    event_log.note_decision(decision)
    (row,) = event_log.since(0)
    assert (row.kind, row.level, row.text) == (kind, level, str(decision))


def test_what_happens_with_every_record_is_not_noted() -> None:
    event_log = an_event_log()
    event_log.note_decision(OutcomesRecorded("w", RangeSet([(0, 4)]), ()))
    assert event_log.since(0) == []


def test_each_event_has_a_word_for_programs_and_a_level() -> None:
    shown = (
        WorkerJoined("w", None),
        WorkerGone("w", "it left", 0, 0),
        WorkerTroubled("w", ""),
        LeaseReclaimed(1, "w", RangeSet(), "lost"),
        LeaseReturned(1, "w", RangeSet()),
        LeaseHandedBack(1, "w", RangeSet(), reported=True),
        OutcomesRefused("w", RangeSet(), 1),
        RunSlowed(10.0, 0.5),
        UsersJudged(3, 10, 2, None, short=True),
        AllSettled("r"),
    )
    assert {type(one) for one in shown} == set(get_args(Event))
    log = EventLog(lambda: "now")
    for one in shown:
        log.note_decision(one)
    assert len({row.kind for row in log.since(0)}) == len(shown)
