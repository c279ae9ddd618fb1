"""What a request costs: this project's users and other generators, each on one core, against a server in C.

    python bench/users.py [--rounds 3] [--seconds 4] [--users 50] [--only wrk,constant,replay] [--out FILE]

All take turns in each round. Rates are counted by the server, in the midst of each turn; CPU is that of the process
that generates the load, a request. It needs gcc and two cores; peers.py gets the others, and what cannot be had is left
out. With --out the turns go into a file, of which tables.py makes the tables of docs/benchmarks.md.

constant: ReplayUser posting one constant record, without master. replay, tasks, record: a ReplayUser, one with a task,
and a RecordUser, fed by a master, which shares the server's core.
wrk (new_record.lua), k6: a new record each time. All others: one constant one.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import peers
import results
import tables
from locustfiles.posted import BODY, HEADERS
from parts import (
    LOAD_CORE,
    LOCUSTFILES,
    ROOT,
    SERVER_CORE,
    Server,
    cpu_s,
    end,
    locust_env,
    pinned,
    some_port,
    write_records,
)

WARM_S = 1.0
# Longer than any turn: a generator that needs a duration is ended before.
LASTING_S = 3600
FED = ("replay", "tasks", "record")
KINDS = (
    "wrk",
    "hey",
    "autocannon",
    "k6",
    "aiolocust",
    "http_user",
    "fast_json",
    "fast_bytes",
    "record",
    "tasks",
    "constant",
    "replay",
)
FED_RECORDS = 1_500_000


class Turns:
    """Runs generators by their names, one at a time."""

    def __init__(self, folder: Path, seconds: float, users: int, found: dict[str, peers.Peer]) -> None:
        self.folder, self.seconds, self.users, self.found = folder, seconds, users, found

    def _peer(self, name: str, url: str) -> list[object]:
        """The command of a generator that is none of Locust's."""
        command, users = self.found[name].command, self.users
        headers = [f"{field}: {value}" for field, value in HEADERS.items()]
        match name:
            case "wrk":
                script = ROOT / "bench/new_record.lua"
                return [*command, "-t1", f"-c{users}", f"-d{LASTING_S}s", "-s", script, url]
            case "hey":
                many = [part for header in headers for part in ("-H", header)]
                return [*command, "-z", f"{LASTING_S}s", "-c", users, "-m", "POST", *many, "-d", BODY.decode(), url]
            case "autocannon":
                many = [part for header in headers for part in ("-H", header)]
                lasting = ("-n", "-c", users, "-d", LASTING_S)
                return [*command, *lasting, "-m", "POST", *many, "-b", BODY.decode(), url]
            case "aiolocust":
                alone = ("-u", users, "-r", 1000, "--event-loops", 1)
                return [*command, LOCUSTFILES / "posting_aiolocust.py", *alone, "-H", url]
        return [*command, "-e", f"URL={url}", "-e", f"USERS={users}", ROOT / "bench/k6.js"]

    @contextlib.contextmanager
    def _running(self, name: str, url: str) -> Iterator[int]:
        """Run a generator; the process id of that on the load's core."""
        started: list[subprocess.Popen[bytes]] = []
        # A state folder for each turn: what a turn leaves behind was cut off, and would be gone on with.
        env = locust_env(TRAFFIC_ORDER="file", TRAFFIC_STATE_DIR=tempfile.mkdtemp(prefix="state-", dir=self.folder))

        def start(core: int, *command: object) -> int:
            with (self.folder / f"{name}.log").open("a") as log:
                started.append(
                    subprocess.Popen(pinned(core, *command), env=env, cwd=self.folder, stdout=log, stderr=log)
                )
            return started[-1].pid

        locust = (sys.executable, "-m", "locust", "-f", LOCUSTFILES / f"{name}.py", "--host", url)
        many = ("--headless", "--only-summary", "-u", self.users, "-r", 1000)
        if name in self.found:
            chosen = start(LOAD_CORE, *self._peer(name, url))
        elif name not in FED:
            chosen = start(LOAD_CORE, *locust, *many)
        else:
            port, file = some_port(), write_records(self.folder / "many.json", FED_RECORDS)
            bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", 1)
            start(SERVER_CORE, *locust, *many, *bind, "--traffic-file", file)
            chosen = start(LOAD_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
        try:
            yield chosen
        finally:
            end(started)

    def take(self, name: str) -> tuple[float, float]:
        """One turn: requests a second, and microseconds of CPU a request."""
        with Server(self.folder) as server, self._running(name, server.url) as pid:
            deadline = time.monotonic() + 60
            while server.counts().posts < 100:
                if time.monotonic() > deadline:
                    raise TimeoutError((self.folder / f"{name}.log").read_text()[-3000:])
                time.sleep(0.05)
            time.sleep(WARM_S)
            before, cpu, at = server.counts().posts, cpu_s(pid), time.monotonic()
            time.sleep(self.seconds)
            count, used, took = server.counts().posts - before, cpu_s(pid) - cpu, time.monotonic() - at
        return count / took, used / count * 1e6


def main() -> None:
    """Take the turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    names = asked.only.split(",")
    found = peers.get(names)
    missing = {name: peer.missing for name, peer in found.items() if peer.missing}
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in names if name not in missing}
    with tempfile.TemporaryDirectory() as folder:
        taking = Turns(Path(folder), asked.seconds, asked.users, found)
        for number in range(asked.rounds):
            for name, its in turns.items():
                its.append(taking.take(name))
                print(f"round {number + 1}: {name:12} {its[-1][0]:10,.0f}/s {its[-1][1]:8.1f} us", file=sys.stderr)
    versions = {name: peer.version for name, peer in found.items() if peer.version}
    asked_for = {"rounds": asked.rounds, "seconds": asked.seconds, "users": asked.users}
    part = results.part(asked_for, versions=versions, missing=missing, turns=turns)
    print(tables.request(part))
    if asked.out:
        results.keep(asked.out, "request", part)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
