"""The stub, the master and the workers as real processes, each to be hurt by itself."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from chaos.faults import Scenario
from chaos.proxy import Loop, Tap, WorkerRelay

ROOT = Path(__file__).parents[2]
READY_S = 60.0
GIVE_UP_S = 40
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class NotReadyError(Exception):
    """A part of the stack did not come up; the text says which."""


class Process:
    """A process with its log. It is only ever ended by its own id."""

    def __init__(self, name: str, log: Path, arguments: list[str], env: dict[str, str]) -> None:
        self.name, self.log = name, log
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=kept | {"PYTHONUNBUFFERED": "1"} | env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs (frozen counts as running)."""
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.popen.kill()
        self.popen.wait(30)


class Worker:
    """A worker process and its way to the master."""

    def __init__(self, number: int, process: Process, relay: WorkerRelay) -> None:
        self.number, self.process, self.relay = number, process, relay
        # What is being done to it; a frozen worker is not cut off, nor the other way round.
        self.hurt = ""


class Stack:
    """One round's processes in one folder."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.folder = scenario, folder
        self.state, self.file, self.store = folder / "state", folder / "traffic.json", folder / "messages.db"
        self.file.write_text(_records(scenario))
        self._loop = Loop()
        self._api_port, self._master_port = free_port(), free_port()
        self.tap = Tap(self._loop, self._api_port)
        self.stub = self._start_stub()
        self.master = self._start_master()
        self.workers: list[Worker] = []
        for _ in range(scenario.workers):
            self.join()

    def await_first_post(self) -> None:
        """Wait until the run has begun. NotReadyError where it does not."""
        deadline = time.monotonic() + READY_S
        while not self.tap.attempts:
            if time.monotonic() > deadline or not (self.master.alive and self.stub.alive):
                raise NotReadyError(f"no POST within {READY_S:g} s; see the logs in {self.folder}")
            time.sleep(0.02)

    def join(self) -> Worker:
        """Start a worker."""
        number = len(self.workers)
        relay = WorkerRelay(self._loop, self._master_port)
        arguments = ["--worker", "--master-host", "127.0.0.1", "--master-port", str(relay.port)]
        worker = Worker(number, self._locust(f"worker-{number}", arguments, {}), relay)
        self.workers.append(worker)
        return worker

    def api_down(self) -> None:
        """Kill the stub; connections to it are reset, new ones refused."""
        self.stub.kill()
        self.tap.cut()

    def api_start(self) -> None:
        """Start the stub again on the same store."""
        self.stub = self._start_stub()

    def api_ready(self) -> bool:
        """Whether the stub listens; then the workers can reach it again."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._api_port), 1):
            self.tap.heal()
            return True
        return False

    def since_report(self) -> float:
        """Seconds since the report was written; 0 where there is none."""
        try:
            return time.time() - (self.state / "report.json").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def sent(self) -> int:
        """How many of the records have been sent at least once."""
        return len({attempt.key for attempt in self.tap.attempts})

    def close(self) -> None:
        """Leave no process behind."""
        for process in (self.master, self.stub, *(worker.process for worker in self.workers)):
            process.kill()
        for relay in (self.tap, *(worker.relay for worker in self.workers)):
            relay.close()
        self._loop.close()

    def _start_stub(self) -> Process:
        env = {
            "PYTHONPATH": str(ROOT / "api-stub"),
            "STORE_URL": f"sqlite:///{self.store}",
            "STUB_PORT": str(self._api_port),
            "STUB_SEED": str(self.scenario.seed),
            "STUB_MISBEHAVE": "" if self.scenario.misbehave == "none" else self.scenario.misbehave,
        }
        return Process("stub", self.folder / "stub.log", ["-P", "-m", "stub"], env)

    def _start_master(self) -> Process:
        asked = self.scenario
        port, users = str(self._master_port), str(asked.users)
        arguments = ["--master", "--headless", "--expect-workers", str(asked.workers), "-u", users, "-r", users]
        arguments += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--only-summary"]
        arguments += ["--host", f"http://127.0.0.1:{self.tap.port}"]
        env = {
            "TRAFFIC_FILE": str(self.file),
            "TRAFFIC_STATE_DIR": str(self.state),
            "TRAFFIC_SEED": str(asked.seed),
            "TRAFFIC_WAIT": asked.wait,
            "TRAFFIC_POLICY": asked.policy,
            "TRAFFIC_MAX_ATTEMPTS": str(asked.max_attempts),
            "TRAFFIC_GIVE_UP": str(GIVE_UP_S),
        }
        return self._locust("master", arguments, env)

    def _locust(self, name: str, arguments: list[str], env: dict[str, str]) -> Process:
        line = ["-P", "-m", "locust", "-f", "locust/locustfile.py", *arguments]
        return Process(name, self.folder / f"{name}.log", line, env)


def _records(scenario: Scenario) -> str:
    """Distinct records, each spelled in its own way: their bytes are to arrive as they are."""
    chance = random.Random(scenario.seed)
    lines = [
        f'{{"name":{" " * (index % 3)}"Zoë {index}", "msg": "¡{chance.getrandbits(64):x}! 👋", "n": {index}.50}}'
        for index in range(scenario.records)
    ]
    return "[" + ",\n".join(lines) + "]\n"


def free_port() -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
