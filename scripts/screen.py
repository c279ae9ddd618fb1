"""The live line of a run that stack.py has started: the master tells how it goes through a pipe, and here it is drawn.

The master's output goes through a pipe of its own, so that the terminal has one writer alone, which puts it in order
whatever becomes of the master.
"""

import json
import os
import sys
import threading
from typing import Any

from plan import ROOT
from processes import StderrWriter

sys.path.append(str(ROOT / "locust"))
from traffic.terminal.status_row import StatusRow, is_screen

VARIABLE = "TRAFFIC_STATUS_FD"


class LiveLine:
    """The last row of the terminal on stderr, from now on until `finish`. Give `variables` and `fd` to the master."""

    def __init__(self) -> None:
        from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - slow to load

        self._reader, self.fd = os.pipe()
        self.variables = {VARIABLE: str(self.fd)}
        self._foot, self._painter = StatusRow(sys.stderr), TerminalRenderer(sys.stderr)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._before, StderrWriter.write = StderrWriter.write, self._foot.above

    def begin(self) -> None:
        """Draw what comes: the master has its end of the pipe."""
        os.close(self.fd)
        self._thread.start()

    def finish(self) -> None:
        """Take the line away: the master, and whoever had its end of the pipe, are gone."""
        if self._thread.ident is not None:
            self._thread.join(5)
        self._foot.end()
        StderrWriter.write = self._before

    def _run(self) -> None:
        with open(self._reader, encoding="utf-8") as lines:
            for line in lines:
                look = json.loads(line)
                self._foot.draw("" if look is None else self._painter.live_line(look, self._foot.width))


def live_line() -> LiveLine | None:
    """A live line where stderr is a terminal that can have one."""
    return LiveLine() if is_screen(sys.stderr) else None


def report_on_screen(report: dict[str, Any]) -> str | None:
    """The report for people, where stdout is a terminal; without the end of its last line."""
    if not is_screen(sys.stdout):
        return None
    from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - slow to load

    return TerminalRenderer(sys.stdout).report(report)
