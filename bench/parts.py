"""What the benches share: the server in C, processes kept to one core, and what they have used."""

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

# The number of each request, and when it came.
Arrivals = np.ndarray[Any, Any]

ROOT = Path(__file__).parents[1]
# The generator has one core, the server (and the master) the other.
LOAD_CORE, SERVER_CORE = 0, 1
LOCUSTFILES = ROOT / "bench/locustfiles"


def build_server(folder: Path) -> Path:
    """Compile the server that answers 201, unless SERVER_BINARY names one that was."""
    if "SERVER_BINARY" in os.environ:
        return Path(os.environ["SERVER_BINARY"])
    made = folder / "answers_201"
    if not made.exists():
        subprocess.run(["gcc", "-O2", "-o", made, ROOT / "bench/answers_201.c"], check=True)
    return made


def pinned(core: int, *command: object) -> list[str]:
    """A command that keeps to one core."""
    return ["taskset", "-c", str(core), *map(str, command)]


def locust_env(**more: object) -> dict[str, str]:
    """The environment of a Locust on this project's users, which do not wait."""
    given = {"TRAFFIC_WAIT": 0, "PYTHONDONTWRITEBYTECODE": 1} | more
    return os.environ | {name: str(value) for name, value in given.items()}


def some_port() -> int:
    """A port for a master: another each time, so that nobody waits for the last one's."""
    return random.randrange(20000, 32000)


def end(started: list[subprocess.Popen[bytes]]) -> None:
    """Kill processes, the latest first."""
    for process in reversed(started):
        process.kill()
        process.wait()


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Counts(NamedTuple):
    """What a server has seen: requests with a key, distinct keys, the seconds from the first request to the last.

    `mean_ms` is how long it took on average to answer, where it was told to take its time.
    """

    posts: int
    distinct: int
    seconds: float
    mean_ms: float


class Server:
    """The server in C, on its core."""

    def __init__(self, folder: Path, *options: object) -> None:
        command = pinned(SERVER_CORE, build_server(folder), *options)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())
        self.url = f"http://127.0.0.1:{self.port}"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def counts(self) -> Counts:
        """What has come in so far."""
        self.process.send_signal(signal.SIGUSR1)
        posts, distinct, seconds, mean_ms = self._line().split()
        return Counts(int(posts), int(distinct), float(seconds), float(mean_ms))

    def arrivals(self, log: Path) -> Arrivals:
        """End it, and return what it wrote to its --log."""
        self.process.terminate()
        self.process.wait()
        return np.fromfile(log, np.dtype([("number", "<u8"), ("at", "<f8")]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def write_records(file: Path, count: int) -> Path:
    """A traffic file of `count` distinct records of about 90 bytes, unless it is there."""
    if not file.exists():
        with file.open("w") as out:
            for at in range(count):
                record = {"name": "Ana Maria Nunez", "msg": f"a message of about fifty letters, as in the data, {at}"}
                out.write((",\n" if at else "[") + json.dumps(record))
            out.write("]")
    return file


def write_requests(file: Path, count: int) -> Path:
    """A file of `count` whole requests, with bodies as those of `write_records`, unless it is there."""
    if not file.exists():
        with file.open("w") as out:
            for at in range(count):
                record = {"name": "Ana Maria Nunez", "msg": f"a message of about fifty letters, as in the data, {at}"}
                request = {"method": ("POST", "PUT", "PATCH")[at % 3], "url": f"/people/{at}?lang=es", "json": record}
                out.write(json.dumps(request) + "\n")
    return file
