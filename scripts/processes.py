"""Child processes that end in order and never outlive the process that started them.

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone, which ends its
children one after the other. Where the parent is killed, Linux sends its children SIGTERM.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1  # prctl(2)
TICK_S = 0.05
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _write(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="replace"))


class StderrWriter:
    """How lines get to stderr; `write` is another's while there is a live line that they have to pass."""

    write: Callable[[str], None] = staticmethod(_write)


def say(what: str) -> None:
    """Write a line to stderr; may be called in a signal handler, and goes on where nobody reads any more."""
    StderrWriter.write(f"{what}\n")


def _in_the_child(parent: int) -> Callable[[], None]:
    """What a child does before its program begins."""

    def prepare() -> None:
        # A shell starts background jobs with SIGINT ignored, and Locust ends its workers by it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the kernel had been told
                os._exit(1)

    return prepare


class Child:
    """One running child; `output` is where its stdout and stderr go, `inherited` are descriptors that it has, too."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], output: IO[bytes] | int, inherited: Sequence[int] = ()
    ) -> None:
        self.process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,  # one in the background that reads the terminal is stopped
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            pass_fds=inherited,
            preexec_fn=_in_the_child(os.getpid()),  # noqa: PLW1509 - no thread is alive yet that could hold a lock
        )

    @property
    def code(self) -> int | None:
        """Its exit code (128 + the signal where one ended it); None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def end(self, grace_s: float, hurry: Callable[[], bool]) -> int:
        """Ask it to end, wait `grace_s` or until `hurry`, then kill what is left of its group; its exit code."""
        if self.code is None:
            self.process.terminate()
        deadline = time.monotonic() + grace_s
        while self.code is None and time.monotonic() < deadline and not hurry():
            time.sleep(TICK_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.code is not None
        return self.code


class LogFilter:
    """Copies a child's output to a file whole, and to stderr what a person wants to read of it.

    Left out are Locust's own INFO lines. `report` holds back the delivery report, and `refusal` why a run was refused,
    for the end; behind a refusal nothing more is shown. `attended`: a person has a web page that shows both: hold
    back nothing. `live`: a live line says how far the run is: leave out the lines that do.
    """

    NOISE = re.compile(r"\[[^]]*\] [^/]*/INFO/locust\.")
    PROGRESS = re.compile(r"\[[^]]*\] [^/]*/INFO/traffic[\w.]*: (?:progress:|reading) ")
    REFUSAL = re.compile(r"(?:\[[^]]*\] [^/]*/ERROR/traffic[\w.]*: refused to start|[\w.]+: error): (.*)")
    REPORT = re.compile(r"\[[^]]*\] [^/]*/INFO/traffic[\w.]*: (delivery report, run .*)")

    def __init__(self, source: IO[bytes], copy: Path, *, attended: bool, live: bool = False) -> None:
        self.report: list[str] = []
        self.refusal = ""
        self._source, self._copy, self._attended, self._live = source, copy, attended, live
        self._in_report = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last line."""
        self._thread.join(5)

    def _run(self) -> None:
        with self._copy.open("wb", buffering=0) as copy:
            for line in self._source:
                copy.write(line)
                text = line.decode(errors="replace").rstrip()
                if self._is_shown(text):
                    say(text)

    def _is_shown(self, text: str) -> bool:
        if self._attended:
            return not self.NOISE.match(text)
        self._hold(text)
        told = self._live and self.PROGRESS.match(text)
        return not (self.refusal or self._in_report or told or self.NOISE.match(text))

    def _hold(self, text: str) -> None:
        if (found := self.REFUSAL.match(text)) and not self.refusal:
            self.refusal = found[1]
        self._in_report = bool((found := self.REPORT.match(text)) or (self._in_report and text.startswith("  ")))
        if self._in_report:
            self.report.append(found[1] if found else text)
