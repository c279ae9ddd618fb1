"""The state folder: what is left of a run on disk.

report.json                     the latest delivery report
runs/<run id>/report.json       each run's
runs/<run id>/journal.sqlite    its journal, until every record is delivered
runs/<run id>/dead-letters.jsonl  its dead letters, one JSON object a line
runs/<run id>/unsent.txt        the indexes that were never sent, one a line
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")

# A disk that has no room for this has none for a run.
_ROOM = 1 << 16


class StateError(Exception):
    """The state folder cannot be used."""


class StateFolder:
    """Writes whole files or none. StateError where the folder cannot be made or written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder; StateError where a file cannot be written into it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(bytes(_ROOM))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            what = f"the state folder {str(self.path.absolute())!r} cannot be written ({reason})"
            raise StateError(
                f"{what}. Name another with --traffic-state-dir, or make room there, or give this user the right."
            ) from error

    def run_folder(self, run: str) -> Path:
        """The folder of a run. ValueError where `run` is no run id."""
        if not RUN_ID.fullmatch(run):
            raise ValueError(f"{run!r} is no run id")
        return self.path / "runs" / run

    def journal_path(self, run: str) -> Path:
        """Where a run's journal is. ValueError where `run` is no run id."""
        return self.run_folder(run) / "journal.sqlite"

    def runs(self) -> list[str]:
        """The ids of the runs that have a folder, the latest first."""
        try:
            names = os.listdir(self.path / "runs")
        except FileNotFoundError:
            return []
        return sorted(filter(RUN_ID.fullmatch, names), reverse=True)

    def remove_run(self, run: str) -> None:
        """Delete all that is kept of a run."""
        shutil.rmtree(self.run_folder(run))

    def write_report(
        self, report: dict[str, Any], dead_letters: Iterable[dict[str, Any]], unsent: Iterable[int]
    ) -> Path:
        """Write a run's report and lists; the report's path. OSError where the disk refuses."""
        folder = self.run_folder(report["run"])
        folder.mkdir(parents=True, exist_ok=True)
        letters = map(json.JSONEncoder(ensure_ascii=False).encode, dead_letters)
        _write(folder / "dead-letters.jsonl", letters)
        _write(folder / "unsent.txt", map(str, unsent))
        text = json.dumps(report, ensure_ascii=False, indent=2)
        _write(folder / "report.json", [text])
        _write(self.path / "report.json", [text])
        return folder / "report.json"


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write lines to a file that appears under its name only when it is whole and on disk."""
    draft = path.with_name(path.name + ".part")
    try:
        # The name of a file need not be UTF-8; escaped by a backslash, what is not is right in JSON, too.
        with draft.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(line + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
