"""Decides what in a state folder is ours: by the folder's marker, and by the names of the files that we write there.

The rule that this module guards: nothing that somebody else wrote is overwritten or deleted. A folder is used if it is
new, empty, or has the marker. A folder that an earlier release filled without a marker gets one, if all files in it may
be that release's, and some are a proof of it. Any other folder is refused, and nothing in it is touched.

TRAFFIC-STATE                    the marker
report.json                      the latest delivery report (proof: it can be read as one)
runs/<run id>/                   what a run left (proof: its journal is ours, or its report names it)
cache/                           what is known of traffic files (proof: every name in it is one that the cache makes)
uploads/                         files that came from a browser, under any name
stack.lock, *.log, messages.db*  scripts/stack.py's, which shares the folder (proof: an empty stack.lock)

Symbolic links are never ours: neither a proof nor a deletion follows one.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
MARKER = "TRAFFIC-STATE"
VERSION = 1
_FIRST_LINE = "traffic state folder"
_TEXT = f"""{_FIRST_LINE} {VERSION}
The traffic replayer keeps its runs, reports and uploads in this folder, and deletes its own old runs here.
"""
# All files of a run's folder. A file that is missing here keeps the folder from ever being deleted.
JOURNAL, REPORT, JUNIT, RESULTS = "journal.sqlite", "report.json", "junit.xml", "results.csv.zst"
_OF_RUN = (
    "dead-letters.jsonl",
    "unsent.txt",
    JUNIT,
    RESULTS,
    "journal.unusable",
    f"{JOURNAL}-journal",
    JOURNAL,
    REPORT,
)
_CACHED = re.compile(
    r"\d+-\d+\.part(\.rows\.part)?|([0-9a-f]{64}-.*\.(index|records|passed|times|order|read)|[0-9a-f]{32}\.seen)(\.\d+\.part)?",
    re.DOTALL,
)
_UNKNOWN = len(_OF_RUN)
_LOCK = "stack.lock"
_OF_STACK = ("locust.log", "stub.log", "messages.db", "messages.db-wal", "messages.db-shm", "messages.db-journal")
# File systems and other tools put these anywhere.
_LITTER = ("lost+found", ".gitignore", ".gitkeep", ".DS_Store", f"{MARKER}.part")
_BEGUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4,8}")
_OF_REPORT = {"run", "state", "dataset", "counts"}
# SQLite's file format, 1.3: the magic at 0, the application id at 68.
_SQLITE, _APPLICATION_AT, _APPLICATION = b"SQLite format 3\0", 68, b"TRAF"
_LONGEST_REPORT = 1 << 26


class ForeignError(Exception):
    """A folder that has no marker, and holds files that are not ours; the text names them, and says what to do."""


def claim(folder: Path) -> None:
    """Mark a folder as ours. ForeignError if it is somebody else's, OSError if it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_marked(folder):
        return
    if foreign := _foreign(folder):
        others = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        what = f"{str(folder.absolute())!r} is no state folder: it holds {foreign[0]!r}{others}, and no {MARKER}"
        remedy = "Name a new folder, or an empty one, with --traffic-state-dir (TRAFFIC_STATE_DIR; make's STATE)"
        nevertheless = f"To have this one used, write the line '{_FIRST_LINE} {VERSION}' to a file {MARKER} in it"
        raise ForeignError(f"{what}. Nothing in it was touched. {remedy}. {nevertheless}.")
    draft = folder / f"{MARKER}.part"
    with draft.open("w", encoding="utf-8") as file:
        file.write(_TEXT)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MARKER)


def is_marked(folder: Path) -> bool:
    """Whether a folder has our marker. ForeignError if the marker has another version."""
    path = folder / MARKER
    if not is_file(path):
        return False
    line = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    name, _, version = line.rpartition(" ")
    if name != _FIRST_LINE:
        return False
    if version != str(VERSION):
        what = f"the state folder {str(folder.absolute())!r} is of version {version[:20]}"
        raise ForeignError(f"{what}, and this release knows version {VERSION}. Name another with --traffic-state-dir.")
    return True


def is_file(path: Path) -> bool:
    """Whether a path is a regular file itself, not a link to one."""
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def is_folder(path: Path) -> bool:
    """Whether a path is a folder itself, not a link to one."""
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def is_cached(path: Path) -> bool:
    """Whether a path is a file with a name that the cache makes."""
    return bool(_CACHED.fullmatch(path.name)) and is_file(path)


def read_report(folder: Path) -> dict[str, Any] | None:
    """Return the report of the run that a folder is named for; None if there is none, or it is another run's."""
    report = _read_object(folder / REPORT)
    return report if report is not None and report.get("run") == folder.name else None


def has_run(folder: Path) -> bool:
    """Whether a folder may be a run's, so that it is listed, and a damaged journal in it is reported."""
    named = RUN_ID.fullmatch(folder.name) is not None and is_folder(folder)
    return named and (is_file(folder / JOURNAL) or read_report(folder) is not None)


def remove_run(runs: Path, run: str) -> list[str]:
    """Delete the files of a run and its folder. If it holds others, delete nothing, and return their names.

    OSError if it cannot be deleted, or if a folder of the path is a link.
    """
    with _opened(runs) as parent:
        with _opened(run, parent) as folder:
            # The proofs that the folder is ours are deleted last, in case this is cut short.
            names = sorted(os.listdir(folder), key=_rank)
            if others := [name for name in names if _rank(name) == _UNKNOWN or not _is_regular(name, folder)]:
                return others
            for name in names:
                os.unlink(name, dir_fd=folder)
        os.rmdir(run, dir_fd=parent)
    return []


@contextmanager
def _opened(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """Open a folder. OSError if it is a link."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _is_regular(name: str, folder: int) -> bool:
    return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _rank(name: str) -> int:
    """Return the place of a run's file in the order of deletion."""
    if name in _OF_RUN:
        return _OF_RUN.index(name)
    return -1 if name.endswith(".part") and name.removesuffix(".part") in _OF_RUN else _UNKNOWN


def _foreign(folder: Path) -> list[str]:
    """Return what in an unmarked folder no earlier release wrote; all of it if nothing proves that one did."""
    entries = sorted(path for path in folder.iterdir() if path.name not in _LITTER)
    if foreign := [path.name for path in entries if not _may_be_ours(path)]:
        return foreign
    holding = [path for path in entries if not (is_folder(path) and not os.listdir(path))]
    return [] if any(map(_is_proof, holding)) else [path.name for path in holding]


def _may_be_ours(path: Path) -> bool:
    """Whether an earlier release may have written this, by its name and kind."""
    if path.name in _FOLDERS:
        return is_folder(path) and all(map(_FOLDERS[path.name], path.iterdir()))
    if path.name in (REPORT, _LOCK):
        return is_file(path) and _is_proof(path)
    return path.name in (*_OF_STACK, f"{REPORT}.part") and is_file(path)


def _is_proof(path: Path) -> bool:
    """Whether this path, which may be ours, was certainly written by an earlier release."""
    if path.name == REPORT:
        report = _read_object(path) or {}
        return report.keys() >= _OF_REPORT and RUN_ID.fullmatch(str(report["run"])) is not None
    if path.name == "runs":
        return any(map(_is_run, path.iterdir()))
    return path.name == "cache" or (path.name == _LOCK and path.lstat().st_size == 0)


def _is_run(folder: Path) -> bool:
    """Whether a folder is certainly a run's."""
    return has_run(folder) and (_is_journal(folder / JOURNAL) or read_report(folder) is not None)


def _is_run_or_begun(folder: Path) -> bool:
    """Whether a folder is a run's, or of a run whose master was killed at its start, or set its journal aside."""
    begun = _BEGUN.fullmatch(folder.name) is not None and is_folder(folder)
    return _is_run(folder) or (begun and all(_rank(path.name) != _UNKNOWN for path in folder.iterdir()))


def _is_journal(path: Path) -> bool:
    if not is_file(path):
        return False
    with path.open("rb") as file:
        head = file.read(_APPLICATION_AT + len(_APPLICATION))
    return head.startswith(_SQLITE) and head[_APPLICATION_AT:] == _APPLICATION


def _is_upload(path: Path) -> bool:
    """Whether a path may be in the folder of uploads: a file, or a draft's folder."""
    return is_file(path) or (is_folder(path) and path.name.startswith("."))


def _read_object(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, RecursionError):
        if is_file(path) and path.lstat().st_size <= _LONGEST_REPORT:
            read = json.loads(path.read_bytes())
            return read if isinstance(read, dict) else None
    return None


_FOLDERS: dict[str, Callable[[Path], bool]] = {"runs": _is_run_or_begun, "cache": is_cached, "uploads": _is_upload}
