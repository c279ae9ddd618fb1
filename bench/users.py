"""What a request costs: wrk, Locust's FastHttpUser and this project's users, on one core, against a server in C.

    python bench/users.py [--rounds 3] [--seconds 4] [--users 50] [--only wrk,replay]

All take turns in each round. Rates are counted by the server, in the midst of each turn; CPU is that of the process
that generates the load, a request. Medians are shown, and ratios between turns of the same round. It needs gcc and wrk.

wrk: a new record each time, by new_record.lua. fast: FastHttpUser posting one constant record. record: RecordUser.
constant: ReplayUser posting one constant record, without master. replay: ReplayUser fed by a master.
"""

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from parts import LOAD_CORE, ROOT, SERVER_CORE, Server, cpu_s, pinned, write_records

WARM_S = 1.0
BODY = '{"name": "Ana Maria Nunez", "msg": "a message of about fifty letters, as in the data, 123456"}'
HEADERS = (
    '{"Content-Type": "application/json", "Idempotency-Key": "20261122-172228-375a-1", "Traffic-Worker": "worker-1"}'
)
FAST = f"""
from locust import FastHttpUser, task
class Posting(FastHttpUser):
    @task
    def post(self):
        self.client.post("/", data={BODY.encode()!r}, headers={HEADERS})
"""
CONSTANT = f"""
from locust import events
from traffic.core.feed import Record
from traffic.core.protocol import RunTerms
from traffic.replay.user import ReplayUser
from traffic.user import sources
RUN = RunTerms("20261122-172228-375a", "POST", "/", (0.0, 0.0), 3, "at-least-once")
RECORD = Record(RUN.run, 1, 0, 1, {BODY.encode()!r}, False)
class Constant:
    name, run, over = "worker-1", RUN, False
    def take(self, now=None): return RECORD
    def book(self, record, answer, outcome, now=None): pass
    def wait(self, timeout): pass
@events.init.add_listener
def _source(environment, **_): sources[environment] = Constant()
class Posting(ReplayUser): pass
"""
RECORDS = """
from traffic import RecordUser, task
class Posting(RecordUser):
    @task
    def post(self):
        self.deliver_next()
"""
REPLAY = "from traffic import ReplayUser\nclass Replay(ReplayUser): pass\n"
ALONE = {"fast": FAST, "constant": CONSTANT}
FED = {"record": RECORDS, "replay": REPLAY}


class Turns:
    """Runs generators by their names, one at a time."""

    def __init__(self, folder: Path, seconds: float, users: int) -> None:
        self.folder, self.seconds, self.users = folder, seconds, users

    @contextlib.contextmanager
    def _running(self, name: str, url: str) -> Iterator[int]:
        """Run a generator; the process id of that on the load's core."""
        started = []
        env = {**os.environ, "PYTHONPATH": str(ROOT / "locust"), "TRAFFIC_WAIT": "0", "TRAFFIC_ORDER": "file"}
        env["TRAFFIC_STATE_DIR"] = str(self.folder / "state")

        def start(core: int, *command: object) -> int:
            with (self.folder / f"{name}.log").open("a") as log:
                started.append(
                    subprocess.Popen(pinned(core, *command), env=env, cwd=self.folder, stdout=log, stderr=log)
                )
            return started[-1].pid

        file = self.folder / f"{name}.py"
        locust = (sys.executable, "-m", "locust", "-f", file, "--host", url)
        many = ("--headless", "--only-summary", "-u", self.users, "-r", 1000)
        if name == "wrk":
            lasting = f"{WARM_S + self.seconds + 60:.0f}s"
            chosen = start(
                LOAD_CORE, "wrk", "-t1", f"-c{self.users}", f"-d{lasting}", "-s", ROOT / "bench/new_record.lua", url
            )
        elif name in ALONE:
            file.write_text(ALONE[name])
            chosen = start(LOAD_CORE, *locust, *many)
        else:
            file.write_text(FED[name])
            port = ("--master-bind-port", 20000 + os.getpid() % 20000)
            records = write_records(self.folder / "many.json", 1_500_000)
            master = (*locust, *many, "--master", "--master-bind-host", "127.0.0.1", *port, "--expect-workers", 1)
            start(SERVER_CORE, *master, "--traffic-file", records)
            chosen = start(LOAD_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port[1])
        try:
            yield chosen
        finally:
            for process in reversed(started):
                process.kill()
                process.wait()

    def take(self, name: str) -> tuple[float, float]:
        """One turn: requests a second, and microseconds of CPU a request."""
        with Server(self.folder) as server, self._running(name, server.url) as pid:
            deadline = time.monotonic() + 60
            while server.counts()[0] < 100:
                if time.monotonic() > deadline:
                    raise TimeoutError((self.folder / f"{name}.log").read_text()[-3000:])
                time.sleep(0.05)
            time.sleep(WARM_S)
            before, cpu, at = server.counts()[0], cpu_s(pid), time.monotonic()
            time.sleep(self.seconds)
            count, used, took = server.counts()[0] - before, cpu_s(pid) - cpu, time.monotonic() - at
        return count / took, used / count * 1e6


def main() -> None:
    """Take the turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--only", default="wrk,fast,record,constant,replay")
    asked = parser.parse_args()
    names = [name for name in asked.only.split(",") if name != "wrk" or shutil.which("wrk")]
    made: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        turns = Turns(Path(folder), asked.seconds, asked.users)
        for _ in range(asked.rounds):
            for name in names:
                made[name].append(turns.take(name))
    print(f"Python {platform.python_version()}, {asked.rounds} rounds of {asked.seconds:g} s, {asked.users} users")
    print(f"{'':10} {'requests/s':>12} {'(range)':>18} {'us CPU':>8} {'rate/first':>11} {'CPU/first':>10}")
    first = made[names[0]]
    for name, turns_of in made.items():
        rates, costs = zip(*turns_of, strict=True)
        ratio = statistics.median(mine[0] / its[0] for mine, its in zip(turns_of, first, strict=True))
        cost = statistics.median(mine[1] / its[1] for mine, its in zip(turns_of, first, strict=True))
        spread = f"{min(rates):,.0f}-{max(rates):,.0f}"
        median, cpu = statistics.median(rates), statistics.median(costs)
        print(f"{name:10} {median:12,.0f} {spread:>18} {cpu:8.1f} {ratio:11.2f} {cost:10.2f}")


if __name__ == "__main__":
    main()
