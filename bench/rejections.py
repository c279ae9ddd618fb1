"""What a rejection costs beside a delivery: one file to an API that answers all of it 201, and to one that says 400.

    python bench/rejections.py [--records 300000] [--workers 2] [--users 50] [--rounds 3] [--answers 201,400,400+]

400+: no two answers are alike, as each names its record. The API is bench/answers_201.c, the workers are ReplayUsers;
the workers share one core, the master and the API the other. The answers take turns in each round. A run in which a
record came twice, or a lease lapsed, fails: nothing is broken here.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from parts import (
    LOAD_CORE,
    ROOT,
    SERVER_CORE,
    Server,
    cpu_s,
    end,
    locust_env,
    peak_mb,
    pinned,
    some_port,
    write_records,
)

LAPSED = ("reclaimed from", "is not held by")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run: seconds of all, of CPU of the master, of CPU of the workers; the master's peak in MB."""

    seconds: float
    master_s: float
    workers_s: float
    peak_mb: float
    lapses: int
    resent: int
    posts: int


def run(folder: Path, records: int, workers: int, users: int, answer: str) -> Figures:
    """Deliver the file to an API that answers a status; with a +, each time with another body."""
    how = ("--status", answer.rstrip("+"), "--names", int("+" in answer))
    file, state = write_records(folder / f"{records}.json", records), folder / f"state-{time.monotonic_ns()}"
    with Server(folder, *how) as server, (folder / "log").open("w+") as log:
        port = some_port()
        locust = (sys.executable, "-m", "locust", "-f", ROOT / "locust/replay_locustfile.py", "--host", server.url)
        many = ("--headless", "--only-summary", "-u", users, "-r", 1000, "--expect-workers", workers)
        bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--traffic-file", file)
        join = pinned(LOAD_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
        commands = [pinned(SERVER_CORE, *locust, *many, *bind), *[join] * workers]
        env = locust_env(TRAFFIC_STATE_DIR=state, TRAFFIC_BRAKE="off")
        began = time.monotonic()
        started = [subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log) for command in commands]
        cpu, peak = [0.0] * len(started), 0.0
        try:
            while started[0].poll() is None:
                with suppress(OSError, IndexError):  # one has ended
                    cpu, peak = [cpu_s(process.pid) for process in started], peak_mb(started[0].pid)
                time.sleep(0.02)
        finally:
            end(started)
        seconds = time.monotonic() - began
        posts = server.counts().posts
        log.seek(0)
        text = log.read()
    if not (state / "report.json").exists():
        raise SystemExit(f"no report was written: {text[-3000:]}")
    counts = json.loads((state / "report.json").read_text())["counts"]
    lapses = sum(text.count(one) for one in LAPSED)
    return Figures(seconds, cpu[0], sum(cpu[1:]), peak, lapses, counts["resent"], posts)


def main() -> None:
    """Do the runs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--answers", default="201,400,400+")
    asked = parser.parse_args()
    made: dict[str, list[Figures]] = {answer: [] for answer in asked.answers.split(",")}
    with tempfile.TemporaryDirectory(prefix="bench-rejections-") as folder:
        for _ in range(asked.rounds):
            for answer, runs in made.items():
                runs.append(run(Path(folder), asked.records, asked.workers, asked.users, answer))
                print(answer, runs[-1], file=sys.stderr, flush=True)
    print(f"{asked.records:,} records, {asked.workers} workers, {asked.users} users, {asked.rounds} rounds\n")
    print("| answer | seconds | master's CPU, us a record | workers' CPU, us a record | master's peak, MB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for answer, runs in made.items():
        seconds, peak = (statistics.median(getattr(one, what) for one in runs) for what in ("seconds", "peak_mb"))
        master, workers = (
            statistics.median(getattr(one, what) for one in runs) / asked.records * 1e6
            for what in ("master_s", "workers_s")
        )
        print(f"| {answer} | {seconds:.1f} | {master:.1f} | {workers:.1f} | {peak:.0f} |")
    broken = [one for runs in made.values() for one in runs if one.lapses or one.resent or one.posts != asked.records]
    if broken:
        raise SystemExit(f"in {len(broken)} runs a lease lapsed or a record came twice: {broken}")


if __name__ == "__main__":
    main()
