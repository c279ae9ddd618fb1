"""The API stub as a real process, for tests. It is ready when it has said so."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.deadlines import stretched, tries

DEADLINE = 30.0  # seconds until it must be ready, and until it must have ended
_API_STUB = Path(__file__).parents[2] / "api-stub"


@dataclass
class StubProcess:
    """`python -m stub` with an environment of its own, on a free port."""

    store_url: str
    env: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None
    ready_line: str = ""
    url: str = ""

    def start(self, wait: bool = True) -> None:
        """Start it; with `wait`, return when it is ready. Raises TimeoutError or ChildProcessError."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("STUB_", "STORE_", "MONGO_"))}
        env |= {"PYTHONPATH": str(_API_STUB), "STORE_URL": self.store_url, "STUB_PORT": "0", **self.env}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stub"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        if wait:
            self.await_ready()

    def await_ready(self) -> None:
        """Wait for the line of its log that names its address."""
        try:
            self.ready_line = self._lines.get(timeout=stretched(DEADLINE))
        except queue.Empty:
            self.kill()
            raise TimeoutError(f"the stub was not ready in {stretched(DEADLINE):.0f} s: {self.errors}") from None
        if not self.ready_line:
            raise ChildProcessError(f"the stub ended: {self.errors}")
        self.url = self.ready_line.split()[3]

    @property
    def errors(self) -> str:
        """What it has written to its standard error so far."""
        return "".join(self._errors)

    def _read_output(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _read_errors(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    def end(self, how: int) -> int:
        """Send a signal, wait for its end, return its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.await_end()

    def await_end(self) -> int:
        """Wait for its end, return its exit code."""
        assert self.process is not None
        code = self.process.wait(stretched(DEADLINE))
        for reader in self._readers:
            reader.join(stretched(DEADLINE))
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.process = None
        return code

    def stop(self) -> int:
        """End it in order (SIGTERM)."""
        return self.end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), if it runs."""
        if self.process is not None:
            self.end(signal.SIGKILL)


@contextlib.contextmanager
def running_stub(store_url: str, **env: str) -> Iterator[StubProcess]:
    """Run a stub for the length of a block."""
    stub = StubProcess(store_url, env)
    try:
        stub.start()
        yield stub
    finally:
        stub.kill()


def until(seconds: float = DEADLINE) -> Iterator[None]:
    """Yield again and again, a little apart, until the time is up: then TimeoutError."""
    yield from tries(seconds)
    raise TimeoutError(f"not in {stretched(seconds):.0f} s")
