"""The stub, the master and the workers as real processes, each to be hurt by itself."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from chaos.faults import Scenario
from chaos.proxy import Loop, Tap, WorkerProxy
from support.deadlines import stretched, tries
from support.locust_process import LocustProcess
from support.mongod import free_port, start_mongod

ROOT = Path(__file__).parents[2]
READY_S = 60.0
GIVE_UP_S = 40
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
_RESUMED = "is resumed: "


class NotReadyError(Exception):
    """A part of the stack did not come up; the text says which."""


class Process:
    """A process with its log. It is only ever ended by its own id."""

    def __init__(self, name: str, log: Path, arguments: list[str], env: dict[str, str]) -> None:
        self.name, self.log = name, log
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        self.popen = self._start(arguments, kept | {"PYTHONUNBUFFERED": "1"} | env)

    def _start(self, arguments: list[str], env: dict[str, str]) -> "subprocess.Popen[bytes] | LocustProcess":
        with self.log.open("ab") as file:
            command = [sys.executable, *arguments]
            return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

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
        self.popen.wait(stretched(30))


class Locust(Process):
    """A master or a worker, forked from a process that has imported Locust."""

    def _start(self, arguments: list[str], env: dict[str, str]) -> "subprocess.Popen[bytes] | LocustProcess":
        return LocustProcess(arguments, env, ROOT, self.log)


class Worker:
    """A worker process and its way to the master."""

    def __init__(self, number: int, process: Process, proxy: WorkerProxy) -> None:
        self.number, self.process, self.proxy = number, process, proxy
        # What is being done to it; a frozen worker is not cut off, nor the other way round.
        self.hurt = ""


class Stack:
    """One round's processes in one folder."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.folder = scenario, folder
        self.state, self.file = folder / "state", folder / "traffic.json"
        self.file.write_text(_records(scenario))
        self.mongod = start_mongod(folder / "mongod") if scenario.store == "mongodb" else None
        self._loop = Loop()
        self._api_port, self._master_port = free_port(), free_port()
        self.tap = Tap(self._loop, self._api_port)
        self._sent, self._counted = set[str](), 0
        self.stub = self._start_stub()
        self.master = self._start_master()
        self.workers: list[Worker] = []
        for _ in range(scenario.workers):
            self.join()

    @property
    def store(self) -> str | Path:
        """Where the messages are, as the checker reads them."""
        return f"{self.mongod.url}/chaos" if self.mongod is not None else self.folder / "messages.db"

    def await_first_post(self) -> None:
        """Wait until the run has begun. NotReadyError if it does not."""
        for _ in tries(READY_S):
            if self.tap.attempts:
                return
            if not (self.master.alive and self.stub.alive):
                break
        raise NotReadyError(f"no POST within {stretched(READY_S):.0f} s; see the logs in {self.folder}")

    def join(self) -> Worker:
        """Start a worker."""
        number = len(self.workers)
        proxy = WorkerProxy(self._loop, self._master_port)
        arguments = ["--worker", "--master-host", "127.0.0.1", "--master-port", str(proxy.port)]
        worker = Worker(number, self._locust(f"worker-{number}", arguments, {}), proxy)
        self.workers.append(worker)
        return worker

    def restart_master(self) -> None:
        """Start a master as the first one was, on the same port and state folder."""
        self.master = self._start_master()

    def takings_up(self) -> list[str]:
        """What each master that took up the run said of it."""
        return [line for line in (self.folder / "master.log").read_text().splitlines() if _RESUMED in line]

    def kill_all(self, *, store: bool) -> None:
        """Kill the master and every worker at once, and with `store` the stub and its mongod."""
        processes = [self.master, *(worker.process for worker in self.workers)]
        if store:
            processes.append(self.stub)
            if self.mongod is not None and self.mongod.process is not None:
                self.mongod.process.kill()
        for process in processes:
            process.signal(signal.SIGKILL)
        for process in processes:
            process.kill()
        if store:
            self.api_down()
            self.close_store()

    def store_start(self) -> None:
        """Start mongod again on its data folder, then the stub."""
        if self.mongod is not None:
            self.mongod.start()
        self.api_start()

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
        """Seconds since the report was written; 0 if there is none."""
        try:
            return time.time() - (self.state / "report.json").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def sent(self) -> int:
        """How many of the records have been sent at least once."""
        attempts = self.tap.attempts
        self._counted, upto = len(attempts), self._counted
        self._sent.update(attempt.key for attempt in attempts[upto : self._counted])
        return len(self._sent)

    def close(self) -> None:
        """Leave no process behind but the store's."""
        for process in (self.master, self.stub, *(worker.process for worker in self.workers)):
            process.kill()
        for proxy in (self.tap, *(worker.proxy for worker in self.workers)):
            proxy.close()
        self._loop.close()

    def close_store(self) -> None:
        """End what the messages are read from."""
        if self.mongod is not None:
            self.mongod.kill()

    def _start_stub(self) -> Process:
        env = {
            "PYTHONPATH": str(ROOT / "api-stub"),
            "STORE_URL": str(self.store) if self.mongod is not None else f"sqlite:///{self.store}",
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
            "TRAFFIC_RESULTS": "all",
            "TRAFFIC_RETRY_AFTER": asked.retry_after,
            "TRAFFIC_LEASE": f"{asked.lease_s:g}",
            "TRAFFIC_MAX_ATTEMPTS": str(asked.max_attempts),
            "TRAFFIC_GIVE_UP": f"{stretched(GIVE_UP_S):.0f}",
        }
        return self._locust("master", arguments, env)

    def _locust(self, name: str, arguments: list[str], env: dict[str, str]) -> Process:
        return Locust(name, self.folder / f"{name}.log", ["-f", "locust/locustfile.py", *arguments], env)


def _records(scenario: Scenario) -> str:
    """Distinct records, each spelled in its own way: their bytes are to arrive as they are."""
    chance = random.Random(scenario.seed)
    lines = [
        f'{{"name":{" " * (index % 3)}"Zoë {index}", "msg": "¡{chance.getrandbits(64):x}! 👋", "n": {index}.50}}'
        for index in range(scenario.records)
    ]
    return "[" + ",\n".join(lines) + "]\n"
