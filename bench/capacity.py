"""What one master can deal: records handed out and booked a second, its CPU a record, and its memory.

    python bench/capacity.py [--records 3000000] [--workers 1,2,4,8,16,32] [--rounds 3] [--paced 50000]

The master is the product's, without its web UI: its journal is on a disk (--folder), its wire is Locust's, over TCP on
this machine. It has one core; the workers, which merely count (bench/counting_workers.py), have the other, up to eight
of them in one process. Rate and CPU are those of the middle four fifths of a run; "peak" is the largest resident
set of the whole. Each number of workers has its turn in each round; medians are shown, and the range of the rates.
Four workers that together take --paced records a second have a turn in each round, too.
A run that did not deliver every record in one attempt fails.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from parts import LOAD_CORE, ROOT, SERVER_CORE, cpu_s, peak_mb, pinned, write_records

MOST_IN_ONE_PROCESS = 8
PACED_WORKERS = 4
PACED_S = 15
LOCUSTFILE = """
from traffic import RecordUser

class Counting(RecordUser):
    pass
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run: records a second, microseconds of the master's CPU a record, the core it took, its peak in MB."""

    rate: float
    cpu_us: float
    core: float
    peak_mb: float


class Deal:
    """One run of the master with counting workers. `rate` is what all together take in a second, 0: what they get."""

    def __init__(self, folder: Path, records: int, workers: int, rate: float, order: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="deal-", dir=folder))
        self.records, self.workers, self._rate = records, workers, rate
        self._file, self._order = write_records(folder / f"{records}.json", records), order
        self._processes = -(-workers // MOST_IN_ONE_PROCESS)
        np.zeros(self._processes, np.int64).tofile(self.folder / "counts")
        self._env = {**os.environ, "TRAFFIC_STATE_DIR": str(self.folder / "state")}

    def run(self) -> Figures:
        """Do it."""
        port = 20000 + os.getpid() % 20000
        with (self.folder / "log").open("w") as log:
            started = [
                subprocess.Popen(command, env=self._env, cwd=self.folder, stdout=log, stderr=log)
                for command in (self._master(port), *(self._counting(slot, port) for slot in range(self._processes)))
            ]
            try:
                figures = self._watch(started[0])
            finally:
                for process in started:
                    process.kill()
                    process.wait()
        self._check()
        return figures

    def _master(self, port: int) -> list[str]:
        file = self.folder / "counting.py"
        file.write_text(LOCUSTFILE)
        many = ("--headless", "--only-summary", "-u", self.workers, "-r", self.workers)
        bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        traffic = ("--traffic-file", self._file, "--traffic-order", self._order, "--host", "http://127.0.0.1:9")
        locust = (sys.executable, "-m", "locust", "-f", file, *many, *bind, "--expect-workers", self.workers)
        return pinned(SERVER_CORE, *locust, *traffic)

    def _counting(self, slot: int, port: int) -> list[str]:
        here = self.workers // self._processes + (slot < self.workers % self._processes)
        rate = ("--rate", self._rate / self.workers)
        script = ROOT / "bench/counting_workers.py"
        return pinned(LOAD_CORE, sys.executable, script, port, here, self.folder / "counts", slot, *rate)

    def _watch(self, master: subprocess.Popen[bytes]) -> Figures:
        """Look at the run until it is over."""
        counts = np.memmap(self.folder / "counts", np.int64, "r")
        seen: list[tuple[float, int, float]] = []
        peak = 0.0
        while master.poll() is None:
            try:
                seen.append((time.monotonic(), int(counts.sum()), cpu_s(master.pid)))
                peak = peak_mb(master.pid)
            except (OSError, IndexError):  # it has just ended
                break
            time.sleep(0.02)
        middle = [one for one in seen if self.records // 10 <= one[1] <= self.records * 9 // 10]
        if len(middle) < 2:
            raise SystemExit(f"the run was too short to be measured, or never began:\n{self._log()}")
        (began, first, before), (ended, last, after) = middle[0], middle[-1]
        cpu = after - before
        return Figures((last - first) / (ended - began), 1e6 * cpu / (last - first), cpu / (ended - began), peak)

    def _check(self) -> None:
        report = self.folder / "state/report.json"
        counts = json.loads(report.read_text())["counts"] if report.exists() else {}
        if not counts.get("delivered") == counts.get("attempts") == self.records:
            raise SystemExit(f"not every record was delivered at once: {counts}\n{self._log()}")

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]


def row(name: str, runs: list[Figures]) -> str:
    """The medians of some runs, as a line of a Markdown table."""
    rates = [one.rate for one in runs]
    spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
    cpu, core, peak = (statistics.median(getattr(one, what) for one in runs) for what in ("cpu_us", "core", "peak_mb"))
    return f"| {name} | {statistics.median(rates):,.0f} | {spread} | {cpu:.2f} | {core:.2f} | {peak:.0f} |"


def main() -> None:
    """Do the runs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("--workers", default="1,2,4,8,16,32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paced", type=int, default=50_000, help="records a second of all; 0: leave that out")
    parser.add_argument("--order", default="random", choices=["random", "file"])
    parser.add_argument("--folder", default="/var/tmp", help="on a disk, for the journal")
    asked = parser.parse_args()
    workers = [int(one) for one in asked.workers.split(",") if one]
    paced_records = asked.paced * PACED_S
    kinds = {f"{count}": (asked.records, count, 0) for count in workers}
    if asked.paced:
        kinds[f"{PACED_WORKERS}, paced"] = (paced_records, PACED_WORKERS, asked.paced)
    made: dict[str, list[Figures]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory(prefix="bench-capacity-", dir=asked.folder) as folder:
        for _ in range(asked.rounds):
            for name, (records, count, rate) in kinds.items():
                made[name].append(Deal(Path(folder), records, count, rate, asked.order).run())
                print(name, made[name][-1], file=sys.stderr, flush=True)
    print(f"Python {platform.python_version()}, {asked.records:,} records, order {asked.order}, {asked.rounds} rounds,")
    print(f"load average {os.getloadavg()[2]:.1f} over the last quarter of an hour\n")
    print("| workers | records/s | range | master's CPU, us a record | master's core | master's peak, MB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, runs in made.items():
        print(row(name, runs))


if __name__ == "__main__":
    main()
