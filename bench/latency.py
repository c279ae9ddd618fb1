"""Whether reported response times are honest: wrk's and ReplayUser's for a server that waits a known time.

    python bench/latency.py [--delay-ms 20] [--seconds 5]

Shown are the mean and the median in milliseconds, at 10 and at 1,000 users.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from parts import LOAD_CORE, ROOT, Server, pinned
from users import CONSTANT

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def by_wrk(url: str, users: int, seconds: float) -> tuple[float, float]:
    """Mean and median as wrk tells them."""
    script = ROOT / "bench/new_record.lua"
    command = pinned(LOAD_CORE, "wrk", "-t1", f"-c{users}", f"-d{seconds:.0f}s", "--latency", "-s", script, url)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Latency\s+([0-9.]+)(us|ms|s)\s", said), re.search(r"50%\s+([0-9.]+)(us|ms|s)", said)
    mean, median = (float(one[1]) * UNITS[one[2]] for one in found if one is not None)
    return mean, median


def by_replay(folder: Path, url: str, users: int, seconds: float) -> tuple[float, float]:
    """Mean and median as Locust's statistics have them."""
    locustfile = folder / "constant.py"
    locustfile.write_text(CONSTANT)
    many = ("--headless", "--json", "-u", users, "-r", 1000, "-t", f"{seconds:.0f}s", "--host", url)
    command = pinned(LOAD_CORE, sys.executable, "-m", "locust", "-f", locustfile, *many)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "locust")}
    said = subprocess.run(command, env=env, cwd=folder, check=True, capture_output=True, text=True).stdout
    (row,) = json.loads(said)
    half, seen = row["num_requests"] / 2, 0
    for ms, count in sorted((float(ms), count) for ms, count in row["response_times"].items()):
        seen += count
        if seen >= half:
            return row["total_response_time"] / row["num_requests"], ms
    raise ValueError("no request was answered")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay-ms", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    print(f"{'users':>6} {'wrk mean':>9} {'ours':>7} {'ratio':>6} {'wrk median':>11} {'ours':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for users in (10, 1000):
            with Server(Path(folder), "--delay-ms", asked.delay_ms) as server:
                its = by_wrk(server.url, users, asked.seconds)
            with Server(Path(folder), "--delay-ms", asked.delay_ms) as server:
                mine = by_replay(Path(folder), server.url, users, asked.seconds)
            print(f"{users:6} {its[0]:9.2f} {mine[0]:7.2f} {mine[0] / its[0]:6.3f} {its[1]:11.2f} {mine[1]:7.0f}")


if __name__ == "__main__":
    main()
