"""The whole job: N distinct records, from a file to a server in C that counts them, by this project and by others.

    python bench/whole_job.py [--records 10000,100000,1000000] [--workers 1,2] [--users 50] [--rounds 1]
                              [--only replay,record] [--most record=100000] [--out FILE]

The workers share one core; the master and the server share the other. All kinds take turns in each round. --most is how
many records a kind is given at most, since some are slow: the table says how many it were. Figures: records a second,
by the server, from the first record to the last; the seconds from the start of the processes to the last record; CPU
of the master and of all workers a record, start-up included; the peaks of their memory; how many came, and how many
of them were distinct. A job of this project of which not every record came exactly once fails.

replay: ReplayUser. requests: the same, whose records are whole requests of three methods and a path each (it runs if
--only names it). record: RecordUser. distributor: FastHttpUser, which asks the master for each record by
locust-plugins' Distributor. static: FastHttpUser, its worker's slice dealt at the start in a custom message. k6: one
process, a SharedArray. The last three know no acknowledgement: what a worker held that dies is lost, and they do not
end by themselves; they are ended when all records have come, or none for some seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import peers
import results
import tables
from parts import (
    LOAD_CORE,
    LOCUSTFILES,
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
    write_requests,
)

OURS = ("replay", "record", "requests")
KINDS = ("replay", "record", "distributor", "static", "k6")
MOST = {"record": 100_000, "distributor": 50_000, "static": 100_000}
# So long nothing comes: then nothing more will.
STALLED_S = 10.0


class Job:
    """One job: the processes that do it, and what they have used."""

    def __init__(self, folder: Path, kind: str, records: int, workers: int, users: int) -> None:
        self.folder, self.kind, self.records, self.workers, self.users = folder, kind, records, workers, users
        if kind == "requests":
            self.file = write_requests(folder / f"{records}.jsonl", records)
        else:
            self.file = write_records(folder / f"{records}.json", records)
        self.state = folder / f"state-{time.monotonic_ns()}"

    def _commands(self, url: str, peer: peers.Peer | None) -> list[list[str]]:
        """The master's and the workers'; k6 has one process."""
        if self.kind == "k6" and peer:
            given = (f"URL={url}", f"USERS={self.users}", f"RECORDS={self.file}")
            told = [part for one in given for part in ("-e", one)]
            return [pinned(LOAD_CORE, *peer.command, *told, ROOT / "bench/k6.js")]
        python, port = peer.command[0] if peer else sys.executable, some_port()
        users = "replay" if self.kind == "requests" else self.kind
        locust = (python, "-m", "locust", "-f", LOCUSTFILES / f"{users}.py", "--host", url)
        many = ("--headless", "--only-summary", "-u", self.users, "-r", 1000, "--expect-workers", self.workers)
        bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        file = ("--traffic-file", self.file) if self.kind in OURS else ()
        join = pinned(LOAD_CORE, *locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
        return [pinned(SERVER_CORE, *locust, *many, *bind, *file), *[join] * self.workers]

    def run(self, peer: peers.Peer | None) -> dict[str, Any]:
        """Do it; its figures."""
        whole = {"TRAFFIC_RECORDS": "requests"} if self.kind == "requests" else {}
        env = locust_env(TRAFFIC_STATE_DIR=self.state, RECORDS=self.file, **whole)
        with Server(self.folder) as server, (self.folder / f"{self.kind}.log").open("w") as log:
            began = time.monotonic()
            started = [
                subprocess.Popen(command, env=env, cwd=self.folder, stdout=log, stderr=log)
                for command in self._commands(server.url, peer)
            ]
            try:
                seconds, cpu, memory = self._watch(server, started)
            finally:
                end(started)
            counts = server.counts()
        lead = [] if self.kind == "k6" else [0.0]
        self._check(counts.posts, counts.distinct)
        return {
            "kind": self.kind,
            "workers": self.workers,
            "records": self.records,
            "rate": counts.posts / counts.seconds if counts.seconds else 0.0,
            "seconds": seconds - began,
            "master_us": cpu[0] / self.records * 1e6 if lead else 0.0,
            "workers_us": sum(cpu[len(lead) :]) / self.records * 1e6,
            "master_mb": memory[0] if lead else 0.0,
            "worker_mb": max(memory[len(lead) :]),
            "posts": counts.posts,
            "distinct": counts.distinct,
        }

    def _watch(self, server: Server, started: list[subprocess.Popen[bytes]]) -> tuple[float, list[float], list[float]]:
        """Wait for the end; when the last record came, and the CPU and the peak memory of each process."""
        cpu, memory = [0.0] * len(started), [0.0] * len(started)
        posts, news = 0, time.monotonic() + 30  # patience with the start
        while any(process.poll() is None for process in started):
            for at, process in enumerate(started):
                try:
                    cpu[at], memory[at] = cpu_s(process.pid), peak_mb(process.pid)
                except (OSError, IndexError):  # it has ended
                    continue
            now, count = time.monotonic(), server.counts().posts
            if count != posts:
                posts, news = count, now
            done = posts >= self.records and self.kind not in OURS
            if done or now - news > STALLED_S + (self.kind in OURS) * 30:
                break
            time.sleep(0.02)
        return news, cpu, memory

    def _check(self, posts: int, distinct: int) -> None:
        """Hold a job of this project against its promise."""
        if self.kind not in OURS:
            return
        log = (self.folder / f"{self.kind}.log").read_text()[-3000:]
        if not (self.state / "report.json").exists():
            raise SystemExit(f"{self.kind} has written no report: {log}")
        counts = json.loads((self.state / "report.json").read_text())["counts"]
        if not counts["delivered"] == posts == distinct == self.records:
            raise SystemExit(f"{self.kind}: {posts} requests with {distinct} keys for {counts}: {log}")


def _most(text: str) -> dict[str, int]:
    return MOST | {name: int(count) for name, _, count in (one.partition("=") for one in text.split(",") if one)}


def _plan(asked: argparse.Namespace, kinds: list[str]) -> list[tuple[str, int, int]]:
    """The jobs of a round: kind, workers, records."""
    most, plan = _most(asked.most), []
    for kind in kinds:
        counts = dict.fromkeys(min(int(one), most.get(kind, 1 << 60)) for one in asked.records.split(","))
        workers = [1] if kind == "k6" else [int(one) for one in asked.workers.split(",")]
        plan += [(kind, many, count) for many in workers for count in counts]
    return plan


def main() -> None:
    """Do the jobs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="10000,100000,1000000")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--most", default="")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = peers.get(asked.only.split(","))
    missing = {name: peer.missing for name, peer in found.items() if peer.missing}
    plan = _plan(asked, [kind for kind in asked.only.split(",") if kind not in missing])
    jobs = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(asked.rounds):
            for kind, workers, records in plan:
                jobs.append(Job(Path(folder), kind, records, workers, asked.users).run(found.get(kind)))
                print(f"{kind:12} {workers} {records:9,} {jobs[-1]['rate']:10,.0f}/s", file=sys.stderr)
    versions = {name: peer.version for name, peer in found.items() if peer.version}
    part = results.part({"rounds": asked.rounds, "users": asked.users}, versions=versions, missing=missing, jobs=jobs)
    print(tables.job(part))
    if asked.out:
        results.keep(asked.out, "job", part)


if __name__ == "__main__":
    main()
