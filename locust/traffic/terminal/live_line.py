"""Show the live line of a headless master: the progress of its run, drawn four times a second below the log.

A master on a terminal draws the line there. If another program has the terminal and shows the master's output on it, as
scripts/stack.py does, the master reports to that program through the status pipe, and it draws. Without a terminal, or
with a web UI, there is no live line, and the log has a line of progress now and then.
"""

import atexit
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent

from traffic.terminal import plain
from traffic.terminal.status_pipe import StatusPipe, status_pipe
from traffic.terminal.status_row import StatusRow, is_screen, passing_above

EVERY_S = 0.25

Status = dict[str, Any]


class _Display(Protocol):
    """Shows the live line somewhere."""

    def show(self, status: Status | None) -> None:
        """Show the status of the run; None: there is nothing to show."""

    def end(self) -> None:
        """Remove the line for good."""


class LiveLine:
    """Shows the status that `read_status` returns, until `end`. Does nothing if no live line can be shown."""

    def __init__(self, read_status: Callable[[], Status | None], *, headless: bool) -> None:
        self._read_status = read_status
        self._display = _find_display() if headless else None
        if self._display is not None:
            atexit.register(self.end)
            gevent.spawn(self._serve)

    def end(self) -> None:
        """Remove the line, and leave the terminal as it was."""
        if self._display is not None:
            display, self._display = self._display, None
            display.end()

    def _serve(self) -> None:
        try:
            while self._display is not None:
                self._display.show(self._read_status())
                gevent.sleep(EVERY_S)
        finally:
            self.end()


def _find_display() -> _Display | None:
    if status_pipe is not None:
        return _Pipe(status_pipe)
    return _Terminal() if is_screen(sys.stderr) else None


class _Pipe:
    """Sends the status to the program that has the terminal."""

    def __init__(self, pipe: StatusPipe) -> None:
        self._pipe = pipe

    def show(self, status: Status | None) -> None:
        self._pipe.status(status)

    def end(self) -> None:
        self._pipe.status(None)


class _Terminal:
    """Draws on the master's own terminal. The log's handlers write above the line, and the report as a table."""

    def __init__(self) -> None:
        from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - rich is slow to load, and only this needs it

        self._status_row, self._renderer = StatusRow(sys.stderr), TerminalRenderer(sys.stderr)
        self._restore = contextlib.ExitStack()
        for handler in self._restore.enter_context(passing_above(self._status_row.above)):
            self._restore.enter_context(_render_reports(handler, self._renderer.report))

    def show(self, status: Status | None) -> None:
        self._status_row.draw("" if status is None else self._renderer.live_line(status, self._status_row.width))

    def end(self) -> None:
        self._status_row.end()
        self._restore.close()


class _Formatter(logging.Formatter):
    """Formats a delivery report with `render`, any other record with `formatter`."""

    def __init__(self, formatter: logging.Formatter, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._formatter, self._render = formatter, render

    def format(self, record: logging.LogRecord) -> str:
        report = plain.report_of(record)
        return self._formatter.format(record) if report is None else self._render(report)


@contextlib.contextmanager
def _render_reports(handler: logging.Handler, render: Callable[[dict[str, Any]], str]) -> Iterator[None]:
    """Within a block, have a handler render the report and leave out what the live line shows."""
    formatter = handler.formatter
    handler.addFilter(plain.not_on_live_line)
    handler.setFormatter(_Formatter(formatter or logging.Formatter(), render))
    try:
        yield
    finally:
        handler.setFormatter(formatter)
        handler.removeFilter(plain.not_on_live_line)


def clear_row_before_log(*, headless: bool) -> None:
    """In a worker that shares a headless master's terminal, clear the live line before each line of the log.

    The master draws the line again a moment later.
    """
    if headless and is_screen(sys.stderr):
        row = StatusRow(sys.stderr)
        restore = contextlib.ExitStack()
        restore.enter_context(passing_above(row.above))
        atexit.register(restore.close)
