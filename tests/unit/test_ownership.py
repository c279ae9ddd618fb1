"""A folder is ours, an earlier release's or somebody else's; only what we wrote is deleted."""

import json
import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from traffic.dataset.cache import KEPT, STALE_S, Cache
from traffic.dataset.loader import DatasetLoader
from traffic.master.web.file_store import FileStore
from traffic.ownership import MARKER, ForeignError, claim, remove_run
from traffic.runs.history import past_runs
from traffic.runs.journal import Journal
from traffic.runs.retention import prune
from traffic.runs.state_dir import StateFolder
from unit.test_history import FIRST, SECOND, THIRD, leave, leave_report
from unit.test_journal import METADATA

REPORT = {"run": FIRST, "state": "completed", "dataset": {}, "counts": {"records": 1}}


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Return every name below a folder, with its contents."""
    made: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        link = os.readlink(path) if path.is_symlink() else None
        made[str(path.relative_to(folder))] = link or (path.read_bytes() if path.is_file() else None)
    return made


def test_a_folder_that_is_new_or_empty_is_marked_and_used_from_then_on(tmp_path):
    (tmp_path / "empty" / "lost+found").mkdir(parents=True)
    for folder in (tmp_path / "new" / "state", tmp_path / "empty"):
        claim(folder)
        assert (folder / MARKER).read_text().startswith("traffic state folder 1\n")
        (folder / "anything").mkdir()
        claim(folder)


def of_a_replay(folder: Path) -> None:
    """Create what a master leaves behind: runs, the latest report, the cache, an upload, and a failed start."""
    state = StateFolder(folder)
    leave(state, FIRST, "stopped")
    state.write_report(REPORT, [], [])
    leave_report(state, SECOND)
    (folder / "runs" / "20260103-000000-abcdef").mkdir()
    (folder / "runs" / "20260104-000000-abcdef").mkdir()
    (folder / "runs" / "20260104-000000-abcdef" / "journal.unusable").write_bytes(b"spoilt")
    state.write_report(REPORT, [], [])
    of_uploads(folder)


def of_uploads(folder: Path) -> None:
    """Create an uploaded file, and one whose upload was cut off when the master was killed."""
    (folder / "uploads" / ".incoming-x").mkdir(parents=True)
    (folder / "uploads" / "mine, ñ.csv").write_text("n\n1\n")
    DatasetLoader(folder / "uploads" / "mine, ñ.csv", Cache(folder / "cache")).open().close()
    (folder / "cache" / "7-12.part").touch()


def of_a_stack(folder: Path) -> None:
    """Create what scripts/stack.py leaves if its start is refused."""
    folder.mkdir(parents=True)
    for name in ("stack.lock", "messages.db", "messages.db-wal"):
        (folder / name).touch()
    for name in ("stub.log", "locust.log"):
        (folder / name).write_text("x")


@pytest.mark.parametrize("fill", [of_a_replay, of_uploads, of_a_stack])
def test_a_state_folder_of_an_earlier_release_is_marked_and_nothing_else_in_it_changes(tmp_path, fill):
    folder = tmp_path / "state"
    fill(folder)
    (folder / "lost+found").mkdir()
    before = tree(folder)
    claim(folder)
    after = tree(folder)
    assert after.pop(MARKER)
    assert after == before


def a_link(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (folder / name).symlink_to(outside, target_is_directory=True)


FOREIGN = {
    "notes.txt": lambda f: (f / "notes.txt").write_text("x"),
    "report.json": lambda f: (f / "report.json").write_text(json.dumps({"run": 7, "state": "x", "counts": 1})),
    "runs": lambda f: (f / "runs" / "20260102-030405-abcdef" / "weights").mkdir(parents=True),
    "cache": lambda f: [(f / "cache").mkdir(), (f / "cache" / "page.index").touch()],
    "uploads": lambda f: [(f / "uploads").mkdir(), (f / "uploads" / "a.json").touch()],
    "messages.db": lambda f: (f / "messages.db").touch(),
    "stack.lock": lambda f: (f / "stack.lock").write_text("taken"),
    MARKER: lambda f: (f / MARKER).write_text("mine\n"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_that_holds_something_else_is_refused_with_words_and_left_as_it_is(tmp_path, name):
    folder = tmp_path / "state"
    folder.mkdir()
    FOREIGN[name](folder)
    before = tree(tmp_path)
    with pytest.raises(
        ForeignError, match=rf"state' is no state folder: it holds '{name}', and no TRAFFIC-STATE\. Noth"
    ):
        claim(folder)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", [name for name in FOREIGN if name not in ("uploads", "messages.db")])
def test_one_thing_of_somebody_elses_among_ours_is_enough(tmp_path, name):
    folder = tmp_path / "state"
    of_a_replay(folder)
    if (folder / name).is_file():
        (folder / name).unlink()
    if name == "cache":
        (folder / "cache" / "page.index").touch()
    else:
        FOREIGN[name](folder)
    before = tree(folder)
    with pytest.raises(ForeignError, match=f"holds '{name}'"):
        claim(folder)
    assert tree(folder) == before


@pytest.mark.parametrize("name", ["runs", "cache", "uploads"])
def test_a_link_is_no_proof(tmp_path, name):
    folder = tmp_path / "state"
    folder.mkdir()
    a_link(folder, name)
    with pytest.raises(ForeignError, match=f"holds '{name}'"):
        claim(folder)


def test_a_person_can_have_a_folder_used_nevertheless_by_what_the_refusal_says(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ForeignError) as caught:
        claim(tmp_path)
    _, line, *_ = str(caught.value).partition("write the line ")[2].split("'")
    (tmp_path / MARKER).write_text(line + "\n")
    claim(tmp_path)


def test_a_folder_of_a_later_release_is_refused(tmp_path):
    (tmp_path / MARKER).write_text("traffic state folder 2\n")
    with pytest.raises(ForeignError, match=r"is of version 2, and this release knows version 1"):
        claim(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.prepare()
    return made


def test_all_that_a_run_leaves_is_deleted_with_it(folder):
    leave(folder, FIRST, "stopped")
    folder.write_report(REPORT, [{}], [1])
    for name in ("journal.unusable", "journal.sqlite-journal", "journal.sqlite.part", "report.json.part"):
        (folder.run_folder(FIRST) / name).touch()
    assert folder.remove_run(FIRST) == []
    assert folder.runs() == []
    assert not folder.run_folder(FIRST).exists()


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_a_run_beside_which_something_else_lies_stays_whole_and_that_is_said(folder, what, caplog):
    for run in (FIRST, SECOND, THIRD):
        leave_report(folder, run)
    note = folder.run_folder(FIRST) / ("unsent.txt" if what == "link" else "note.md")
    note.unlink(missing_ok=True)
    outside = folder.path.parent / "outside"
    outside.write_text("x")
    {"file": note.touch, "folder": note.mkdir, "link": lambda: note.symlink_to(outside)}[what]()
    before = tree(folder.run_folder(FIRST))
    prune(folder, 1, 0, None)
    assert folder.runs() == [THIRD, FIRST]
    assert tree(folder.run_folder(FIRST)) == before
    assert f"{folder.run_folder(FIRST)} is not deleted: its folder holds '{note.name}'" in caplog.text


def test_a_folder_that_no_journal_and_no_report_gives_to_a_run_is_neither_listed_nor_deleted(folder):
    leave_report(folder, THIRD)
    runs = folder.path / "runs"
    (runs / "empty").mkdir()
    (runs / "other").mkdir()
    (runs / "other" / "report.json").write_text(json.dumps({**REPORT, "run": FIRST}))
    (runs / "copied").mkdir()
    leave_journal_of_another(runs / "copied" / "journal.sqlite")
    (runs / SECOND).symlink_to(folder.run_folder(THIRD), target_is_directory=True)
    before = tree(runs)
    os.utime(runs / "copied", (0, 0))
    prune(folder, 2, 1, None)
    assert tree(runs) == before
    assert "other" not in [row["run"] for row in past_runs(folder, None)]


def leave_journal_of_another(path: Path) -> None:
    with closing(Journal.create(path, METADATA)) as journal:
        journal.write(metadata=journal.metadata)


def test_no_link_leads_a_deletion_out_of_the_folder(folder, tmp_path):
    elsewhere = StateFolder(tmp_path / "elsewhere")
    leave_report(elsewhere, FIRST)
    before = tree(elsewhere.path)
    (folder.path / "runs").symlink_to(elsewhere.path / "runs", target_is_directory=True)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        folder.remove_run(FIRST)
    (folder.path / "runs").unlink()
    (folder.path / "runs").mkdir()
    folder.run_folder(FIRST).symlink_to(elsewhere.run_folder(FIRST), target_is_directory=True)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        remove_run(folder.path / "runs", FIRST)
    assert tree(elsewhere.path) == before


def test_the_cache_deletes_only_what_it_wrote(tmp_path):
    cache = Cache(tmp_path / "cache")
    cache.folder.mkdir()
    long_ago = time.time() - 2 * STALE_S
    for name in ("book.index", "movie.part", "a.records", "b.seen", "c.passed"):
        (cache.folder / name).write_text("x")
        os.utime(cache.folder / name, (long_ago, long_ago))
    for number in range(KEPT + 2):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps([{"n": number}]))
        os.utime(file, (long_ago, long_ago))
        opened = DatasetLoader(file, cache).open()
        opened.close()
    left = sorted(path.name for path in cache.folder.iterdir() if not path.name[:32].isalnum() or len(path.name) < 32)
    assert left == ["a.records", "b.seen", "book.index", "c.passed", "movie.part"]
    assert len(list(cache.folder.glob("*-*.index"))) == KEPT


def test_the_uploads_sweep_deletes_only_half_sent_files(tmp_path):
    shelf = FileStore(tmp_path / "data", tmp_path / "state", {})
    shelf.room()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.json").touch()
    (shelf.uploads / ".incoming-link").symlink_to(outside, target_is_directory=True)
    (shelf.uploads / ".incoming-two").mkdir()
    (shelf.uploads / ".incoming-deep" / "folder").mkdir(parents=True)
    for name in ("a.json", "b.json"):
        (shelf.uploads / ".incoming-two" / name).touch()
    for path in [*shelf.uploads.rglob("*"), outside / "a.json", outside]:
        os.utime(path, (0, 0))
    before = tree(tmp_path)
    with shelf.draft("c.json"):
        pass
    assert tree(tmp_path) == before
