"""Keep a status row at the bottom of a terminal: the row is redrawn, and all other output passes above it.

Every write is one whole frame: it clears the row, writes, and draws the row again. So the frames of several threads or
processes leave each other's lines whole. The row is one column narrower than the terminal, because a row that wraps
cannot be cleared. The cursor is never hidden, so that no crash can leave it hidden. (rich's own live display hides the
cursor, and breaks long lines.)
"""

import contextlib
import io
import logging
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

CLEAR = "\r\x1b[2K"
_PLAIN_TERMS = ("", "dumb", "unknown")
_USUAL_WIDTH = 80


def is_screen(stream: TextIO) -> bool:
    """Return whether a stream is a terminal on which a row can be cleared."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in _PLAIN_TERMS


class StatusRow:
    """Draws the last row of the terminal that `stream` writes to. After `end` there is no row."""

    def __init__(self, stream: TextIO) -> None:
        self._fd, self._encoding = stream.fileno(), stream.encoding
        self._row = ""
        self._ended = False

    @property
    def width(self) -> int:
        """The number of columns that the row may have."""
        with contextlib.suppress(OSError):
            return (os.get_terminal_size(self._fd).columns or _USUAL_WIDTH) - 1
        return _USUAL_WIDTH - 1

    def draw(self, row: str) -> None:
        """Show another row; "" for none. Skipped while the terminal is held (Ctrl-S), so that no caller blocks."""
        if self._ended or not select.select([], [self._fd], [], 0)[1]:
            return
        if row or self._row:
            self._row = row
            self._write(CLEAR + row)

    def above(self, text: str) -> None:
        """Write whole lines; `text` ends with the end of one."""
        self._write(text if self._ended else CLEAR + text + self._row)

    def end(self) -> None:
        """Clear the row for good. Does nothing the second time."""
        if not self._ended:
            self._ended = True
            if self._row:
                self._write(CLEAR)

    def _write(self, text: str) -> None:
        left = text.encode(self._encoding, "replace")
        with contextlib.suppress(OSError):  # the terminal is gone
            while left:
                left = left[os.write(self._fd, left) :]


class LineBuffer(io.TextIOBase):
    """Stands in for a stream: passes whole lines to `write`, and keeps the rest until its line ends."""

    def __init__(self, stream: TextIO, write: Callable[[str], None]) -> None:
        self._stream, self._write_lines = stream, write
        self._begun = ""

    def write(self, text: str) -> int:
        """As a stream's."""
        lines, end, self._begun = (self._begun + text).rpartition("\n")
        if end:
            self._write_lines(lines + end)
        return len(text)

    def finish(self) -> None:
        """Write the line that has not ended."""
        if self._begun:
            self.write("\n")

    def writable(self) -> bool:
        """As a stream's."""
        return True

    def isatty(self) -> bool:
        """As the stream's."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """As the stream's."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the stream's."""
        return self._stream.encoding


@contextlib.contextmanager
def passing_above(write: Callable[[str], None]) -> Iterator[list["logging.StreamHandler[TextIO]"]]:
    """Within a block, pass all lines that this process writes to its terminal to `write`.

    Yields the logging handlers that write there: they hold the stream itself, so they are given another.
    """
    error, out = sys.stderr, sys.stdout
    handlers = [handler for handler in _handlers() if handler.stream is error]
    above = LineBuffer(error, write)
    above_out = LineBuffer(out, write) if is_screen(out) else None
    for handler in handlers:
        handler.setStream(above)  # type: ignore[arg-type]
    sys.stderr = above
    sys.stdout = above_out or out
    try:
        yield handlers
    finally:
        sys.stderr, sys.stdout = error, out
        for handler in handlers:
            handler.setStream(error)
        above.finish()
        if above_out is not None:
            above_out.finish()


def _handlers() -> list["logging.StreamHandler[TextIO]"]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    found = {id(handler): handler for logger in loggers for handler in getattr(logger, "handlers", ())}
    return [handler for handler in found.values() if isinstance(handler, logging.StreamHandler)]
