"""How fast the stub is: durable writes a second and their latency, beside a handler that only answers 201.

    python bench/stub.py [--seconds 5] [--rounds 3] [--connections 64] [--rate 2000]

It needs wrk (apt-get install wrk). The stub has one core, mongod and the load share another. All variants take turns in
each round; medians are shown, with the range of the rates. Latency is measured at half of the rate that the variant
had just reached, or at --rate: requests are sent on a schedule, and latency counts from when a request was due, so that
a stall is charged to all that it delays (Tene, "How NOT to Measure Latency"), one of the sender's, too.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop

from support.mongod import free_port, running_mongod
from support.stub_process import running_stub, until

BODY = '{"name": "Ana María Núñez", "msg": "Un mensaje de unas cincuenta letras, como en los datos."}'.encode()
BARE = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": event["type"] + ".complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
"""


WRK = """
local n = 0
function init(args) run = args[1] end
function request()
  n = n + 1
  return wrk.format("POST", "/", {["content-type"] = "application/json", ["traffic-worker"] = "worker-1",
    ["idempotency-key"] = run .. "-" .. n}, BODY)
end
"""


class Sender(asyncio.Protocol):
    """One connection. Its requests may queue; one is out at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._waiting: deque[float] = deque()
        self._due: float | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being of the class

    def ask(self, due: float) -> None:
        """Send one more request, now or when those before it are answered."""
        self._waiting.append(due)
        if self._due is None:
            self._send()

    def _send(self) -> None:
        self._due = self._waiting.popleft()
        self._transport.write(self._load.next_request())

    def data_received(self, data: bytes) -> None:
        """Gather an answer."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) if end else 0
        if not end or len(body) < length:
            return
        assert self._due is not None
        self._load.answered(head.startswith(b"HTTP/1.1 201 "), self._due)
        self._buffer, self._due = b"", None
        if self._waiting:
            self._send()


class Load:
    """Sends new keys on a schedule, and notes how late each answer came."""

    def __init__(self, url: str, run: str) -> None:
        self._host, self._port = address(url)
        self._head = (
            f"POST / HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(BODY)}\r\ntraffic-worker: worker-1\r\nidempotency-key: {run}-"
        ).encode()
        self._sent = 0
        self.latencies: list[float] = []
        self.refused = 0
        self._expected: int | None = None
        self._all_answered = asyncio.Event()

    def next_request(self) -> bytes:
        """Return a request with a new key."""
        self._sent += 1
        return b"%b%d\r\n\r\n%b" % (self._head, self._sent, BODY)

    def answered(self, ok: bool, due: float) -> None:
        """Count an answer to a request that was due at a time."""
        self.latencies.append(time.monotonic() - due)
        self.refused += not ok
        if len(self.latencies) == self._expected:
            self._all_answered.set()

    async def run(self, connections: int, seconds: float, rate: float) -> None:
        """Send, and wait for the last answer."""
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(lambda: Sender(self), self._host, self._port) for _ in range(connections)]
        began, asked = time.monotonic(), 0
        while (now := time.monotonic() - began) < seconds:
            while asked < now * rate:
                made[asked % connections][1].ask(began + asked / rate)
                asked += 1
            await asyncio.sleep(0.002)  # uvloop counts in milliseconds, and would spin for less than one
        self._expected = asked
        if len(self.latencies) < asked:
            await self._all_answered.wait()
        for transport, _ in made:
            transport.close()


def at_rate(url: str, run: str, connections: int, seconds: float, rate: float) -> Load:
    """Send at a rate; returns what was measured."""
    load = Load(url, run)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.run(connections, seconds, rate))
    return load


def flat_out(url: str, run: str, connections: int, seconds: int, script: Path) -> float:
    """Send as fast as answers come, with wrk; returns the answers a second. Raises ValueError for any but 201."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), url, run]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise ValueError(out)
    return float(out.partition("Requests/sec:")[2].split()[0])


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def address(url: str) -> tuple[str, int]:
    """Split a URL into host and port."""
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a handler that reads the body and answers 201, on the same server with the same options, on core 0."""
    (folder / "bare.py").write_text(BARE)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "error"]
    process = subprocess.Popen(command, cwd=folder)
    os.sched_setaffinity(process.pid, {0})
    try:
        await_listening(port)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def stub(store_url: str) -> Iterator[tuple[str, int]]:
    """Run a real stub on core 0, with the threads of its embedded store, if it has one."""
    with running_stub(store_url) as running:
        assert running.process is not None
        pid = running.process.pid
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {0})
        yield running.url, pid


def await_listening(port: int) -> None:
    """Return when something listens."""
    for _ in until():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return


class Variant:
    """What was measured of one variant, round by round."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []  # microseconds a POST
        self.p50: list[float] = []
        self.p99: list[float] = []
        self.paced: list[float] = []  # POSTs a second at which latency was measured

    def measure(self, url: str, pid: int, turn: int, asked: argparse.Namespace, script: Path) -> None:
        """Measure one round."""
        flat_out(url, f"warm{turn}", asked.connections, 1, script)
        used = cpu_seconds(pid)
        rate = flat_out(url, f"full{turn}", asked.connections, asked.seconds, script)
        self.cpu.append((cpu_seconds(pid) - used) / (rate * asked.seconds) * 1e6)
        self.rates.append(rate)
        self.paced.append(asked.rate or rate / 2)
        load = at_rate(url, f"paced{turn}", asked.connections, asked.seconds, self.paced[-1])
        if load.refused:
            raise ValueError(f"{load.refused} POSTs were not answered 201")
        latencies = sorted(load.latencies)
        self.p50.append(latencies[len(latencies) // 2] * 1000)
        self.p99.append(latencies[len(latencies) * 99 // 100] * 1000)

    def row(self, base: float) -> str:
        """Return a row of the table: medians of the rounds."""
        middle = [statistics.median(values) for values in (self.rates, self.cpu, self.paced, self.p50, self.p99)]
        span = f"{min(self.rates):,.0f}-{max(self.rates):,.0f}"
        return (
            f"{middle[0]:,.0f} | {span} | {middle[0] / base:.2f} | {middle[1]:.0f}"
            f" | {middle[2]:,.0f} | {middle[3]:.1f} | {middle[4]:.1f}"
        )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=int, help="POSTs a second at which latency is measured; half load if missing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(WRK.replace("BODY", f"'{BODY.decode()}'"))
        os.sched_setaffinity(0, {1})  # and what is started from here, too
        mongod = stack.enter_context(running_mongod(folder / "mongod"))
        stores = {"SQLite": f"sqlite:///{folder}/bench.sqlite", "MongoDB": f"{mongod.url}/bench"}
        variants = {variant: Variant() for variant in ("bare 201", *stores)}
        for turn in range(asked.rounds):
            for variant, measured in variants.items():
                with bare(folder) if variant not in stores else stub(stores[variant]) as (url, pid):
                    measured.measure(url, pid, turn, asked, script)
    print(f"Python {platform.python_version()}, {asked.connections} connections, {asked.rounds} x {asked.seconds} s")
    print("\n| variant | POSTs/s | range | of bare | CPU us a POST | latency at | p50 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for variant, measured in variants.items():
        print(f"| {variant} | {measured.row(statistics.median(variants['bare 201'].rates))} |")


if __name__ == "__main__":
    main()
