"""Starts Locust processes by forking one that has imported it (`locust_server`)."""

import atexit
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from support.deadlines import stretched

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("locust_server.py")


class LocustProcess:
    """A running Locust, with what `subprocess.Popen` has of it."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str], folder: Path, log: Path) -> None:
        self.returncode: int | None = None
        self._pid, self._started, self._ended = 0, threading.Event(), threading.Event()
        _server().start(self, arguments, env, folder, log)

    @property
    def pid(self) -> int:
        """The process's id."""
        if not self._started.wait(stretched(60)):
            raise TimeoutError(f"{SERVER.name} started no process in time")
        return self._pid

    def poll(self) -> int | None:
        """Return its exit code (minus the signal, if one ended it); None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, once it has ended. TimeoutExpired after `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("locust", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and that is on its way here
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def heard(self, said: dict[str, int]) -> None:
        """Take what the server says of it."""
        if "pid" in said:
            self._pid = said["pid"]
            self._started.set()
        else:
            self.returncode = os.waitstatus_to_exitcode(said["status"])
            self._ended.set()


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        path = os.pathsep.join(map(str, (ROOT / "locust", ROOT / "tests")))
        env = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-P", str(SERVER)]
        self._process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._numbers = itertools.count()
        self._children: dict[int, LocustProcess] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()
        atexit.register(self._close)

    def start(
        self, child: LocustProcess, arguments: Sequence[str], env: dict[str, str], folder: Path, log: Path
    ) -> None:
        number = next(self._numbers)
        self._children[number] = child
        what = {"id": number, "argv": [*arguments], "env": env, "cwd": str(folder), "log": str(log)}
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self._children[said["id"]].heard(said)

    def _close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(stretched(10))


@cache
def _server() -> _Server:
    return _Server()
