"""What a run with a rate does when workers and masters come and go, by the arrivals that the server saw.

    python bench/pace_faults.py churn [--rate 1000] [--rounds 3]
    python bench/pace_faults.py returns [--rate 1000] [--rounds 3]

churn: of four workers one is killed, one is sent away (SIGTERM), and one is added, ten seconds apart. returns: a person
pauses the run for four seconds; then the master is killed, and started again at once.

Counts are of every second that begins at a tenth of a second. "lowest" and "highest" are the least and the most of
them within eight seconds from the event on, as shares of the rate; "below 99 %": for how long they were. "late": how
many records came more than 100 ms after they were due, and the latest of all. "afterwards": the most by which a count
differs from the rate, from eight seconds after the event to the next one. Medians of the rounds.

The master has the server's core, the workers the other. Processes are killed by their own ids.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import parts
import results
from parts import LOAD_CORE, SERVER_CORE, Arrivals, Server, locust_env, pinned
from web import fetch, until

WORKERS = 4
APART_S = 10.0
STEP_S, AFTER_S = 0.1, 8.0
LATE_S = 0.1
PAUSE_S = 4.0
# A worker that is killed is given up after its lease: 5 s.
USERS_A_SECOND = 25


class Stack:
    """A master with its web UI, and workers, whose processes a bench ends and adds."""

    def __init__(self, folder: Path, server: Server, records: int, rate: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stack-", dir=folder))
        self.log = self.folder / "log"
        self._out = self.log.open("ab")
        self._port, self._web_port = parts.some_port(), parts.some_port()
        self.web = f"http://127.0.0.1:{self._web_port}"
        self._host, self._users = server.url, max(WORKERS * 2, round(rate / USERS_A_SECOND))
        self._env = locust_env(
            TRAFFIC_FILE=parts.write_records(folder / f"{records}.json", records),
            TRAFFIC_STATE_DIR=self.folder / "state",
            TRAFFIC_ORDER="file",
            TRAFFIC_RATE=f"{rate:g}/s",
        )
        self._started: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_master()
        for _ in range(WORKERS):
            self.add_worker()

    def _begin(self, core: int, *arguments: object) -> subprocess.Popen[bytes]:
        command = pinned(core, sys.executable, "-m", "locust", "-f", parts.LOCUSTFILES / "replay.py", *arguments)
        made = subprocess.Popen(command, env=self._env, cwd=self.folder, stdout=self._out, stderr=self._out)
        self._started.append(made)
        return made

    def start_master(self) -> None:
        """Start a master: the first, or one after the other was killed."""
        ports = ("--master-bind-port", self._port, "--web-host", "127.0.0.1", "--web-port", self._web_port)
        self.master = self._begin(SERVER_CORE, "--master", "--master-bind-host", "127.0.0.1", *ports)

    def add_worker(self) -> None:
        """Start one worker more."""
        self.workers.append(
            self._begin(LOAD_CORE, "--worker", "--master-host", "127.0.0.1", "--master-port", self._port)
        )

    def start_run(self) -> None:
        """Wait for the workers, and press Start."""
        until(lambda: fetch(f"{self.web}/stats/requests").count('"ready"') >= WORKERS, "the workers", self.log)
        form = {"user_count": self._users, "spawn_rate": 1000, "host": self._host}
        threading.Thread(target=fetch, args=(f"{self.web}/swarm", form), daemon=True).start()

    def press(self, act: str) -> None:
        """Press Pause, or Go on."""
        if not json.loads(fetch(f"{self.web}/traffic/{act}", {}) or "{}").get("ok"):
            raise SystemExit(f"{act} was refused")

    def wait_for_the_end(self) -> dict[str, Any]:
        """Wait until the run is completed; return its status."""
        status: dict[str, Any] = {}

        def completed() -> bool:
            status.update(json.loads(fetch(f"{self.web}/traffic/status") or "{}"))
            time.sleep(STEP_S)
            return status.get("state") == "completed"

        until(completed, "the end of the run", self.log)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        parts.end(self._started)
        self._out.close()


@dataclass(frozen=True, slots=True)
class Event:
    """What was done to a run, and what the server saw of it; shares of the rate, seconds."""

    name: str
    lowest: float
    highest: float
    below_s: float
    late: int
    latest_s: float
    afterwards: float


def seen(name: str, arrivals: Arrivals, rate: float, begin: float, until_s: float, *, planned: bool) -> Event:
    """Reckon an event at `begin`, until the next one. `planned`: the schedule did not stand still before, or here."""
    ordered = np.sort(arrivals["at"])
    starts = np.arange(begin - 1.0, until_s - 1.0, STEP_S)
    counts = (np.searchsorted(ordered, starts + 1.0) - np.searchsorted(ordered, starts)) / rate
    near = starts <= begin + AFTER_S
    late = arrivals["at"] - arrivals["number"] / rate
    late = late - late.min()
    here = (arrivals["at"] >= begin) & (arrivals["at"] < until_s)
    return Event(
        name=name,
        lowest=float(counts[near].min()),
        highest=float(counts[near].max()),
        below_s=float((counts[near] < 0.99).sum() * STEP_S),
        late=int((late[here] > LATE_S).sum()) if planned else 0,
        latest_s=float(late[here].max()) if planned else 0.0,
        afterwards=float(np.abs(counts[~near] - 1).max()) if (~near).any() else 0.0,
    )


def run_with(folder: Path, rate: float, acts: dict[str, Callable[[Stack], None]], *, planned: bool) -> list[Event]:
    """One run, with an act every `APART_S` seconds."""
    records, log = round(rate * APART_S * (len(acts) + 1)), folder / "arrivals"
    with Server(folder, "--log", log) as server, Stack(folder, server, records, rate) as stack:
        stack.start_run()
        until(lambda: server.counts().posts > 0, "the first POST", stack.log)
        begun = time.monotonic()
        times = []
        for nth, act in enumerate(acts.values()):
            time.sleep(max(0.0, begun + (nth + 0.8) * APART_S - time.monotonic()))
            times.append(time.monotonic())
            act(stack)
        status = stack.wait_for_the_end()
        arrivals = server.arrivals(log)
    counts = status["counts"]
    once = np.bincount(arrivals["number"].astype(np.int64), minlength=records)
    if counts["delivered"] != records or int((once == 0).sum()):
        raise SystemExit(f"{len(arrivals)} of {records} arrived: {counts}")
    planned_s, twice = status["pace"]["planned_s"], int((once > 1).sum())
    print(f"planned {planned_s} s, {records} records, {twice} came twice", file=sys.stderr)
    ends = [*times[1:], float(arrivals["at"].max())]
    named = zip(acts, times, ends, strict=True)
    return [seen(name, arrivals, rate, begin, stop, planned=planned) for name, begin, stop in named]


def kill_worker(stack: Stack) -> None:
    """Kill a worker, as a crash does."""
    stack.workers[0].kill()


def send_worker_away(stack: Stack) -> None:
    """End a worker in an orderly way."""
    stack.workers[1].send_signal(signal.SIGTERM)


def pause(stack: Stack) -> None:
    """Pause the run for some seconds."""
    stack.press("pause")
    time.sleep(PAUSE_S)
    stack.press("go-on")


def kill_master(stack: Stack) -> None:
    """Kill the master, and start it again."""
    stack.master.kill()
    stack.master.wait()
    stack.start_master()


Acts = dict[str, Callable[[Stack], None]]
CHURN: Acts = {
    "a worker is killed": kill_worker,
    "a worker is sent away": send_worker_away,
    "a worker joins": Stack.add_worker,
}
RETURNS: Acts = {"a pause of 4 s": pause, "the master is killed, and started again": kill_master}


def row(event: Event) -> str:
    """A line of the table."""
    return (
        f"{event.name:<42}{event.lowest:>9.1%}{event.highest:>9.1%}{event.below_s:>12.1f}{event.late:>8}"
        f"{event.latest_s:>10.2f}{event.afterwards:>12.1%}"
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("churn", "returns"))
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    acts: Acts = CHURN if asked.what == "churn" else RETURNS
    with tempfile.TemporaryDirectory() as name:
        rounds = [run_with(Path(name), asked.rate, acts, planned=acts is CHURN) for _ in range(asked.rounds)]
    print(f"{'':<42}{'lowest':>9}{'highest':>9}{'below 99 % s':>13}{'late':>7}{'latest s':>10}{'afterwards':>12}")
    rows = []
    for nth, name in enumerate(acts):
        figures = [asdict(one[nth]) for one in rounds]
        middle = {field: statistics.median(one[field] for one in figures) for field in figures[0] if field != "name"}
        event = Event(name=name, **middle)
        print(row(event))
        rows.append(asdict(event))
    if asked.out:
        asked_for = {name: value for name, value in vars(asked).items() if name != "out"}
        results.keep(asked.out, f"pace_{asked.what}", results.part(asked_for, rows=rows))


if __name__ == "__main__":
    main()
