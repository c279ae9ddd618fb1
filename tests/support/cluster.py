"""A Locust master and its workers as real processes, to be hurt by a test: each with its log, and always ended."""

import contextlib
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx
import pytest

from support import plain_http
from support.deadlines import USUAL_S, stretched, until
from support.locust_process import LocustProcess
from support.mongod import free_port
from support.secret import SECRET

ROOT = Path(__file__).parents[2]
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")

LOCUSTFILE = """
from traffic import RecordUser, task

class Posting(RecordUser):
    @task
    def post(self):
        self.deliver_next()
"""
REPLAY = """
from traffic import ReplayUser

class Posting(ReplayUser):
    pass
"""
TASKS = """
from traffic import ReplayUser, task

class Posting(ReplayUser):
    @task
    def post(self):
        self.deliver_next()
"""
# A locustfile for each way in which users send.
WAYS = {"RecordUser": LOCUSTFILE, "ReplayUser": REPLAY, "ReplayUser with a task": TASKS}


def slow_but(usual: str) -> list[Any]:
    """All ways, as parameters of a test: those other than the `usual` one are slow."""
    return [pytest.param(text, id=name, marks=() if name == usual else pytest.mark.slow) for name, text in WAYS.items()]


# By it a test knows which process is which worker.
SAY_ID = """
from locust import events

@events.init.add_listener
def _say_id(environment, runner, **_):
    print("this is", getattr(runner, "client_id", "the master"), flush=True)
"""


def records_file(folder: Path, count: int, mark: str = "") -> Path:
    """A traffic file of so many records, which no other `mark` gives."""
    file = folder / f"{count}.json"
    file.write_text(json.dumps([{"name": f"n{at}", "msg": f"m{at}{mark}"} for at in range(count)]))
    return file


class Process:
    """One of the cluster's processes."""

    def __init__(self, name: str, arguments: Sequence[str], env: dict[str, str], folder: Path) -> None:
        self.name, self._log = name, folder / f"{name}.log"
        self._log.touch()
        self.process = LocustProcess(arguments, env, folder, self._log)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def id(self) -> str:
        """The worker's id, once it has said it."""
        found = re.search(r"this is (\S+)", self.log)
        return found[1] if found else ""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a crash, or the kernel short of memory, ends it."""
        self.process.kill()
        self.process.wait()

    def wait(self, seconds: float = USUAL_S) -> int:
        """Its exit code, once it has ended."""
        until(lambda: not self.alive, f"{self.name} ends", seconds, lambda: self.log[-4000:])
        return self.process.wait()


class Cluster:
    """A master, headless or with a web UI, and workers. `options` go to the master, `variables` to all.

    `expect` is how many workers a headless master waits for, where that is not all of them. `locustfile` is the text
    of one; `plain` says that it is to be left without the traffic package.
    """

    # Those that the present test has made: their logs are shown if it fails.
    made: ClassVar[list["Cluster"]] = []

    def __init__(
        self,
        folder: Path,
        host: str,
        *,
        workers: int = 2,
        expect: int | None = None,
        users: int = 8,
        web: bool = False,
        plain: bool = False,
        locustfile: str = LOCUSTFILE,
        options: Sequence[str] = (),
        **variables: Any,
    ) -> None:
        self.made.append(self)
        self.folder, self.plain = folder, plain
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self.port, self.web_port = free_port(), free_port()
        self.workers: list[Process] = []
        self._locustfile = folder / "traffic_locustfile.py"
        self._locustfile.write_text(SAY_ID + locustfile)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        asked = {} if plain else {"PYTHONPATH": ROOT / "locust", "TRAFFIC_STATE_DIR": self.state, "TRAFFIC_WAIT": 0}
        asked |= {} if plain else {"TRAFFIC_SECRET": SECRET}
        given = asked | {"PYTHONUNBUFFERED": 1} | variables
        self.env = kept | {name: str(value) for name, value in given.items()}
        ui = ["--web-host", "127.0.0.1", "--web-port", str(self.web_port)]
        headless = [
            "--headless",
            "--only-summary",
            "--expect-workers",
            str(expect or workers),
            "-u",
            str(users),
            "-r",
            "100",
        ]
        line = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(self.port), "--host", host]
        self._of_master = [*line, *(ui if web else headless), *options]
        self._base = options[options.index("--web-base-path") + 1] if "--web-base-path" in options else ""
        self.former_masters: list[Process] = []
        self.master = self._start("master", *self._of_master)
        self.add_workers(workers)

    @classmethod
    def told(cls, given: Iterable[object]) -> list["Cluster"]:
        """The clusters that a failed test is about: those that it was given, and those that it has made."""
        return list({id(one): one for one in [*given, *cls.made] if isinstance(one, cls)}.values())

    def _start(self, name: str, *options: str, **variables: Any) -> Process:
        env = self.env | {name: str(value) for name, value in variables.items()}
        return Process(name, ["-f", str(self._locustfile), *options], env, self.folder)

    def restart_master(self, *options: str, **variables: Any) -> None:
        """Start a master again, once the former has ended; with more options or other variables than that had."""
        self.former_masters.append(self.master)
        self.env |= {name: str(value) for name, value in variables.items()}
        self.master = self._start(f"master-{len(self.former_masters) + 1}", *self._of_master, *options)

    def add_workers(self, count: int = 1, port: int | None = None, **variables: Any) -> list[Process]:
        """Start workers; `port`, if given, is where they look for the master, and `variables` are theirs alone."""
        options = ("--worker", "--master-host", "127.0.0.1", "--master-port", str(port or self.port))
        made = [self._start(f"worker-{len(self.workers) + at}", *options, **variables) for at in range(count)]
        self.workers += made
        return made

    def until(self, condition: Callable[[], Any], what: str, seconds: float = USUAL_S) -> Any:
        """Wait for a condition; its value."""
        return until(condition, what, seconds, lambda: self.master.log[-6000:])

    def await_log(self, text: str, seconds: float = USUAL_S) -> None:
        """Wait for a text in the master's log."""
        self.until(lambda: text in self.master.log, f"the master's log says {text!r}", seconds)

    def await_ids(self) -> list[str]:
        """The workers' ids, once all of them have said theirs."""
        self.until(lambda: all(worker.id for worker in self.workers), "the workers are up")
        return [worker.id for worker in self.workers]

    def wait(self, seconds: float = USUAL_S) -> int:
        """The master's exit code, once it has ended."""
        return self.master.wait(seconds)

    @property
    def report(self) -> dict[str, Any]:
        """The latest delivery report."""
        return self.report_in(self.state)

    def report_in(self, state: Path) -> dict[str, Any]:
        """The latest delivery report of a state folder."""
        return dict(json.loads((state / "report.json").read_text()))

    def file_of_run(self, name: str) -> list[str]:
        """The lines of a file of the latest run's folder."""
        return (self.state / "runs" / self.report["run"] / name).read_text().splitlines()

    @property
    def dead_letters(self) -> list[dict[str, Any]]:
        """The latest run's dead letters."""
        return [json.loads(line) for line in self.file_of_run("dead-letters.jsonl")]

    # The web UI.

    @property
    def web(self) -> str:
        """Where the web UI is."""
        return f"http://127.0.0.1:{self.web_port}{self._base}"

    @property
    def status(self) -> dict[str, Any]:
        """The run's status by the web UI."""
        return dict(plain_http.get(f"{self.web}/traffic/status").json())

    @property
    def live(self) -> dict[str, Any]:
        """What the Traffic page reads."""
        return dict(plain_http.get(f"{self.web}/traffic/live").json())

    def await_page(self) -> None:
        """Wait until the web UI answers: its line in the log comes before it listens."""

        def answers() -> bool:
            with contextlib.suppress(OSError, httpx.TransportError):
                return plain_http.get(f"{self.web}/healthz").status_code == 200
            return False

        self.until(answers, "the web UI answers")

    def await_web(self, workers: int) -> None:
        """Wait for the web UI, and for so many workers at it."""

        def ready() -> bool:
            with contextlib.suppress(OSError, httpx.TransportError):
                stats = plain_http.get(f"{self.web}/stats/requests").json()
                return [worker["state"] for worker in stats["workers"]].count("ready") == workers
            return False

        self.until(ready, f"{workers} workers are ready")

    def swarm(self, users: int = 8, **form: Any) -> dict[str, Any]:
        """Press Start, or change the number of users of a run; the answer."""
        data = {"user_count": users, "spawn_rate": 100} | form
        return dict(plain_http.post(f"{self.web}/swarm", data=data).json())

    def stop(self) -> None:
        """Press Stop."""
        plain_http.post(f"{self.web}/stop").raise_for_status()

    def await_state(self, state: str, seconds: float = USUAL_S) -> dict[str, Any]:
        """The run's status, once its state is `state`."""

        def there() -> dict[str, Any] | None:
            status = self.status
            return status if status["state"] == state else None

        return dict(self.until(there, f"the run's state is {state}", seconds))

    def await_startable(self) -> None:
        """Wait until a run can be started: after a stop Locust's workers register again."""
        self.until(lambda: not self.live["acts"]["start"], "a run can be started")

    def close(self) -> None:
        """End whatever still runs."""
        everyone = [self.master, *self.workers]
        for process in everyone:
            if process.alive:
                process.process.kill()  # a frozen one, too
        for process in everyone:
            process.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cable:
    """A TCP connection's way through the test: to the port `to`, from `port`, and it can be damaged.

    `seen` has every byte that has passed, in either direction.
    """

    def __init__(self, to: int) -> None:
        self._to, self.seen = to, bytearray()
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def _spawn(self, what: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._join(listener.accept()[0])

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            near.close()  # as if nobody listened there, which is so
            return
        self._ends += (near, far)
        self._spawn(self._copy, near, far)
        self._spawn(self._copy, far, near)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flowing.wait()
                self.seen += data
                sink.sendall(data)
        _shut(source, sink)

    def stall(self) -> None:
        """Let nothing through, and lose nothing."""
        self._flowing.clear()

    def cut(self) -> None:
        """Break every connection and refuse others; what was on its way is lost."""
        if self._listener is not None:
            _shut(self._listener)
            self._listener.close()
            self._listener = None
        _shut(*self._ends)

    def mend(self) -> None:
        """As it was."""
        self._flowing.set()
        if self._listener is None:
            self._listen()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._flowing.set()
        for thread in self._threads:
            thread.join(stretched(USUAL_S))
        for end in self._ends:
            end.close()


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cable(to: int) -> Iterator[Cable]:
    """Lay one for the length of a block."""
    laid = Cable(to)
    try:
        yield laid
    finally:
        laid.close()
