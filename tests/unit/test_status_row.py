"""The row at the foot of a terminal, on a real pseudo-terminal."""

import io
import logging
import os
import pty
import sys
import termios
from collections.abc import Iterator
from typing import Any, TextIO

import pytest

from traffic.terminal.status_row import CLEAR, LineBuffer, StatusRow, is_screen, passing_above


class Pty(io.TextIOBase):
    """The program's end of a terminal, and what it has written."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        mode = termios.tcgetattr(self.theirs)
        mode[1] &= ~termios.OPOST  # as it was written
        termios.tcsetattr(self.theirs, termios.TCSANOW, mode)

    def fileno(self) -> int:
        return self.theirs

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        os.write(self.theirs, b"\0")
        read = b""
        while not read.endswith(b"\0"):
            read += os.read(self.ours, 1000)
        return read[:-1].decode()

    def hang_up(self) -> None:
        os.close(self.ours)
        self.ours = -1


@pytest.fixture
def terminal() -> Iterator[Pty]:
    made = Pty()
    yield made
    for fd in (made.ours, made.theirs):
        if fd >= 0:
            os.close(fd)


def test_lines_pass_above_the_row_in_one_write(terminal: Any) -> None:
    row = StatusRow(terminal)
    row.draw("45%")
    row.above("a line\nanother\n")
    row.draw("46%")
    assert terminal.written == f"{CLEAR}45%{CLEAR}a line\nanother\n45%{CLEAR}46%"


def test_before_the_first_row_and_without_one_nothing_is_drawn(terminal: Any) -> None:
    row = StatusRow(terminal)
    row.draw("")
    row.draw("45%")
    row.draw("")
    row.draw("")
    assert terminal.written == f"{CLEAR}45%{CLEAR}"


def test_after_the_end_the_row_is_gone_and_lines_are_as_they_are(terminal: Any) -> None:
    row = StatusRow(terminal)
    row.draw("45%")
    row.end()
    row.end()
    row.draw("46%")
    row.above("a line\n")
    assert terminal.written == f"{CLEAR}45%{CLEAR}a line\n"


def test_a_row_that_was_never_drawn_leaves_no_trace(terminal: Any) -> None:
    StatusRow(terminal).end()
    assert terminal.written == ""


def test_the_row_is_a_column_short_of_the_terminal(terminal: Any) -> None:
    row = StatusRow(terminal)
    assert row.width == 79  # of one that does not know its width
    termios.tcsetwinsize(terminal.theirs, (24, 40))
    assert row.width == 39


def test_nobody_waits_for_a_terminal_that_is_held(terminal: Any) -> None:
    row = StatusRow(terminal)
    row.draw("45%")
    termios.tcflow(terminal.theirs, termios.TCOOFF)
    row.draw("46%")  # would wait until somebody lets it go
    termios.tcflow(terminal.theirs, termios.TCOON)
    row.draw("47%")
    assert terminal.written == f"{CLEAR}45%{CLEAR}47%"


def test_a_terminal_that_is_gone_ends_nothing(terminal: Any) -> None:
    row = StatusRow(terminal)
    terminal.hang_up()
    row.draw("45%")
    row.above("a line\n")
    row.end()


@pytest.mark.parametrize("term", ["", "dumb", "unknown"])
def test_a_terminal_that_cannot_clear_a_row_has_none(terminal: Any, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert is_screen(terminal)
    assert not is_screen(io.StringIO())
    monkeypatch.setenv("TERM", term)
    assert not is_screen(terminal)


def test_what_is_no_whole_line_waits_for_its_end() -> None:
    said: list[str] = []
    assert sys.__stderr__ is not None
    stream = LineBuffer(sys.__stderr__, said.append)
    for text in ("a ", "line\nand a", " second\nthird"):
        assert stream.write(text) == len(text)
    assert said == ["a line\n", "and a second\n"]
    stream.finish()
    stream.finish()
    assert said[2:] == ["third\n"]


def test_all_that_goes_to_the_terminal_passes_above_and_then_goes_there_again(
    terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(sys, "stderr", terminal)
    file: TextIO = io.StringIO()
    ours, others = logging.StreamHandler(terminal), logging.StreamHandler(file)
    logger = logging.getLogger("support.of_this_test")
    for handler in (ours, others):
        logger.addHandler(handler)
    try:
        with passing_above(said.append) as handlers:
            assert handlers == [ours]
            logger.warning("a warning")
            sys.stderr.write("a word\n")
        assert said == ["a warning\n", "a word\n"]
        assert (ours.stream, sys.stderr, others.stream) == (terminal, terminal, file)
    finally:
        for handler in (ours, others):
            logger.removeHandler(handler)
