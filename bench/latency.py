"""Whether reported response times are honest: wrk's and ReplayUser's for a server that waits a known time.

    python bench/latency.py [--delay-ms 100] [--seconds 10] [--users 10,1000] [--out FILE]

Both begin their connections spread over the first second: requests that all leave at once wait for each other at the
server and at the generator, for as long as the connections last, and a mean of such bursts says more of the burst than
of who measured. Beside what each reports stands what the server says of the same requests: the mean time from having
read them to having written the answer, which nobody can undercut. Means are in milliseconds.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
import results
import tables
from parts import LOAD_CORE, LOCUSTFILES, ROOT, Server, locust_env, pinned

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def by_wrk(wrk: peers.Peer, url: str, users: int, seconds: float) -> float:
    """Return the mean that wrk reports."""
    script = ROOT / "bench/spread.lua"
    many = ("-t1", f"-c{users}", f"-d{seconds:.0f}s", "-s", script, url, "--", users)
    said = subprocess.run(pinned(LOAD_CORE, *wrk.command, *many), check=True, capture_output=True, text=True).stdout
    found = re.search(r"Latency\s+([0-9.]+)(us|ms|s)\s", said)
    assert found, said
    return float(found[1]) * UNITS[found[2]]


def by_replay(folder: Path, url: str, users: int, seconds: float) -> float:
    """The mean as Locust's statistics have it."""
    many = ("--headless", "--json", "-u", users, "-r", max(10, users), "-t", f"{seconds:.0f}s", "--host", url)
    command = pinned(LOAD_CORE, sys.executable, "-m", "locust", "-f", LOCUSTFILES / "constant.py", *many)
    said = subprocess.run(command, env=locust_env(), cwd=folder, check=True, capture_output=True, text=True).stdout
    (row,) = json.loads(said)
    return float(row["total_response_time"] / row["num_requests"])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay-ms", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--users", default="10,1000")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    wrk = peers.get(["wrk"])["wrk"]
    if wrk.missing:
        sys.exit("without wrk there is nothing to hold the response times against")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for users in map(int, asked.users.split(",")):
            with Server(folder, "--delay-ms", asked.delay_ms) as server:
                its = {"mean": by_wrk(wrk, server.url, users, asked.seconds), "server": server.counts().mean_ms}
            with Server(folder, "--delay-ms", asked.delay_ms) as server:
                mine = {"mean": by_replay(folder, server.url, users, asked.seconds), "server": server.counts().mean_ms}
            rows.append({"users": users, "wrk": its, "replay": mine})
    asked_for = {"delay_ms": asked.delay_ms, "seconds": asked.seconds}
    part = results.part(asked_for, versions={"wrk": wrk.version}, rows=rows)
    print(tables.latency(part))
    if asked.out:
        results.keep(asked.out, "latency", part)


if __name__ == "__main__":
    main()
