"""N distinct records once, from a file to a counting server: what the whole of it takes.

    python bench/whole_job.py [--records 200000] [--workers 2] [--users 50] [--kind replay|record]

The workers share one core; the master and a server in C that answers 201 share another. Printed as JSON: records a
second from the first record to the last, CPU seconds and peak memory of master and workers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WORKER_CORE, OTHER_CORE = 0, 1
LOCUSTFILES = {
    "replay": "from traffic import ReplayUser\nclass Replay(ReplayUser):\n    pass\n",
    "record": "from traffic import RecordUser, task\n"
    "class Posting(RecordUser):\n    @task\n    def post(self):\n        self.deliver_next()\n",
}


def build_server(folder: Path) -> Path:
    """Compile the server that answers 201."""
    made = folder / "answers_201"
    subprocess.run(["gcc", "-O2", "-o", made, ROOT / "bench/answers_201.c"], check=True)
    return made


def pinned(core: int, *command: object) -> list[str]:
    """A command that keeps to one core."""
    return ["taskset", "-c", str(core), *map(str, command)]


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Server:
    """The server in C; `counts` are its answers, and the distinct keys in them."""

    def __init__(self, binary: Path, *options: str) -> None:
        self._process = subprocess.Popen(pinned(OTHER_CORE, binary, *options), stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> tuple[int, int]:
        """End it; what it counted."""
        self._process.terminate()
        answered, distinct = map(int, self._line().split())
        self._process.wait()
        return answered, distinct


def write_records(file: Path, count: int) -> None:
    """A traffic file of `count` distinct records of about 90 bytes."""
    with file.open("w") as out:
        out.write("[")
        for at in range(count):
            record = {"name": "Ana Maria Nunez", "msg": f"a message of about fifty letters, as in the data, {at}"}
            out.write((",\n" if at else "") + json.dumps(record))
        out.write("]")


def run(folder: Path, kind: str, records: int, workers: int, users: int) -> dict[str, Any]:
    """One job; its figures."""
    file = folder / f"{records}.json"
    if not file.exists():
        write_records(file, records)
    server = Server(build_server(folder))
    locustfile = folder / f"{kind}.py"
    locustfile.write_text(LOCUSTFILES[kind])
    state = folder / f"state-{time.monotonic_ns()}"
    port = 20000 + os.getpid() % 20000
    env = {**os.environ, "PYTHONPATH": str(ROOT / "locust"), "TRAFFIC_WAIT": "0", "TRAFFIC_STATE_DIR": str(state)}
    locust = [sys.executable, "-m", "locust", "-f", locustfile]
    master = subprocess.Popen(
        pinned(
            OTHER_CORE, *locust, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port,
            "--headless", "--only-summary", "--expect-workers", workers, "-u", users, "-r", 1000,
            "--host", f"http://127.0.0.1:{server.port}", "--traffic-file", file,
        ),
        env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=(folder / "master.log").open("w"),
    )  # fmt: skip
    command = pinned(WORKER_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
    log = (folder / "worker.log").open("w")
    crew = [
        subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=log) for _ in range(workers)
    ]
    everyone = [master, *crew]
    peaks, spent = [0.0] * len(everyone), [0.0] * len(everyone)
    while any(one.poll() is None for one in everyone):
        for at, one in enumerate(everyone):
            try:
                peaks[at], spent[at] = peak_mb(one.pid), cpu_s(one.pid)
            except (OSError, IndexError):
                continue
        time.sleep(0.05)
    answered, distinct = server.close()
    report = json.loads((state / "report.json").read_text())
    return {
        "kind": kind,
        "records_s": round(report["rate"]) if report.get("rate") else None,
        "seconds": report.get("duration_s"),
        "counts": report["counts"],
        "answered": answered,
        "distinct": distinct,
        "master_cpu_s": round(spent[0], 2),
        "workers_cpu_s": round(sum(spent[1:]), 2),
        "master_mb": round(peaks[0]),
        "worker_mb": round(max(peaks[1:])),
    }


def main() -> None:
    """Run one job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--kind", choices=sorted(LOCUSTFILES), default="replay")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), asked.kind, asked.records, asked.workers, asked.users)))


if __name__ == "__main__":
    main()
