"""The master's end of the status pipe: what is reported, in which order, and what is dropped."""

import argparse
import contextlib
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from traffic.terminal import plain, status_pipe
from traffic.terminal.status_pipe import StatusPipe

ONE_OF_OURS = "traffic.master.master"


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in os.read(self.reader, 1 << 20).splitlines()]
        except BlockingIOError:
            return []


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    made = Pipe()
    monkeypatch.setattr(status_pipe, "status_pipe", StatusPipe(made.writer))
    yield made
    for fd in (made.reader, made.writer):
        os.close(fd)


@pytest.fixture
def log(pipe: Pipe) -> Iterator[list[tuple[str, list[dict[str, Any]]]]]:
    """Each line of the log, with what the pipe had when it was written."""
    lines: list[tuple[str, list[dict[str, Any]]]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.getMessage(), pipe.read()))

    ours, listener, level = logging.getLogger("traffic"), Listener(), logging.root.level
    before = list(ours.handlers)
    logging.root.addHandler(listener)
    logging.root.setLevel(logging.INFO)
    status_pipe.report_log()
    yield lines
    ours.handlers[:] = before
    logging.root.removeHandler(listener)
    logging.root.setLevel(level)


def test_a_message_precedes_the_line_of_the_log_that_it_stands_for(log: list[Any]) -> None:
    logger = logging.getLogger(ONE_OF_OURS)
    logger.info("%s", "a\n b", extra={"report": {"run": "r"}})
    logger.info("%s", "half of it", extra=plain.ON_LIVE_LINE)
    logger.error("refused to start: %s", "no file", extra=plain.refusal(ValueError("no file")))
    logger.warning("anything else")
    assert log == [
        ("a\n b", [{"kind": "report", "text": "a\n b"}]),
        ("half of it", [{"kind": "progress", "text": "half of it"}]),
        ("refused to start: no file", [{"kind": "refused", "text": "no file"}]),
        ("anything else", []),
    ]


def test_what_the_command_line_s_parser_refuses_is_reported(pipe: Pipe, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--whole", type=int)
    status_pipe.report_parse_errors(parser)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--whole", "half"])
    assert ended.value.code == 2
    assert "error: argument --whole: invalid int value: 'half'" in capsys.readouterr().err
    assert pipe.read() == [{"kind": "refused", "text": "argument --whole: invalid int value: 'half'"}]


def test_a_look_has_what_a_live_line_shows_and_is_short(pipe: Pipe) -> None:
    mine = StatusPipe(pipe.writer)
    mine.status({"state": "paused", "reason": "x" * 10_000, "counts": {"records": 3}, "workers": []})
    mine.status(None)
    statuses = [message["status"] for message in pipe.read()]
    assert statuses == [{"state": "paused", "reason": "x" * 300, "counts": {"records": 3}}, None]


def test_a_look_that_finds_the_pipe_full_is_dropped(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe.writer, b"\n" * 4096)
    os.set_blocking(pipe.writer, True)
    StatusPipe(pipe.writer).status({"state": "running", "reason": ""})  # returns


def test_nobody_who_reads_is_no_error(pipe: Pipe) -> None:
    os.close(pipe.reader)
    StatusPipe(pipe.writer).report("a report")
    pipe.reader = os.open(os.devnull, os.O_RDONLY)


def test_no_child_takes_the_pipe_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(status_pipe.VARIABLE, "7")
    assert status_pipe._open_pipe() is not None
    assert status_pipe.VARIABLE not in os.environ
    assert status_pipe._open_pipe() is None
