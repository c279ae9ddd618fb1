"""Find a run's folder by what a person says, and read its report."""

import json
from pathlib import Path
from typing import Any

from traffic.errors import RefusedError
from traffic.ownership import REPORT
from traffic.runs.state_dir import StateFolder

LAST = "last"


def folder_of(run: str, state: Path) -> Path:
    """Return the folder, or the file, that is meant: by its path, by a run's id, or `last`. RefusedError if none is."""
    path = Path(run)
    if path.exists() and (path.is_file() or any(path.iterdir())):
        return path
    runs = StateFolder(state).runs() if state.is_dir() else []
    if run == LAST and runs:
        return StateFolder(state).run_folder(runs[0])
    if run in runs:
        return StateFolder(state).run_folder(run)
    there = f"its runs are {', '.join(runs[:5])}" if runs else "it has none"
    raise RefusedError(f"there is no run {run!r} in the state folder {str(state)!r}: {there}")


def report_in(folder: Path) -> dict[str, Any]:
    """Return the report in a run's folder; an empty one if there is none, or it cannot be read."""
    try:
        made: dict[str, Any] = json.loads((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return {}
    return made
