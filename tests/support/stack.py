"""The stack as plain processes, for tests: scripts/stack.py or make, each on ports and in a state folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.deadlines import stretched, until
from support.mongod import free_port

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
MARK = "TEST_STACK"


@dataclass(frozen=True)
class Done:
    """What a stack that has ended leaves behind."""

    code: int
    out: str
    err: str
    state: Path

    @property
    def report(self) -> dict[str, Any]:
        """The report of the last line on stdout."""
        last = self.out.rstrip("\n").rpartition("\n")[2]
        assert last.startswith("report: "), f"no report in the last line; stdout:\n{self.out}\nstderr:\n{self.err}"
        found: dict[str, Any] = json.loads(last.removeprefix("report: "))
        return found

    @property
    def log(self) -> str:
        """All that Locust wrote."""
        return (self.state / "locust.log").read_text()


class StackProcess:
    """One call of `command` on ports of its own; `variables` are the stack's, such as WORKERS=2."""

    def __init__(self, command: list[str], state: Path, **variables: Any) -> None:
        self.state, self.mark = state, uuid.uuid4().hex
        self.ports = {name: free_port() for name in ("API_PORT", "WEB_PORT", "MASTER_PORT")}
        # This tree's code runs, even if the environment's was installed from another.
        ours = os.pathsep.join(str(ROOT / folder) for folder in ("locust", "api-stub"))
        asked = self.ports | {"STATE": state, "PYTHONPATH": ours, "PYTHONUNBUFFERED": 1, MARK: self.mark} | variables
        env = {name: os.environ[name] for name in KEPT if name in os.environ}
        state.parent.mkdir(parents=True, exist_ok=True)
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env | {name: str(value) for name, value in asked.items()},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def _file(self, kind: str) -> Path:
        return self.state.with_name(f"{self.state.name}.{kind}")

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._file("out").read_text()

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._file("err").read_text()

    def wait(self, seconds: float = DEADLINE_S) -> Done:
        """Wait for its end."""
        try:
            code = self.process.wait(stretched(seconds))
        except subprocess.TimeoutExpired:
            said = f"stdout:\n{self.out}\nstderr:\n{self.err}"
            raise TimeoutError(f"not ended in {stretched(seconds):.0f} s; {said}") from None
        return Done(code, self.out, self.err, self.state)

    def family(self) -> list[int]:
        """The ids of all processes that stem from it and are alive, by the mark in their environment (Linux)."""
        mark = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            # A process may go while it is looked at, and another's may not be looked at.
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def await_end_of_family(self, seconds: float = 60) -> None:
        """Wait until no process of it is left."""
        until(lambda: not self.family(), "no process is left", seconds)

    def end(self) -> None:
        """Leave nothing behind, whatever has gone wrong."""
        for pid in {*self.family(), *([self.process.pid] if self.process.poll() is None else [])}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(command: str, state: Path, *, make: bool = False, **variables: Any) -> Iterator[StackProcess]:
    """Run `stack.py <command>`, or `make <command>`, for the length of a block."""
    line = [sys.executable, "scripts/stack.py", command]
    if make:
        line, variables = ["make", command], {"PYTHON": sys.executable, "VENV": sys.prefix} | variables
    stack = StackProcess(line, state, **variables)
    try:
        yield stack
    finally:
        stack.end()


def replay(state: Path, *, make: bool = False, **variables: Any) -> Done:
    """Run a replay to its end."""
    with running("replay", state, make=make, **variables) as stack:
        return stack.wait()


def chosen_values(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """The values of a parameter in those of the asking module's tests that this session runs."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    return [call.params[parameter] for call in calls if call is not None and parameter in call.params]
