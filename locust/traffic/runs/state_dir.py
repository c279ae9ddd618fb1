"""Read and write the state folder, which has what is left of each run.

report.json                     the latest delivery report
runs/<run id>/report.json       each run's
runs/<run id>/journal.sqlite    its journal, until every record is delivered
runs/<run id>/dead-letters.jsonl  its dead letters, one JSON object a line
runs/<run id>/unsent.txt        the indexes that were never sent, one a line
runs/<run id>/junit.xml         the report for CI
runs/<run id>/results.csv.zst   a row for each attempt, if the run wants them

`traffic.ownership` says how a folder is recognised as ours, and what of it may be deleted.
"""

import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from traffic import ownership
from traffic.errors import RefusedError
from traffic.ownership import JOURNAL, JUNIT, REPORT, RUN_ID

# Bytes that a disk must have room for, or it has none for a run.
_ROOM = 1 << 16


class StateError(RefusedError):
    """The state folder cannot be used."""


class StateFolder:
    """One state folder. Files are written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Create the folder, and mark it as ours. StateError if it is somebody else's, or cannot be written."""
        try:
            ownership.claim(self.path)
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(bytes(_ROOM))
        except ownership.ForeignError as error:
            raise StateError(str(error)) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            what = f"the state folder {str(self.path.absolute())!r} cannot be written ({reason})"
            raise StateError(
                f"{what}. Name another with --traffic-state-dir, or make room there, or give this user the right."
            ) from error

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run. ValueError if `run` is no run id."""
        if not RUN_ID.fullmatch(run):
            raise ValueError(f"{run!r} is no run id")
        return self.path / "runs" / run

    def journal_path(self, run: str) -> Path:
        """Return the path of a run's journal. ValueError if `run` is no run id."""
        return self.run_folder(run) / JOURNAL

    def is_ours(self) -> bool:
        """Return whether the folder is there and ours, so that its files may be deleted; mark an earlier release's."""
        with suppress(ownership.ForeignError, OSError, ValueError):
            if self.path.is_dir():
                ownership.claim(self.path)
                return True
        return False

    def runs(self) -> list[str]:
        """Return the ids of the runs that left a journal or a report, the latest first; ignore other folders."""
        try:
            folders = list((self.path / "runs").iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((folder.name for folder in folders if ownership.has_run(folder)), reverse=True)

    def read_report(self, run: str) -> dict[str, Any] | None:
        """Return a run's report, None if it has none. ValueError if `run` is no run id."""
        return ownership.read_report(self.run_folder(run))

    def report_text(self, run: str) -> bytes:
        """Return a report as it was written. ValueError if `run` is no run id, FileNotFoundError if there is none."""
        if self.read_report(run) is None:
            raise FileNotFoundError(run)
        return (self.run_folder(run) / REPORT).read_bytes()

    def remove_run(self, run: str) -> list[str]:
        """Delete what is kept of a run. If its folder has files that we did not write, delete none; return their names.

        ValueError if `run` is no run id, OSError if it cannot be deleted.
        """
        folder = self.run_folder(run)
        return ownership.remove_run(folder.parent, run)

    def write_report(
        self, report: dict[str, Any], dead_letters: Iterable[dict[str, Any]], unsent: Iterable[int], junit: str = ""
    ) -> Path:
        """Write a run's report and lists; return the report's path. OSError if the disk refuses.

        `junit` is the report for CI; empty: there is none.
        """
        folder = self.run_folder(report["run"])
        folder.mkdir(parents=True, exist_ok=True)
        letters = map(json.JSONEncoder(ensure_ascii=False).encode, dead_letters)
        _write(folder / "dead-letters.jsonl", letters)
        _write(folder / "unsent.txt", map(str, unsent))
        if junit:
            _write(folder / JUNIT, [junit])
        text = json.dumps(report, ensure_ascii=False, indent=2)
        _write(folder / REPORT, [text])
        _write(self.path / REPORT, [text])
        return folder / REPORT


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write lines to a file that appears under its name only when it is whole and on disk."""
    draft = path.with_name(path.name + ".part")
    try:
        # A file's name need not be UTF-8; the backslash escapes for its other bytes are right in JSON, too.
        with draft.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(line + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
