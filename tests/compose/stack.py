"""A stack of docker-compose.yml under its own name and ports: brought up, asked, and always taken down."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from support import deadlines
from support.deadlines import stretched
from support.mongod import free_port

ROOT = Path(__file__).parents[2]
RECORDS = 100  # in data/traffic.json
# By itself mongosh gives up after 2 s.
MONGO = "mongodb://127.0.0.1:27017/traffic?directConnection=true&serverSelectionTimeoutMS=60000"
KEPT = ("PATH", "HOME", "TMPDIR", "CI")
T = TypeVar("T")


def compose(
    *arguments: str,
    project: str = "static",
    env: dict[str, str] | None = None,
    timeout: float = 60,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run docker compose as on a fresh clone: no `.env` is read, no variable of the caller's reaches it."""
    kept = {key: value for key, value in os.environ.items() if key in KEPT or key.startswith(("DOCKER_", "XDG_"))}
    command = [
        "docker",
        "compose",
        "--env-file",
        os.devnull,
        "--progress",
        "plain",
        "-p",
        project,
        *arguments,
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=kept | (env or {}),
        timeout=stretched(timeout),
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def until(what: str, seconds: float, ask: Callable[[], T | None]) -> T:
    """Ask until the answer is true in Python's sense, and return it. TimeoutError if it never is."""
    answer: T = deadlines.until(ask, what, seconds, pause_s=0.25)
    return answer


def docker(*arguments: str) -> None:
    """Run docker. Fails the test with what docker wrote if docker fails."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, timeout=stretched(60))
    assert done.returncode == 0, f"docker {' '.join(arguments)} ended with {done.returncode}: {done.stderr}"


@contextmanager
def _building() -> Iterator[None]:
    """Build one stack at a time, whichever lane asks: the next one finds every layer made."""
    with Path(tempfile.gettempdir(), "traffic-test-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass
class Stack:
    """One project of docker-compose.yml."""

    project: str
    env: dict[str, str] = field(default_factory=dict)
    profile: str = ""

    def __post_init__(self) -> None:
        web, api = free_port(), free_port()
        self.web = f"http://127.0.0.1:{web}"
        self.api = f"http://127.0.0.1:{api}"
        self.env = {"WEB_PORT": str(web), "API_PORT": str(api), **self.env}

    def compose(self, *arguments: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker compose on this stack."""
        before = ("--profile", self.profile) if self.profile else ()
        return compose(*before, *arguments, project=self.project, env=self.env, timeout=timeout, check=check)

    def up(self, *arguments: str) -> None:
        """Build and start, and wait until every service is healthy."""
        with _building():
            self.compose("build", timeout=900)
        wait = ("--wait", "--wait-timeout", f"{stretched(240):.0f}")
        self.compose("up", "-d", *wait, *arguments, timeout=300)

    def down(self) -> None:
        """Take away all that `up` made, its images' names included; the layers stay for the next build."""
        self.compose("down", "-v", "--remove-orphans", "-t", "10", timeout=120, check=False)
        images = [f"{self.project}-{name}" for name in ("locust", "api", "lb")]
        subprocess.run(["docker", "image", "rm", *images], capture_output=True, timeout=stretched(60), check=False)

    def logs(self) -> str:
        """What the containers are and what they wrote last."""
        listed = self.compose("ps", "-a", check=False).stdout
        return f"{listed}\n{self.compose('logs', '--no-color', '--tail', '60', check=False).stdout}"

    def containers(self) -> list[dict[str, Any]]:
        """What `docker compose ps` knows of each container, those that ended included."""
        lines = self.compose("ps", "-a", "--format", "json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def run(self, service: str, *command: str, index: int = 1, check: bool = True) -> str:
        """Run a command in a running container, and return what it wrote."""
        return self.compose("exec", "-T", "--index", str(index), service, *command, check=check).stdout.strip()

    def mongo(self, expression: str) -> Any:
        """Evaluate an expression over `db` in the database itself, with the password of the secret's file."""
        password = 'require("fs").readFileSync("/data/configdb/password", "utf8")'
        login = f'db.getSiblingDB("admin").auth("traffic", {password})'
        script = f"{login}; print(EJSON.stringify({expression}))"
        return json.loads(self.run("mongo", "mongosh", "--quiet", "--norc", MONGO, "--eval", script))

    def master(self, path: str) -> Any:
        """GET JSON of the master."""
        answer = httpx.get(self.web + path, timeout=stretched(10))
        answer.raise_for_status()
        return answer.json()

    def ready(self, workers: int, seconds: float = 60) -> None:
        """Wait until so many workers can take part in a run; after a run they register again."""

        def states() -> list[str]:
            return [worker["state"] for worker in self.master("/stats/requests")["workers"]]

        until(f"{workers} workers are ready", seconds, lambda: states().count("ready") == workers)

    def start(self, **fields: str | int) -> dict[str, Any]:
        """Press Start without a browser: what the web UI's form sends."""
        form = {"user_count": "20", "spawn_rate": "20", **{key: str(value) for key, value in fields.items()}}
        answer = httpx.post(f"{self.web}/swarm", data=form, timeout=stretched(30))
        answer.raise_for_status()
        return dict(answer.json())

    def under_way(self, after: str | None) -> str:
        """Wait until the run that follows run `after` has delivered a fifth of its records; its id."""

        def run() -> str | None:
            now = self.master("/traffic/status")
            return str(now["run"]) if now["run"] != after and now["counts"]["delivered"] > RECORDS // 5 else None

        return until("a fifth is delivered", 60, run)

    def ended(self, after: str | None, seconds: float = 120) -> dict[str, Any]:
        """Wait for the end of the run that follows run `after`, and return its status."""

        def status() -> dict[str, Any] | None:
            now = self.master("/traffic/status")
            return now if now.get("run") not in (None, after) and now["state"] in ENDED else None

        return until(f"the run after {after} ends", seconds, status)


ENDED = ("completed", "stopped", "failed")
"""The states of a run that is over, as `/traffic/status` has them."""


@contextmanager
def running(stack: Stack, *arguments: str) -> Iterator[Stack]:
    """Bring a stack up for a while. Its logs are printed if something failed meanwhile."""
    try:
        stack.up(*arguments)
        yield stack
    except BaseException:
        sys.stderr.write(stack.logs())
        raise
    finally:
        stack.down()
