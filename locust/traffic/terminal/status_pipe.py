"""The status pipe: what a headless master reports to the program that started it, as scripts/stack.py does.

TRAFFIC_STATUS_FD names the file descriptor of the pipe. Each message is one line, a JSON object with a `kind`:

    {"kind": "status", "status": {"state": "running", "reason": "", "counts": {...}, ...}}    four times a second, for a
                                          live line; {"kind": "status", "status": null} if there is nothing to show
    {"kind": "progress", "text": "progress: 45 of 100 records ..."}     a line that says what a live line says, too
    {"kind": "report", "text": "delivery report, run ..."}
    {"kind": "refused", "text": "data/mine.json, line 3, column 4: ..."}

A message other than a status precedes the log's line with the same text. So a reader of both, who reads the pipe's
messages before each line of the log, knows which lines the messages stand for.
"""

import argparse
import contextlib
import json
import logging
import os
import select
from typing import Any

from traffic.terminal import plain

VARIABLE = "TRAFFIC_STATUS_FD"
SENT_MEMBERS = ("state", "reason", "counts", "rate", "eta_s")
# A status with a reason of this length has less than PIPE_BUF (4,096 bytes), and so is written without waiting.
LONGEST_REASON = 300


class StatusPipe:
    """The master's end. Once nobody reads the pipe, messages are dropped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def status(self, status: dict[str, Any] | None) -> None:
        """Report how the run goes; dropped while the pipe is full, for another status follows."""
        shown = None if status is None else {name: status[name] for name in SENT_MEMBERS if name in status}
        if shown is not None:
            shown["reason"] = shown["reason"][:LONGEST_REASON]
        if select.select([], [self._fd], [], 0)[1]:
            self._write("status", status=shown)

    def progress(self, text: str) -> None:
        """Report a line of progress that the log has next."""
        self._write("progress", text=text)

    def report(self, text: str) -> None:
        """Report the delivery report, which the log has next."""
        self._write("report", text=text)

    def refused(self, text: str) -> None:
        """Report why the start is refused."""
        self._write("refused", text=text)

    def _write(self, kind: str, **members: object) -> None:
        left = json.dumps({"kind": kind, **members}).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while left:
                left = left[os.write(self._fd, left) :]


class _Handler(logging.Handler):
    """Sends the log's lines that the reader must know: progress, the report, refusals."""

    def __init__(self, pipe: StatusPipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line, if it is such a line."""
        if plain.report_of(record) is not None:
            self._pipe.report(record.getMessage())
        elif (why := plain.refusal_of(record)) is not None:
            self._pipe.refused(why)
        elif not plain.not_on_live_line(record):
            self._pipe.progress(record.getMessage())


def _open_pipe() -> StatusPipe | None:
    """The pipe that the environment names. No process that this one starts must take it for its own."""
    fd = os.environ.pop(VARIABLE, "")
    return StatusPipe(int(fd)) if fd else None


# Locust forks the workers off the master, so the pipe is opened once, before that.
status_pipe = _open_pipe()


def report_parse_errors(parser: argparse.ArgumentParser, **_: Any) -> None:
    """Send what the command line's parser refuses, before it ends the process."""
    if (pipe := status_pipe) is None:
        return
    usual = parser.error

    def error(message: str) -> None:
        pipe.refused(message)
        usual(message)

    vars(parser)["error"] = error  # of this one parser


def report_log() -> None:
    """In a master: send the log's lines that the reader must know, each before it is written to the log."""
    if status_pipe is not None:
        logging.getLogger("traffic").addHandler(_Handler(status_pipe))
