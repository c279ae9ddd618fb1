"""The whole job: N distinct records once, from a file to a server in C that counts them.

    python bench/whole_job.py [--records 1000000] [--workers 2] [--users 50] [--rounds 3] [--only replay,record]

The workers share one core; the master and the server share the other. All kinds take turns in each round, each with its
own number of records, since one is slower (--record-records). Medians are shown: records a second from the run's start
to its end, CPU of the master and of all workers a record, start-up included, and the peak of their memory. A job
whose server did not count every record exactly once fails.

replay: ReplayUser. record: RecordUser. TRAFFIC_WAIT=0, an order by seed, nothing else changed.
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
from pathlib import Path

from parts import LOAD_CORE, ROOT, SERVER_CORE, Server, cpu_s, peak_mb, pinned, write_records
from users import FED

FIGURES = ("records/s", "master us", "workers us", "master MB", "worker MB")


def job(folder: Path, kind: str, records: int, workers: int, users: int) -> tuple[float, ...]:
    """One job; its FIGURES."""
    file, state = write_records(folder / f"{records}.json", records), folder / f"state-{time.monotonic_ns()}"
    locustfile = folder / f"{kind}.py"
    locustfile.write_text(FED[kind])
    port = 20000 + os.getpid() % 20000
    env = {**os.environ, "PYTHONPATH": str(ROOT / "locust"), "TRAFFIC_WAIT": "0", "TRAFFIC_STATE_DIR": str(state)}
    locust = (sys.executable, "-m", "locust", "-f", locustfile)
    many = ("--headless", "--only-summary", "-u", users, "-r", 1000, "--expect-workers", workers)
    with Server(folder) as server, (folder / "job.log").open("w") as log:
        bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        lead = pinned(SERVER_CORE, *locust, *many, *bind, "--host", server.url, "--traffic-file", file)
        join = pinned(LOAD_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
        started = [
            subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log)
            for command in (lead, *[join] * workers)
        ]
        try:
            cpu, memory = watch(started)
        finally:
            for process in started:
                process.kill()
                process.wait()
        answered, distinct = server.counts()
    report = json.loads((state / "report.json").read_text())
    # The master asks the target for its audit, once: that is a request more.
    if not (report["counts"]["delivered"] == distinct == records and answered - records in (0, 1)):
        raise SystemExit(f"{kind}: {answered} requests with {distinct} keys for {report['counts']}")
    return report["rate"], cpu[0] / records * 1e6, sum(cpu[1:]) / records * 1e6, memory[0], max(memory[1:])


def watch(started: list[subprocess.Popen[bytes]]) -> tuple[list[float], list[float]]:
    """Wait for the end; the CPU and the peak memory of each process."""
    cpu, memory = [0.0] * len(started), [0.0] * len(started)
    while any(process.poll() is None for process in started):
        for at, process in enumerate(started):
            if process.poll() is None:
                try:
                    cpu[at], memory[at] = cpu_s(process.pid), peak_mb(process.pid)
                except (OSError, IndexError):  # it has just ended
                    continue
        time.sleep(0.05)
    return cpu, memory


def main() -> None:
    """Do the jobs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--record-records", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="replay,record")
    asked = parser.parse_args()
    made: dict[str, list[tuple[float, ...]]] = {name: [] for name in asked.only.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(asked.rounds):
            for name, jobs in made.items():
                records = asked.records if name == "replay" else min(asked.records, asked.record_records)
                jobs.append(job(Path(folder), name, records, asked.workers, asked.users))
    print(f"Python {platform.python_version()}, {asked.rounds} rounds, {asked.workers} workers, {asked.users} users")
    print(f"{'':8}" + "".join(f"{figure:>12}" for figure in FIGURES))
    for name, jobs in made.items():
        print(f"{name:8}" + "".join(f"{statistics.median(figures):12,.1f}" for figures in zip(*jobs, strict=True)))


if __name__ == "__main__":
    main()
