"""List the runs of a state folder, find those that can be resumed, and delete old ones."""

import json
import os
import re
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.dead_letters import letter_group
from traffic.core.master.decisions import Leased, OutcomesRecorded
from traffic.core.master.invariants import check_ledger
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetter, RecordState
from traffic.dataset.dataset import Dataset
from traffic.runs.history import ResumeError, find_cut_off, find_to_resume, leave_cut_off, past_runs, recover, summarise
from traffic.runs.journal import Journal, JournalError, JournalInUseError
from traffic.runs.retention import DAY_S, prune
from traffic.runs.run_metadata import Resumption, RunMetadata
from traffic.runs.state_dir import StateFolder
from traffic.settings import DEAD_LETTERS
from unit.test_journal import METADATA, read
from unit.traffic_file import written

RUNS = [f"2026010{day}-000000-abcd" for day in range(1, 6)]
FIRST, SECOND, THIRD, *_ = RUNS


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def metadata(run: str, state: str = "running", **changed: Any) -> RunMetadata:
    given: dict[str, Any] = {"terms": replace(METADATA.terms, run=run), "state": state} | changed
    return replace(METADATA, **given)


def leave(folder: StateFolder, run: str, state: str = "running", **changed: Any) -> Path:
    """Create a run's journal as its master left it."""
    path = folder.journal_path(run)
    Journal.create(path, metadata(run, state, **changed)).close()
    return path


def leave_report(folder: StateFolder, run: str, state: str = "completed") -> dict:
    report = {"run": run, "state": state, "reason": "", "counts": {"records": 3}, "workers": [{"id": "w"}]}
    folder.write_report(report, [], [])
    return report


def found(journal: Journal | None) -> str | None:
    """Close the journal that was found; return its run."""
    if journal is None:
        return None
    journal.close()
    return journal.metadata.run


def test_the_latest_run_that_was_cut_off_is_found_and_its_journal_is_open(folder):
    leave(folder, FIRST)
    leave(folder, SECOND)
    leave(folder, THIRD, "stopped")
    journal = find_cut_off(folder)
    assert journal is not None
    with closing(journal):
        assert journal.metadata.run == SECOND
        with pytest.raises(JournalInUseError):
            find_cut_off(folder)
    assert found(find_to_resume(folder, THIRD)) == THIRD, "those that were passed over are closed"


@pytest.mark.parametrize("state", ["stopped", "failed", "completed"])
def test_a_run_that_has_ended_was_not_cut_off(folder, state):
    leave(folder, FIRST, state)
    leave_report(folder, SECOND)
    assert find_cut_off(folder) is None


def test_in_a_new_folder_nothing_was_cut_off(folder):
    assert find_cut_off(folder) is None
    assert past_runs(folder, None) == []


def test_a_journal_that_cannot_be_read_may_be_of_a_run_that_was_cut_off(folder):
    leave(folder, FIRST)
    path = leave(folder, SECOND, "stopped")
    path.write_bytes(path.read_bytes()[:4096])
    with pytest.raises(JournalError, match=re.escape(str(path))):
        find_cut_off(folder)


@pytest.mark.parametrize(
    ("state", "last"), [("running", THIRD), ("stopped", THIRD), ("failed", THIRD), ("completed", SECOND)]
)
def test_the_last_run_that_was_not_completed_can_be_resumed(folder, state, last):
    leave(folder, FIRST)
    leave(folder, SECOND, "failed")
    leave(folder, THIRD, state)
    assert found(find_to_resume(folder, "last")) == last


NO_LETTERS = OutcomesRecorded("a", RangeSet([(0, 10)]), ())


def letters(*positions: int, state: RecordState = RecordState.REJECTED) -> OutcomesRecorded:
    """Return the outcomes of ten records: these dead letters, and the others delivered."""
    every = tuple(letter_group(DeadLetter(at, state, 2, 422, "HTTP 422", "a")) for at in positions)
    return OutcomesRecorded("a", RangeSet([(0, 10)]).minus(RangeSet.of(positions)), every, 12, 0)


def leave_with(
    folder: StateFolder, run: str, entry: OutcomesRecorded, state: str = "completed", **changed: Any
) -> Path:
    """Create the journal of a run of ten records with these outcomes; if it is completed, it is marked as reported."""
    path = leave(folder, run, state, **{"records": 10, "told": state == "completed"} | changed)
    with closing(Journal.open(path)) as journal:
        journal.write([entry])
    return path


AT_MOST_ONCE = replace(METADATA.terms, run=FIRST, policy="at-most-once")


def test_a_completed_run_that_was_told_of_was_not_cut_off_and_is_not_resumed(folder):
    leave_with(folder, FIRST, letters(3))
    assert find_cut_off(folder, unattended=True) is None
    with pytest.raises(ResumeError, match=r"each was completed, .* add --traffic-resend dead-letters"):
        find_to_resume(folder, "last")
    with pytest.raises(ResumeError, match=f"--traffic-resume {FIRST} --traffic-resend dead-letters"):
        find_to_resume(folder, FIRST)
    with pytest.raises(ResumeError, match=r"None can be\."):
        find_to_resume(folder, SECOND)
    assert read(folder.journal_path(FIRST))[1].told, "and its journal is free"


def test_a_completed_run_that_nobody_was_told_of_is_found_by_an_unattended_master(folder):
    leave_with(folder, FIRST, letters(3), told=False)
    assert find_cut_off(folder) is None
    assert found(find_cut_off(folder, unattended=True)) == FIRST
    leave_cut_off(folder)
    assert find_cut_off(folder, unattended=True) is None, "whoever wants none has been told of it"
    assert read(folder.journal_path(FIRST))[1].state == "completed"


@pytest.mark.parametrize(
    ("entry", "state", "terms", "last"),
    [
        (letters(3), "completed", {}, SECOND),
        (letters(3, state=RecordState.IN_DOUBT), "completed", {}, SECOND),
        (letters(3), "stopped", {}, SECOND),
        (OutcomesRecorded("a", RangeSet([(0, 4)]), ()), "failed", {}, SECOND),
        (NO_LETTERS, "running", {}, SECOND),
        (letters(3), "completed", {"policy": "at-most-once"}, SECOND),
        (letters(3, state=RecordState.IN_DOUBT), "completed", {"policy": "at-most-once"}, FIRST),
        (letters(3, state=RecordState.IN_DOUBT), "stopped", {"policy": "at-most-once"}, FIRST),
        (NO_LETTERS, "completed", {}, FIRST),
        (NO_LETTERS, "stopped", {}, FIRST),
    ],
)
def test_the_last_run_that_has_something_to_send_is_found_for_its_dead_letters(folder, entry, state, terms, last):
    leave_with(folder, FIRST, letters(3))
    leave_with(folder, SECOND, entry, state, terms=replace(METADATA.terms, run=SECOND, **terms))
    assert found(find_to_resume(folder, "last", resend=True)) == last
    if last == SECOND:
        assert found(find_to_resume(folder, SECOND, resend=True)) == SECOND
    else:
        with pytest.raises(ResumeError, match=f"nothing of run {SECOND} can be sent again: "):
            find_to_resume(folder, SECOND, resend=True)


def test_where_nothing_can_be_sent_again_that_is_said(folder):
    with pytest.raises(ResumeError, match="has anything that can be sent again"):
        find_to_resume(folder, "last", resend=True)
    leave_with(folder, FIRST, letters(3, 4, state=RecordState.IN_DOUBT), terms=AT_MOST_ONCE)
    leave_report(folder, SECOND)
    with pytest.raises(ResumeError, match="has anything that can be sent again"):
        find_to_resume(folder, "last", resend=True)
    with pytest.raises(ResumeError, match=r"2 records in doubt may have been sent, and under at-most-once nothing is"):
        find_to_resume(folder, FIRST, resend=True)
    with pytest.raises(ResumeError, match=f"nothing of run {SECOND} can be sent again: all of it was delivered"):
        find_to_resume(folder, SECOND, resend=True)


@pytest.mark.parametrize(("policy", "again"), [("at-least-once", {3, 4, 7}), ("at-most-once", {3, 4})])
def test_dead_letters_are_pending_in_a_run_that_is_recovered_for_them(folder, dataset, policy, again):
    doubt = letter_group(DeadLetter(7, RecordState.IN_DOUBT, 1, 0, "lost", "b"))
    booked = replace(letters(3, 4), delivered=RangeSet([(0, 3)]))
    terms = replace(AT_MOST_ONCE, policy=policy)
    path = leave_with(
        folder, FIRST, replace(booked, letters=(*booked.letters, doubt)), digest=dataset.digest, terms=terms
    )
    with closing(Journal.open(path)) as journal:
        left = recover(journal, dataset, resend=DEAD_LETTERS)
        assert len(list(journal.entries())) == 1, "the journal is told when the run goes on"
    check_ledger(left.run.ledger)
    assert set(left.reopened.positions.members()) == set(left.run.ledger.prior_attempts.former) == again
    assert left.run.ledger.unsettled == 10 - 3 - 3 + len(again)
    assert left.held == {}


@pytest.mark.parametrize(("which", "again"), [("422", {3, 4}), ("409", {5}), ("422-dc2240b4", {3, 4})])
def test_the_dead_letters_of_a_status_or_of_a_group_are_recovered_by_themselves(folder, dataset, which, again):
    other = letter_group(DeadLetter(5, RecordState.REJECTED, 1, 409, "HTTP 409", "b"))
    booked = replace(letters(3, 4), delivered=RangeSet([(0, 3)]))
    path = leave_with(folder, FIRST, replace(booked, letters=(*booked.letters, other)), digest=dataset.digest)
    with closing(Journal.open(path)) as journal:
        left = recover(journal, dataset, resend=which)
        assert set(left.reopened.positions.members()) == again
        check_ledger(left.run.ledger)
        with pytest.raises(ResumeError, match=r"nothing of the dead letters 499 .* there are none. Its groups: 422-"):
            recover(journal, dataset, resend="499")


def test_the_past_runs_say_how_many_dead_letters_can_be_sent_again(folder):
    counts = {"records": 9, "delivered": 4, "rejected": 3, "in_doubt": 2}
    rows = [
        (FIRST, "completed", "at-least-once", True, (False, 5)),
        (SECOND, "completed", "at-most-once", True, (False, 3)),
        (THIRD, "stopped", "at-least-once", True, (True, 5)),
        (RUNS[3], "completed", "at-least-once", False, (False, 0)),
    ]
    for run, state, policy, kept, _ in rows:
        report = {"run": run, "state": state, "policy": policy, "counts": counts, "ended": "2026-01-03T00:00:00Z"}
        folder.write_report(report, [], [])
        if kept:
            leave(folder, run, state, ended="2026-01-03T00:00:00Z", told=True)
    # Resumed for its dead letters, cut off, and left: its report is older than the resumption.
    folder.write_report({**report, "run": RUNS[4]}, [], [])
    leave(folder, RUNS[4], "stopped", ended="2026-01-04T00:00:00Z")
    found = {row["run"]: (row["resumable"], row["resendable"]) for row in past_runs(folder, None)}
    assert found == {**{run: said for run, *_, said in rows}, RUNS[4]: (True, None)}


def test_a_completed_run_whose_journal_is_kept_is_deleted_in_its_turn(folder):
    for run in RUNS[:3]:
        leave_with(folder, run, letters(3))
    prune(folder, 1, 0, None)
    assert folder.runs() == [THIRD]


@pytest.mark.parametrize("state", ["running", "stopped", "failed", "completed"])
def test_a_run_can_be_resumed_by_its_id_as_long_as_its_journal_is_there(folder, state):
    leave(folder, FIRST, state)
    leave(folder, SECOND)
    assert found(find_to_resume(folder, FIRST)) == FIRST


@pytest.mark.parametrize("wanted", [THIRD, "20991231-000000-abcd", "../runs/" + FIRST, "", "latest"])
def test_a_run_that_is_not_there_is_refused_with_those_that_are(folder, wanted):
    leave(folder, FIRST)
    leave(folder, SECOND, "stopped")
    leave_report(folder, THIRD)
    with pytest.raises(ResumeError) as caught:
        find_to_resume(folder, wanted)
    assert str(caught.value) == (
        f"no run {wanted!r} in {folder.path} can be resumed. Those that can be: {SECOND}, {FIRST}."
    )


def test_where_nothing_can_be_resumed_that_is_said(folder):
    leave(folder, FIRST, "completed")
    with pytest.raises(ResumeError, match="each was completed, or there is none"):
        find_to_resume(folder, "last")
    folder.remove_run(FIRST)
    with pytest.raises(ResumeError, match=r"None can be\."):
        find_to_resume(folder, FIRST)


def test_runs_that_were_cut_off_are_left_as_stopped_and_others_as_they_are(folder):
    paths = [leave(folder, FIRST), leave(folder, SECOND, "failed"), leave(folder, THIRD)]
    leave_cut_off(folder)
    states = [read(path)[1] for path in paths]
    assert [one.state for one in states] == ["stopped", "failed", "stopped"]
    assert [bool(one.ended) for one in states] == [True, False, True]
    assert found(find_to_resume(folder, FIRST)) == FIRST, "a person may still want it"


def test_a_damaged_journal_is_put_aside_and_kept(folder, caplog):
    path = leave(folder, SECOND)
    data = path.read_bytes()[:4096]
    path.write_bytes(data)
    sound = leave(folder, FIRST)
    leave_cut_off(folder)
    assert not path.exists()
    assert path.with_name("journal.unusable").read_bytes() == data
    assert str(path.with_name("journal.unusable")) in caplog.text
    assert read(sound)[1].state == "stopped"
    assert find_cut_off(folder) is None


def test_a_journal_that_another_master_has_open_is_left_alone(folder):
    with closing(Journal.open(leave(folder, FIRST))) as journal:
        with pytest.raises(JournalInUseError):
            leave_cut_off(folder)
        assert list(journal.entries()) == []
    assert found(find_cut_off(folder)) == FIRST


@pytest.fixture
def dataset(tmp_path):
    made = Dataset.open(written(tmp_path, json.dumps([{"n": n} for n in range(10)])))
    yield made
    made.close()


def test_a_run_is_recovered_with_its_terms_its_order_and_its_account(folder, dataset):
    path = leave(folder, FIRST, records=10, digest=dataset.digest, seed=5)
    with closing(Journal.open(path)) as journal:
        journal.write([Leased(1, "a", RangeSet([(0, 6)])), OutcomesRecorded("a", RangeSet([(0, 4)]), (), 5, 1)])
        left = recover(journal, dataset)
    run, held = left.run, left.held
    assert not left.reopened.positions
    check_ledger(run.ledger)
    assert (run.config, run.dataset) == (metadata(FIRST).terms, dataset)
    assert (run.order.kind, run.order.seed) == ("random", 5)
    assert (run.ledger.counts, run.attempts, run.resent) == ([6, 0, 4, 0, 0], {"a": 5}, {"a": 1})
    assert held == {"a": RangeSet([(4, 6)])}


@pytest.mark.parametrize("changed", [{"records": 11}, {"digest": "ab" * 32}])
def test_another_file_is_refused_with_both_and_a_remedy(folder, dataset, changed):
    meant = {"records": 10, "digest": dataset.digest, **changed}
    with closing(Journal.open(leave(folder, FIRST, **meant))) as journal, pytest.raises(ResumeError) as caught:
        recover(journal, dataset)
    said = str(caught.value)
    assert said.startswith(
        f"{dataset.file} is not the file that run {FIRST} began with: 10 records, SHA-256 {dataset.digest[:12]}..., "
        f"not {meant['records']}, {meant['digest'][:12]}.... Put data/ñ.json back as it was, or leave that run"
    )
    assert "--traffic-resume no" in said


def test_a_journal_that_contradicts_itself_is_refused(folder, dataset):
    path = leave(folder, FIRST, records=10, digest=dataset.digest)
    with closing(Journal.open(path)) as journal:
        journal.write([OutcomesRecorded("a", RangeSet([(0, 4)]), ()), OutcomesRecorded("b", RangeSet([(3, 5)]), ())])
        with pytest.raises(JournalError, match=r"contradicts itself \(positions 3-4.*--traffic-resume no"):
            recover(journal, dataset)


def test_the_past_runs_are_listed_the_latest_first(folder):
    resumed = (Resumption("2026-01-02T04:00:00Z", 7),)
    leave(folder, FIRST, resumed=resumed)
    report = leave_report(folder, SECOND)
    leave(folder, THIRD, "stopped", ended="2026-01-03T00:00:00Z")
    leave_report(folder, THIRD, "stopped")
    leave(folder, RUNS[3])
    folder.run_folder(RUNS[4]).mkdir()
    rows = past_runs(folder, RUNS[3])
    assert [row["run"] for row in rows] == [THIRD, SECOND, FIRST], "without the live run, and one that left nothing"
    assert [(row["state"], row["resumable"]) for row in rows] == [
        ("stopped", True),
        ("completed", False),
        ("cut off", True),
    ]
    assert rows[1] == summarise(report, resumable=False)
    assert (rows[1]["counts"], "workers" in rows[1]) == ({"records": 3}, False)
    cut_off = rows[2]
    assert cut_off["reason"] == "its master ended before the run did"
    assert cut_off["dataset"] == {"file": "data/ñ.json", "records": 1000, "digest": f"sha256:{METADATA.digest}"}
    assert (cut_off["order"], cut_off["seed"], cut_off["policy"]) == ("random", 7, "at-least-once")
    assert cut_off["resumed"] == [{"at": "2026-01-02T04:00:00Z", "settled": 7}]


def test_a_run_of_which_only_a_damaged_journal_is_left_is_listed_with_the_reason(folder):
    path = leave(folder, FIRST)
    path.write_bytes(b"")
    (row,) = past_runs(folder, None)
    assert (row["run"], row["state"], row["resumable"]) == (FIRST, "unknown", False)
    assert str(path) in row["reason"]


def test_a_report_that_is_no_json_does_not_hide_the_journal(folder):
    leave(folder, FIRST, "failed")
    (folder.run_folder(FIRST) / "report.json").write_text("{")
    (row,) = past_runs(folder, None)
    assert (row["state"], row["resumable"]) == ("failed", True)


def test_the_latest_runs_are_kept_and_the_others_deleted(folder, caplog):
    caplog.set_level("INFO", "traffic.runs.retention")
    for run in RUNS:
        leave_report(folder, run)
    prune(folder, 2, 0, None)
    assert folder.runs() == [RUNS[4], RUNS[3]]
    assert f"the files of run {FIRST} were deleted: the latest 2 are kept" in caplog.text


def test_runs_beyond_an_age_are_deleted(folder, caplog):
    caplog.set_level("INFO", "traffic.runs.retention")
    for days, run in enumerate(RUNS):
        leave_report(folder, run)
        when = time.time() - days * DAY_S - 60
        os.utime(folder.run_folder(run), (when, when))
    prune(folder, 100, 0, None)
    assert len(folder.runs()) == 5, "0: whatever their age"
    prune(folder, 100, 3, None)
    assert folder.runs() == [THIRD, SECOND, FIRST]
    assert "were deleted: runs are kept for 3 days" in caplog.text


def test_a_run_that_is_live_or_was_cut_off_is_never_deleted(folder):
    leave(folder, FIRST, "stopped")
    leave(folder, SECOND)
    damaged = leave(folder, THIRD, "stopped")
    damaged.write_bytes(damaged.read_bytes()[:4096])
    leave_report(folder, RUNS[3])
    with closing(Journal.open(leave(folder, RUNS[4], "stopped"))):
        for run in RUNS:
            os.utime(folder.run_folder(run), (0, 0))
        prune(folder, 1, 1, RUNS[3])
        assert folder.runs() == [RUNS[4], RUNS[3], THIRD, SECOND], "in use, live, of unknown state, cut off"
    assert found(find_to_resume(folder, SECOND)) == SECOND
