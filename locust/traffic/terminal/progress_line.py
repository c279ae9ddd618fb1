"""Prints on a terminal how far a command is with a file."""

import sys
import time
from pathlib import Path

PROGRESS_EVERY_S = 1.0


class ProgressLine:
    """Called with how many bytes have been read, and with how many there are; says nothing where nobody looks."""

    def __init__(self, file: Path) -> None:
        self._file, self._due = file, time.monotonic() + PROGRESS_EVERY_S

    def __call__(self, done: int, of: int) -> None:
        """Print a line, at most one a second."""
        if sys.stderr.isatty() and time.monotonic() >= self._due:
            self._due += PROGRESS_EVERY_S
            print(f"reading {self._file}: {100 * done // max(1, of)}%", file=sys.stderr)  # noqa: T201 - a command speaks
