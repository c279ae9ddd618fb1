"""A program on a terminal of its own, a real pseudo-terminal: all that it wrote there, and what one would see."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyte

from support.deadlines import stretched, until

DEADLINE_S = 60.0
ROWS = 200
BY_LINES = "\r\x1b[2K"


class Terminal:
    """A program whose stdin, stdout and stderr are a terminal of `columns`, its session's; or other `streams`."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], folder: Path, *, columns: int = 100, **streams: Any
    ) -> None:
        self._ours, theirs = pty.openpty()
        self._theirs = theirs
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self._screen = pyte.HistoryScreen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._lock, self._end_reading, self._closed = threading.Lock(), os.pipe(), False
        self.written = b""
        self.settings = termios.tcgetattr(theirs)
        at = {"stdin": theirs, "stdout": theirs, "stderr": theirs} | streams
        self.process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=folder,
            start_new_session=True,
            preexec_fn=_take_terminal(theirs),  # noqa: PLW1509 - a system call alone, which takes no lock
            **at,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while self._ours in select.select([self._ours, self._end_reading[0]], [], [])[0]:
                data = os.read(self._ours, 1 << 16)
                with self._lock:
                    self.written += data
                    self._stream.feed(data)

    @property
    def rows(self) -> list[str]:
        """What stands on the screen, without the empty rows at its end."""
        with self._lock:
            rows = [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def cursor_is_shown(self) -> bool:
        """Whether the cursor can be seen."""
        return not self._screen.cursor.hidden

    @property
    def text(self) -> str:
        """All that was written, as it came."""
        return self.written.decode(errors="replace")

    @property
    def drawn(self) -> list[str]:
        """Every state of the live line that was drawn, escape codes left out."""
        return [row for frame in self.text.split(BY_LINES) if (row := plain(frame.rpartition("\n")[2]))]

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._ours, b"\x03")

    def hang_up(self) -> None:
        """Close the window: the kernel sends SIGHUP, and nothing can be written any more."""
        self._closed = True
        os.write(self._end_reading[1], b"x")
        self._reader.join(stretched(DEADLINE_S))
        os.close(self._ours)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition; its value."""
        return until(condition, what, DEADLINE_S, lambda: "\n".join(self.rows))

    def wait(self) -> int:
        """The exit code, once the program has ended and all that it wrote is here."""
        self.until(lambda: self.process.poll() is not None, "the program ends")
        mark = f"\x1b]0;{id(self)}\x07".encode()  # a title, which no screen shows
        os.write(self._theirs, mark)
        self.until(lambda: mark in self.written, "all that was written is read")
        self.written = self.written.replace(mark, b"")
        return self.process.returncode

    @property
    def settings_now(self) -> list[Any]:
        """The terminal's modes (tcgetattr), to be held against `settings`, which are those from before the program."""
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        """End the program and whoever shares its session's group, and the terminal."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._theirs)
        if not self._closed:
            self._reader.join(stretched(DEADLINE_S))
            os.close(self._ours)
        for end in self._end_reading:
            os.close(end)


def _take_terminal(fd: int) -> Callable[[], None]:
    def prepare() -> None:
        fcntl.ioctl(fd, termios.TIOCSCTTY, 0)

    return prepare


def plain(text: str) -> str:
    """What is left of a row when the codes for colours are gone."""
    screen = pyte.Screen(max(1, 2 * len(text)), 1)
    pyte.Stream(screen).feed(text)
    return screen.display[0].rstrip()


@contextlib.contextmanager
def on_terminal(
    command: Sequence[str], env: Mapping[str, str], folder: Path, *, columns: int = 100, **streams: Any
) -> Iterator[Terminal]:
    """Run a program on a terminal for the length of a block."""
    terminal = Terminal(command, env, folder, columns=columns, **streams)
    try:
        yield terminal
    finally:
        terminal.close()
