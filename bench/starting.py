"""From Start to the first POST, and what master and worker hold then, for files of several sizes.

    python bench/starting.py [--records 100,10000,100000,1000000,10000000] [--rounds 3] [--seconds 3]

A real master with its web UI and one worker process with ReplayUser; the server is bench/answers_201.c. Start is a POST
to /swarm, as the form sends it. "first" is of a file that this state folder has never seen; "second" is of the same
file after both processes were started anew. Peaks are those of the processes --seconds after the first POST, or at the
run's end; then they are killed. Medians, and the range of the times.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import make_data
from parts import LOAD_CORE, LOCUSTFILES, SERVER_CORE, Server, peak_mb, pinned
from web import fetch, until

# A file written to within the last 2 s is not known again by its times.
SETTLED_S = 3.0


def start(folder: Path, file: Path, state: Path, seconds: float) -> tuple[float, float, float]:
    """One start of new processes: seconds to the first POST, and the peaks of master and worker in MB."""
    port = 20000 + os.getpid() % 20000
    web = f"http://127.0.0.1:{port + 1}"
    log = folder / "log"
    env = {**os.environ, "TRAFFIC_WAIT": "0", "TRAFFIC_STATE_DIR": str(state)}
    env |= {"TRAFFIC_FILE": str(file), "TRAFFIC_RESUME": "no"}
    locust = (sys.executable, "-m", "locust", "-f", LOCUSTFILES / "replay.py")
    ports = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--web-host", "127.0.0.1")
    lead = pinned(SERVER_CORE, *locust, "--master", *ports, "--web-port", port + 1)
    join = pinned(LOAD_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
    with Server(folder) as server, log.open("w") as out:
        started = [subprocess.Popen(one, env=env, cwd=folder, stdout=out, stderr=out) for one in (lead, join)]
        try:
            until(lambda: '"ready"' in fetch(f"{web}/stats/requests").partition('"workers"')[2], "the worker", log)
            form: dict[str, object] = {"user_count": 10, "spawn_rate": 1000, "host": server.url, "traffic_file": file}
            began = time.monotonic()
            # In a thread: the answer comes when the run has been made, and that may be after the first POST.
            threading.Thread(target=fetch, args=(f"{web}/swarm", form), daemon=True).start()
            until(lambda: server.counts()[0] > 0, "the first POST", log)
            took = time.monotonic() - began
            time.sleep(seconds)
            return took, peak_mb(started[0].pid), peak_mb(started[1].pid)
        finally:
            for one in started:
                one.kill()
                one.wait()


def row(records: int, name: str, starts: list[tuple[float, float, float]]) -> str:
    """A line of the table."""
    took, master, worker = zip(*starts, strict=True)
    spread = f"{min(took):.3f} to {max(took):.3f}"
    middle = [statistics.median(each) for each in (took, master, worker)]
    return f"| {records:,} | {name} | {middle[0]:.3f} | {spread} | {middle[1]:.0f} | {middle[2]:.0f} |"


def main() -> None:
    """Do the starts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="100,10000,100000,1000000,10000000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="from the first POST until memory is looked at")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {asked.rounds} rounds, load average {os.getloadavg()[2]:.1f}\n")
    print("| records | start | s to the first POST | range | master's peak, MB | worker's peak, MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="bench-starting-") as name:
        folder = Path(name)
        for records in map(int, asked.records.split(",")):
            file, state = folder / f"{records}.json", folder / "state"
            make_data.write(file, records, seed=1)
            time.sleep(SETTLED_S)
            made: dict[str, list[tuple[float, float, float]]] = {"first": [], "second": []}
            for _ in range(asked.rounds):
                shutil.rmtree(state, ignore_errors=True)
                for kind, starts in made.items():
                    starts.append(start(folder, file, state, asked.seconds))
                    print(records, kind, starts[-1], file=sys.stderr, flush=True)
            for kind, starts in made.items():
                print(row(records, kind, starts), flush=True)
            file.unlink()


if __name__ == "__main__":
    main()
