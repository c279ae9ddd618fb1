"""The live line of a headless master: how its run goes, drawn anew four times a second while the log passes above it.

A master on a terminal draws it there. If another program has the terminal and shows the master's output on it, as
scripts/stack.py does, the master reports to it through the status pipe, and the other draws. Without a terminal, or
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

Look = dict[str, Any]


class _Place(Protocol):
    """Where the live line is shown."""

    def show(self, look: Look | None) -> None:
        """Show how the run goes; None: there is nothing to show."""

    def end(self) -> None:
        """Show nothing any more."""


class LiveLine:
    """Shows what `look` says, until `end`. Where there is no place for a live line, it does nothing."""

    def __init__(self, look: Callable[[], Look | None], *, headless: bool) -> None:
        self._look = look
        self._place = _find_place() if headless else None
        if self._place is not None:
            atexit.register(self.end)
            gevent.spawn(self._serve)

    def end(self) -> None:
        """Take the line away, and leave the terminal as it was."""
        if self._place is not None:
            place, self._place = self._place, None
            place.end()

    def _serve(self) -> None:
        try:
            while self._place is not None:
                self._place.show(self._look())
                gevent.sleep(EVERY_S)
        finally:
            self.end()


def _find_place() -> _Place | None:
    if status_pipe is not None:
        return _Pipe(status_pipe)
    return _Terminal() if is_screen(sys.stderr) else None


class _Pipe:
    """The reader's screen."""

    def __init__(self, pipe: StatusPipe) -> None:
        self._pipe = pipe

    def show(self, look: Look | None) -> None:
        self._pipe.look(look)

    def end(self) -> None:
        self._pipe.look(None)


class _Terminal:
    """The master's own. The log's handlers write above the line, the report as a table."""

    def __init__(self) -> None:
        from traffic.terminal.rich_view import TerminalRenderer  # noqa: PLC0415 - rich is slow to load, and only this needs it

        self._foot, self._painter = StatusRow(sys.stderr), TerminalRenderer(sys.stderr)
        self._stack = contextlib.ExitStack()
        for handler in self._stack.enter_context(passing_above(self._foot.above)):
            self._stack.enter_context(_for_people(handler, self._painter.report))

    def show(self, look: Look | None) -> None:
        self._foot.draw("" if look is None else self._painter.live_line(look, self._foot.width))

    def end(self) -> None:
        self._foot.end()
        self._stack.close()


class _Formatter(logging.Formatter):
    """Writes a delivery report as `paint` does, anything else as `usual` does."""

    def __init__(self, usual: logging.Formatter, paint: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._usual, self._paint = usual, paint

    def format(self, record: logging.LogRecord) -> str:
        report = plain.report_of(record)
        return self._usual.format(record) if report is None else self._paint(report)


@contextlib.contextmanager
def _for_people(handler: logging.Handler, paint: Callable[[dict[str, Any]], str]) -> Iterator[None]:
    """Have a handler leave out what the live line says, for the length of a block, and paint the report."""
    usual = handler.formatter
    handler.addFilter(plain.not_told_live)
    handler.setFormatter(_Formatter(usual or logging.Formatter(), paint))
    try:
        yield
    finally:
        handler.setFormatter(usual)
        handler.removeFilter(plain.not_told_live)


def make_way(*, headless: bool) -> None:
    """In a worker that shares a headless master's terminal: clear the live line before each line of the log.

    The master draws it again, a moment later.
    """
    if headless and is_screen(sys.stderr):
        foot = StatusRow(sys.stderr)
        stack = contextlib.ExitStack()
        stack.enter_context(passing_above(foot.above))
        atexit.register(stack.close)
