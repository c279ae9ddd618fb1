"""Start child processes that end in order and never outlive the process that started them.

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone, which ends its
children one after the other. If the parent is killed, Linux sends its children SIGTERM.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

PR_SET_PDEATHSIG = 1  # prctl(2)
TICK_S = 0.05
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _write(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="replace"))


class StderrWriter:
    """Writes to stderr. While there is a live line, `write` is replaced by one that writes above it."""

    write: Callable[[str], None] = staticmethod(_write)


def say(what: str) -> None:
    """Write a line to stderr; do nothing if nobody reads it any more. May be called in a signal handler."""
    StderrWriter.write(f"{what}\n")


def _in_the_child(parent: int) -> Callable[[], None]:
    """Return what a child does before its program begins."""

    def prepare() -> None:
        # A shell starts background jobs with SIGINT ignored, and Locust ends its workers by it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the kernel had been told
                os._exit(1)

    return prepare


class Child:
    """One running child. Its stdout and stderr go to `to` (-1: a pipe). It inherits the descriptors `inherited`."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], to: IO[bytes] | int, inherited: Sequence[int] = ()
    ) -> None:
        self.process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,  # one in the background that reads the terminal is stopped
            stdout=to,
            stderr=subprocess.STDOUT,
            process_group=0,
            pass_fds=inherited,
            preexec_fn=_in_the_child(os.getpid()),  # noqa: PLW1509 - no thread is alive yet that could hold a lock
        )

    @property
    def output(self) -> IO[bytes]:
        """The reader's end of its stdout and stderr, if it was given a pipe (-1)."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def code(self) -> int | None:
        """Its exit code, 128 + the signal if a signal ended it; None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def end(self, grace_s: float, hurry: Callable[[], bool], by: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end by a signal, wait `grace_s` or until `hurry`, then kill the rest of its group.

        Returns its exit code.
        """
        if self.code is None:
            self.process.send_signal(by)
        deadline = time.monotonic() + grace_s
        while self.code is None and time.monotonic() < deadline and not hurry():
            time.sleep(TICK_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.code is not None
        return self.code
