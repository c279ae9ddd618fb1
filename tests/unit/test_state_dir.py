"""The state folder has whole files or none."""

import json
import os
import stat
import tempfile
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from traffic.runs.state_dir import StateError, StateFolder

REPORT: dict[str, Any] = {"run": "20260102-030405-abcd", "state": "completed", "dataset": {"file": "ñ.json"}}
LETTERS: list[dict[str, Any]] = [{"index": 3, "record": '{"msg": "ñ\\n"}'}, {"index": 1, "record": None}]


def held(folder: Path) -> dict[str, str]:
    """Return every file below a folder, with its text."""
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_a_report_and_its_lists_are_written_for_the_run_and_the_report_as_the_latest(tmp_path):
    path = StateFolder(tmp_path).write_report(REPORT, LETTERS, [7, 0])
    assert path == tmp_path / "runs" / "20260102-030405-abcd" / "report.json"
    files = held(tmp_path)
    assert json.loads(files.pop("report.json")) == REPORT
    assert json.loads(files.pop("runs/20260102-030405-abcd/report.json")) == REPORT
    lines = files.pop("runs/20260102-030405-abcd/dead-letters.jsonl").splitlines()
    assert [json.loads(line) for line in lines] == LETTERS
    assert files.pop("runs/20260102-030405-abcd/unsent.txt") == "7\n0\n"
    assert files == {}, "and nothing else"


def test_texts_are_written_as_they_are_not_escaped(tmp_path):
    StateFolder(tmp_path).write_report(REPORT, LETTERS, [])
    assert '"ñ.json"' in held(tmp_path)["report.json"]


def test_a_run_without_a_loss_has_empty_lists(tmp_path):
    StateFolder(tmp_path).write_report(REPORT, [], [])
    files = held(tmp_path / "runs" / REPORT["run"])
    assert (files["dead-letters.jsonl"], files["unsent.txt"]) == ("", "")


def test_the_latest_report_is_replaced_and_those_of_earlier_runs_stay(tmp_path):
    folder = StateFolder(tmp_path)
    folder.write_report(REPORT, [], [])
    folder.write_report({"run": "second"}, [], [])
    files = held(tmp_path)
    assert json.loads(files["report.json"]) == {"run": "second"}
    assert json.loads(files[f"runs/{REPORT['run']}/report.json"]) == REPORT


def test_a_file_name_that_is_not_utf8_does_not_cost_the_report(tmp_path):
    odd = os.fsdecode(b"caf\xe9.json")
    StateFolder(tmp_path).write_report({"run": "odd", "dataset": {"file": odd}}, [{"reason": odd}], [])
    assert json.loads(held(tmp_path)["report.json"])["dataset"]["file"] == odd
    assert json.loads(held(tmp_path)["runs/odd/dead-letters.jsonl"])["reason"] == odd


def failing(_handle):
    raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_old_report_whole_and_nothing_half_done(tmp_path, monkeypatch):
    folder = StateFolder(tmp_path)
    folder.write_report(REPORT, LETTERS, [1])
    before = held(tmp_path)
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space left"):
        folder.write_report({**REPORT, "state": "other"}, [], [])
    assert held(tmp_path) == before


def test_a_list_that_breaks_while_it_is_written_leaves_the_old_one_whole(tmp_path):
    folder = StateFolder(tmp_path)
    folder.write_report(REPORT, LETTERS, [1])
    before = held(tmp_path)

    def broken():
        yield {"index": 9}
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        folder.write_report({**REPORT, "state": "other"}, broken(), [])
    assert held(tmp_path) == before


def test_a_file_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def watching(handle):
        sync(handle)
        synced.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", watching)
    path = StateFolder(tmp_path).write_report(REPORT, [], [])
    assert {path.stat().st_ino, (tmp_path / "report.json").stat().st_ino} <= set(synced)
    assert stat.S_ISREG(path.stat().st_mode)


GOOD_IDS = ["20260102-030405-abcd", "a", "A" * 64, "0-"]
BAD_IDS = ["", ".", "..", "../x", "a/b", "a b", "-a", "a.b", "A" * 65, "ñ", "a\n", "a\0", "~"]


@pytest.mark.parametrize("run", GOOD_IDS)
def test_a_run_id_names_a_folder(tmp_path, run):
    assert StateFolder(tmp_path).run_folder(run) == tmp_path / "runs" / run


@pytest.mark.parametrize("run", BAD_IDS)
def test_what_is_no_run_id_reaches_no_folder(tmp_path, run):
    with pytest.raises(ValueError, match="is no run id"):
        StateFolder(tmp_path).run_folder(run)
    with pytest.raises(ValueError, match="is no run id"):
        StateFolder(tmp_path).write_report({"run": run}, [], [])
    assert held(tmp_path) == {}


@pytest.mark.parametrize("run", GOOD_IDS)
def test_a_runs_journal_is_beside_its_report(tmp_path, run):
    assert StateFolder(tmp_path).journal_path(run) == tmp_path / "runs" / run / "journal.sqlite"


@pytest.mark.parametrize("run", BAD_IDS)
def test_what_is_no_run_id_has_no_journal_and_cannot_be_removed(tmp_path, run):
    folder = StateFolder(tmp_path / "state")
    folder.write_report(REPORT, [], [])
    for act in (folder.journal_path, folder.remove_run):
        with pytest.raises(ValueError, match="is no run id"):
            act(run)
    assert folder.runs() == [REPORT["run"]]


def test_the_runs_are_those_with_a_folder_of_their_name_the_latest_first(tmp_path):
    folder = StateFolder(tmp_path)
    assert folder.runs() == []
    for run in ("20260102-030405-abcd", "20260102-030406-0000", "20251231-235959-ffff"):
        folder.write_report({"run": run}, [], [])
    for other in (".hidden", "a b", "lost+found", "-x"):
        (tmp_path / "runs" / other).mkdir()
    assert folder.runs() == ["20260102-030406-0000", "20260102-030405-abcd", "20251231-235959-ffff"]


def test_a_run_that_is_removed_leaves_the_others_and_the_latest_report(tmp_path):
    folder = StateFolder(tmp_path)
    folder.write_report({"run": "other"}, [], [])
    folder.write_report(REPORT, LETTERS, [1])
    folder.journal_path(REPORT["run"]).write_bytes(b"x")
    folder.remove_run(REPORT["run"])
    assert folder.runs() == ["other"]
    assert json.loads(held(tmp_path)["report.json"]) == REPORT


def test_preparing_makes_the_folder_and_leaves_nothing_but_its_mark_there(tmp_path):
    StateFolder(tmp_path / "a" / "b").prepare()
    StateFolder(tmp_path / "a" / "b").prepare()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["TRAFFIC-STATE"]


def test_a_folder_of_somebody_elses_is_refused(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(StateError, match=r"is no state folder: it holds 'report\.json', and no TRAFFIC-STATE"):
        StateFolder(tmp_path).prepare()
    assert held(tmp_path) == {"report.json": "{}"}


def test_a_folder_that_is_a_file_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "state").write_text("x")
    with pytest.raises(StateError) as caught:
        StateFolder(tmp_path / "state").prepare()
    assert str(caught.value) == (
        f"the state folder '{tmp_path}/state' cannot be written (File exists). "
        "Name another with --traffic-state-dir, or make room there, or give this user the right."
    )


def test_a_name_that_no_folder_can_have_is_refused(tmp_path):
    with pytest.raises(StateError, match="cannot be written"):
        StateFolder(tmp_path / "a\0b").prepare()


def test_a_folder_on_a_full_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FileIO("/dev/full", "w"))
    with pytest.raises(StateError, match=r"\(No space left on device\)\. .* or make room there"):
        StateFolder(tmp_path).prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StateError, match="Permission denied"):
        StateFolder(tmp_path).prepare()
