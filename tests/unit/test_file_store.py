"""Names that files may be sent under, what is offered as a traffic file, and what is left of an upload that is not."""

import os
import time

import pytest

from traffic.master.web.file_store import FileStore, NameRefusedError, looks_like_traffic, plain_name


@pytest.mark.parametrize(
    "name",
    [
        "a.json",
        "ñandú.jsonl",
        "流量.csv",
        "трафик.json.gz",
        "with space.csv",
        "a" * 200,
        "é" * 100,
        "a..json",
        "می\N{ZERO WIDTH NON-JOINER}خواهم.json",
    ],
)
def test_a_plain_name_of_any_script_is_kept(name: str) -> None:
    assert plain_name(name) == name


def test_a_name_is_kept_composed_however_the_sender_spells_it() -> None:
    assert plain_name("n\N{COMBINING TILDE}.json") == "ñ.json"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden.json",
        "../up.json",
        "a/b.json",
        "a\\b.json",
        "/etc/passwd",
        "a\0.json",
        "a\n.json",
        "a\x7f.json",
        "a\N{RIGHT-TO-LEFT OVERRIDE}nosj.exe",
        "a\N{LINE SEPARATOR}.json",
        "not UTF-8 \N{REPLACEMENT CHARACTER}.json",
        "\ud800.json",
        " a.json",
        "a.json ",
        "a" * 201,
        "é" * 101,
    ],
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(NameRefusedError, match="a file's name must"):
        plain_name(name)


@pytest.mark.parametrize("name", ["a.json", "a.JSONL", "a.ndjson", "a.csv", "a.json.gz", "a.CSV.zst", "a.b.json"])
def test_what_is_called_as_traffic_files_are_is_offered(name: str) -> None:
    assert looks_like_traffic(name)


@pytest.mark.parametrize(
    "name", ["a", "json", "a.txt", "a.gz", "a.json.bak", "a.json.zip", "report.html", "a.gz.json.md"]
)
def test_anything_else_is_not(name: str) -> None:
    assert not looks_like_traffic(name)


@pytest.fixture
def shelf(tmp_path) -> FileStore:
    (tmp_path / "data").mkdir()
    return FileStore(tmp_path / "data", tmp_path / "state", {})


def test_only_files_are_listed_each_with_where_it_is_from(shelf: FileStore, tmp_path) -> None:
    for name in ("b.json", "readme.md", ".hidden.json"):
        (tmp_path / "data" / name).write_text("[{}]")
    (tmp_path / "data" / "folder.json").mkdir()
    (tmp_path / "data" / "dangling.json").symlink_to("nowhere")
    shelf.uploads.mkdir(parents=True)
    (shelf.uploads / "A, of any name").write_text("[{}]")
    found = shelf.listed()
    assert [(row["name"], row["uploaded"], row["bytes"]) for row in found] == [
        ("A, of any name", True, 4),
        ("b.json", False, 4),
    ]
    assert found[1]["path"] == str(tmp_path / "data" / "b.json")
    assert found[1]["records"] is None


def test_folders_that_are_not_there_hold_nothing(tmp_path) -> None:
    assert FileStore(tmp_path / "no", tmp_path / "neither", {}).listed() == []


def test_a_draft_that_is_not_put_leaves_nothing(shelf: FileStore) -> None:
    shelf.room()
    with shelf.draft("a.json") as draft:
        draft.write_text("[{")
    assert list(shelf.uploads.iterdir()) == []


def test_a_draft_is_not_listed_and_has_its_records_once_it_is_put(shelf: FileStore) -> None:
    shelf.room()
    with shelf.draft("a.json") as draft:
        draft.write_text("[{},{}]")
        assert shelf.listed() == []
        path = shelf.put(draft, 2)
    assert path == shelf.uploads / "a.json"
    assert [(row["name"], row["records"]) for row in shelf.listed()] == [("a.json", 2)]


def test_a_file_that_was_changed_since_is_not_said_to_have_the_records_of_before(shelf: FileStore) -> None:
    shelf.room()
    with shelf.draft("a.json") as draft:
        draft.write_text("[{},{}]")
        path = shelf.put(draft, 2)
    path.write_text("[{}]")
    assert shelf.listed()[0]["records"] is None


def test_what_a_killed_master_left_half_sent_is_deleted_and_what_is_under_way_is_not(shelf: FileStore) -> None:
    shelf.room()
    old, new = shelf.uploads / ".incoming-old", shelf.uploads / ".incoming-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "a.json").write_text("[{")
    hours_ago = time.time() - 7200
    os.utime(old / "a.json", (hours_ago, hours_ago))
    os.utime(old, (hours_ago, hours_ago))
    with shelf.draft("b.json"):
        assert not old.exists()
        assert new.exists()
