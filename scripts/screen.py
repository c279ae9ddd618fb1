"""What stack.py shows on a terminal: the live line of the run that it has started, and the report.

The master's output goes through a pipe, so that the terminal has one writer alone, which puts it in order whatever
becomes of the master.
"""

import sys
from typing import Any

from processes import StderrWriter

from traffic.terminal.status_row import StatusRow, is_screen


class LiveLine:
    """The last row of the terminal on stderr, from now on until `finish`."""

    def __init__(self) -> None:
        from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - slow to load

        self._status_row, self._renderer = StatusRow(sys.stderr), TerminalRenderer(sys.stderr)
        self._before, StderrWriter.write = StderrWriter.write, self._status_row.above

    def draw(self, status: dict[str, Any] | None) -> None:
        """Show how the run goes; None: nothing."""
        self._status_row.draw("" if status is None else self._renderer.live_line(status, self._status_row.width))

    def finish(self) -> None:
        """Take the line away: the master, and whoever had its end of the pipe, are gone."""
        self._status_row.end()
        StderrWriter.write = self._before


def live_line() -> LiveLine | None:
    """A live line where stderr is a terminal that can have one."""
    return LiveLine() if is_screen(sys.stderr) else None


def report_on_screen(report: dict[str, Any]) -> str | None:
    """The report for people, where stdout is a terminal; without the end of its last line."""
    if not is_screen(sys.stdout):
        return None
    from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - slow to load

    return TerminalRenderer(sys.stdout).report(report)
