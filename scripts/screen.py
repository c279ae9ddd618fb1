"""Show on a terminal what stack.py has started: the live line of the run, and the report.

The master's output goes through a pipe, so only this process writes to the terminal, and can tidy it up if the master
is killed.
"""

import sys
from typing import Any

from processes import StderrWriter

from traffic.terminal.status_row import StatusRow, is_screen


class LiveLine:
    """Keeps the last row of the terminal on stderr until `finish`."""

    def __init__(self) -> None:
        from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - slow to load

        self._status_row, self._renderer = StatusRow(sys.stderr), TerminalRenderer(sys.stderr)
        self._before, StderrWriter.write = StderrWriter.write, self._status_row.above

    def draw(self, status: dict[str, Any] | None) -> None:
        """Show the status of the run; None: nothing."""
        self._status_row.draw("" if status is None else self._renderer.live_line(status, self._status_row.width))

    def finish(self) -> None:
        """Remove the line, once the master has ended."""
        self._status_row.end()
        StderrWriter.write = self._before


def live_line() -> LiveLine | None:
    """Return a live line; None if stderr is no terminal that can have one."""
    return LiveLine() if is_screen(sys.stderr) else None


def report_on_screen(report: dict[str, Any]) -> str | None:
    """Return the report for people, without the end of its last line; None if stdout is no terminal."""
    if not is_screen(sys.stdout):
        return None
    from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - slow to load

    return TerminalRenderer(sys.stdout).report(report)
