"""Copy the master's whole output to a file, and to stderr what a person wants to read of it.

The master reports through the status pipe what its lines are (traffic.terminal.status_pipe). Each message precedes the
line of the log that it stands for, so one thread reads both, and the pipe first. Only Locust's own lines are known by
their text.
"""

import contextlib
import json
import os
import re
import select
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from processes import say

_AT_ONCE = 1 << 16


class _Lines:
    """Reads lines from a file descriptor, without their ends."""

    def __init__(self, fd: int) -> None:
        self.fd, self.ended, self._rest = fd, False, b""

    def take(self, chunk: bytes) -> list[str]:
        """Return the lines that end in this chunk. An empty chunk is the end: return the line that has begun."""
        self.ended = not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self.ended and self._rest:
            lines = [self._rest]
        return [line.decode(errors="replace").rstrip() for line in lines]

    def waiting(self) -> list[str]:
        """Return the whole lines that are there now. The descriptor must not block."""
        lines: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.fd, _AT_ONCE):
                lines += self.take(chunk)
            self.ended = True
        return lines


class LogFilter:
    """Shows `source` on stderr, without Locust's own INFO lines, and copies it to `copy`.

    `status` is the reader's end of the status pipe. If it is given, the delivery report is kept in `report`, and the
    reason of a refused start in `refusal`, to be shown at the end; nothing is shown after a refusal. Without it nothing
    is kept back, because a web page shows both. `draw` shows the progress on a live line; then lines of progress are
    left out.
    """

    NOISE = re.compile(r"\[[^]]*\] [^/]*/INFO/locust\.")

    def __init__(
        self,
        source: IO[bytes],
        copy: Path,
        status: int | None = None,
        draw: Callable[[dict[str, Any] | None], None] | None = None,
    ) -> None:
        self.report = ""
        self.refusal = ""
        self._source = source  # kept open: the child that it belongs to may be forgotten before its last line is read
        self._log, self._copy, self._draw = _Lines(source.fileno()), copy, draw
        self._status = None if status is None else _Lines(status)
        self._expected: deque[str] = deque()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last line."""
        self._thread.join(5)

    def _run(self) -> None:
        with self._copy.open("wb", buffering=0) as copy:
            while not self._log.ended:
                if not self._log_is_ready():
                    self._read_status()
                    continue
                chunk = os.read(self._log.fd, _AT_ONCE)
                copy.write(chunk)
                self._read_status()
                self._show(self._log.take(chunk))
        if self._status is not None:
            os.close(self._status.fd)

    def _log_is_ready(self) -> bool:
        """Wait for the log or the status pipe. Return whether the log has something."""
        status = [] if self._status is None or self._status.ended else [self._status.fd]
        return self._log.fd in select.select([self._log.fd, *status], [], [])[0]

    def _read_status(self) -> None:
        if self._status is not None:
            for line in self._status.waiting():
                self._heed(json.loads(line))

    def _heed(self, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "status" and self._draw is not None:
            self._draw(message["status"])
        if kind == "refused" and not self.refusal:
            self.refusal = message["text"]
        if kind == "report":
            self.report = message["text"]
        if kind == "report" or (kind == "progress" and self._draw is not None):
            self._expected.extend(line.rstrip() for line in message["text"].split("\n") if line.strip())

    def _show(self, lines: list[str]) -> None:
        for text in lines:
            # The first line of a text has the log's prefix before it.
            if self._expected and text.endswith(self._expected[0]):
                self._expected.popleft()
            elif not self.refusal and not self.NOISE.match(text):
                say(text)
