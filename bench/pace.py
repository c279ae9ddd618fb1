"""How well a rate is kept, by the arrivals that the server saw: ours, and others' beside it.

    python bench/pace.py rates [--rates 100,1000,5000] [--workers 1,2,4] [--seconds 20] [--rounds 3] [--out FILE]
    python bench/pace.py poisson [--rate 500] [--seconds 40]
    python bench/pace.py stall [--rate 200] [--seconds 20] [--stopped 2]
    python bench/pace.py peers [--rate 500] [--seconds 20] [--rounds 3]

The server is bench/answers_201.c, which notes the monotonic time of each request. Lateness is against the plan, of
which the beginning is that of the least late record. Ours has a master and its workers on one core, the server the
other. "each second": the most by which the count of a whole second differs from the rate. "dispersion": the variance of
the counts of 100 ms, divided by their mean: 0 if all are alike, 1 for a Poisson process.
"""

import argparse
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import peers
import results
from parts import LOAD_CORE, LOCUSTFILES, ROOT, Arrivals, Server, end, locust_env, pinned, some_port, write_records

from traffic.core.pace.arrivals import PoissonArrivals

SEED = 7
# Between the first and the last of the records that are looked at in whole seconds.
WINDOW_S = 0.1


@dataclass(frozen=True, slots=True)
class Kept:
    """How a run kept its rate: errors as shares, lateness in milliseconds."""

    records: int
    rate_error: float
    each_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    dispersion: float

    @classmethod
    def of(cls, at: "np.ndarray[Any, Any]", rate: float, due: "np.ndarray[Any, Any]") -> "Kept":
        """Reckon it from the times of arrival, and from when each was due, in the same order."""
        late = (at - due) - (at - due).min()
        ordered = np.sort(at)
        seconds = np.floor(ordered - ordered[0]).astype(int)
        whole = np.bincount(seconds)[:-1]
        windows = np.bincount(np.floor((ordered - ordered[0]) / WINDOW_S).astype(int))[:-1]
        return cls(
            records=len(at),
            rate_error=(len(at) - 1) / (ordered[-1] - ordered[0]) / rate - 1,
            each_second=float(np.abs(whole - rate).max()) if len(whole) else 0.0,
            p50_ms=float(np.quantile(late, 0.5)) * 1000,
            p99_ms=float(np.quantile(late, 0.99)) * 1000,
            max_ms=float(late.max()) * 1000,
            dispersion=float(windows.var() / windows.mean()) if len(windows) else 0.0,
        )


class Ours:
    """One run of ours at a rate; `report` is its delivery report, `stats` Locust's."""

    def __init__(self, folder: Path, url: str, records: int, workers: int, users: int, **options: object) -> None:
        place = Path(tempfile.mkdtemp(prefix="ours-", dir=folder))
        file, port = write_records(folder / f"{records}.json", records), some_port()
        env = locust_env(TRAFFIC_FILE=file, TRAFFIC_STATE_DIR=place / "state", TRAFFIC_ORDER="file", **options)
        locust = (sys.executable, "-m", "locust", "-f", LOCUSTFILES / "replay.py")
        many = ("--headless", "--json", "--expect-workers", workers, "-u", users, "-r", users, "--host", url)
        where = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        with (place / "log").open("wb") as log:
            master = subprocess.Popen(
                pinned(LOAD_CORE, *locust, *where, *many), env=env, cwd=place, stdout=subprocess.PIPE, stderr=log
            )
            to = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
            started = [master]
            try:
                for _ in range(workers):
                    command = pinned(LOAD_CORE, *locust, *to)
                    started.append(subprocess.Popen(command, env=env, cwd=place, stdout=log, stderr=log))
                said, _ = master.communicate()
                if master.returncode:
                    sys.exit((place / "log").read_text(errors="replace")[-3000:])
            finally:
                end(started)
        (report,) = (place / "state/runs").glob("*/report.json")
        self.report: dict[str, Any] = json.loads(report.read_text())
        self.stats: list[dict[str, Any]] = json.loads(said) if said.strip() else []


def of_ours(folder: Path, rate: float, seconds: float, workers: int, **options: object) -> tuple[Kept, Arrivals, Ours]:
    """Run ours once at a rate."""
    records, log = round(rate * seconds), folder / "arrivals"
    with Server(folder, "--log", log) as server:
        users = max(8, round(rate / 25))
        ours = Ours(folder, server.url, records, workers, users, TRAFFIC_RATE=f"{rate:g}/s", **options)
        arrivals = server.arrivals(log)
    if ours.report["counts"]["delivered"] != records or len(arrivals) != records:
        sys.exit(f"{len(arrivals)} of {records} arrived: {ours.report['counts']}")
    return Kept.of(arrivals["at"], rate, arrivals["number"] / rate), arrivals, ours


def median_of(kept: list[Kept]) -> Kept:
    """The median of each figure."""
    return Kept(*(statistics.median(getattr(one, field.name) for one in kept) for field in fields(Kept)))


def row(name: str, kept: Kept) -> str:
    """A line of the table."""
    return (
        f"{name:<28}{100 * kept.rate_error:>9.3f} %{kept.each_second:>12.0f}{kept.p50_ms:>10.2f}{kept.p99_ms:>10.2f}"
        f"{kept.max_ms:>10.1f}{kept.dispersion:>12.3f}"
    )


HEAD = f"{'':<28}{'rate error':>11}{'each second':>12}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'dispersion':>12}"


def rates(folder: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Each rate by each number of workers, in rounds."""
    found: dict[tuple[int, int], list[Kept]] = {}
    for _ in range(asked.rounds):
        for rate in map(int, asked.rates.split(",")):
            for workers in map(int, asked.workers.split(",")):
                kept, _, _ = of_ours(folder, rate, asked.seconds, workers)
                found.setdefault((rate, workers), []).append(kept)
    print(HEAD)
    rows = []
    for (rate, workers), all_ in found.items():
        kept = median_of(all_)
        print(row(f"{rate}/s, {workers} workers", kept))
        rows.append({"rate": rate, "workers": workers, **asdict(kept)})
    return rows


def poisson(folder: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Poisson arrivals, held against what the seed says and against a uniform distribution."""
    records = round(asked.rate * asked.seconds)
    options = {"TRAFFIC_ARRIVALS": "poisson", "TRAFFIC_SEED": SEED}
    _, arrivals, _ = of_ours(folder, asked.rate, asked.seconds, 4, **options)
    planned = PoissonArrivals(records, SEED).at(arrivals["number"]) / asked.rate
    kept = Kept.of(arrivals["at"], asked.rate, planned)
    at = np.sort(arrivals["at"])
    share = (at - at[0]) / (at[-1] - at[0])
    distance = float(np.abs(share - np.arange(len(share)) / (len(share) - 1)).max())
    bound = 1.63 / math.sqrt(len(share))
    print(HEAD)
    print(row(f"Poisson, {asked.rate}/s, 4 workers", kept))
    print(f"Kolmogorov-Smirnov: D = {distance:.4f}; a Poisson process has less than {bound:.4f} in 99 of 100 cases")
    return [{"rate": asked.rate, "ks": distance, "ks_bound": bound, **asdict(kept)}]


def stall(folder: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A server that stands still for S of T seconds: what our response times say, with a rate and without."""
    records = round(asked.rate * asked.seconds)
    rows = []
    print(f"{'':<28}{'mean ms':>10}{'p99 ms':>10}{'max ms':>10}")
    for name, options in (
        ("with a rate", {"TRAFFIC_RATE": f"{asked.rate}/s"}),
        ("as fast as 8 users send", {"TRAFFIC_WAIT": f"{8 / asked.rate}-{8 / asked.rate}"}),
    ):
        users = round(asked.rate * (asked.stopped + 1)) if "rate" in name else 8
        with Server(folder) as server:
            stopper = threading.Thread(target=_stop_once, args=(server, asked.stopped))
            stopper.start()
            ours = Ours(folder, server.url, records, 2, users, **options)
            stopper.join()
        (stats,) = ours.stats
        mean = stats["total_response_time"] / stats["num_requests"]
        times = {float(ms): count for ms, count in stats["response_times"].items()}
        p99 = _quantile(times, 0.99)
        print(f"{name:<28}{mean:>10.1f}{p99:>10.1f}{stats['max_response_time']:>10.1f}")
        rows.append({"name": name, "mean_ms": mean, "p99_ms": p99, "max_ms": stats["max_response_time"]})
    most_s = asked.stopped
    expected = most_s**2 / 2 / asked.seconds * 1000, most_s * (1 - 0.01 * asked.seconds / most_s) * 1000
    print(f"{'by arithmetic':<28}{expected[0]:>10.1f}{expected[1]:>10.1f}{most_s * 1000:>10.1f}")
    return rows


def _stop_once(server: Server, seconds: float) -> None:
    """Let the server stand still, once it has had some requests."""
    while server.counts().posts < 100:
        time.sleep(0.2)
    time.sleep(3)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    server.process.send_signal(signal.SIGCONT)


def _quantile(times: dict[float, int], share: float) -> float:
    seen, total = 0, sum(times.values())
    for time_ms in sorted(times):
        seen += times[time_ms]
        if seen >= share * total:
            return time_ms
    raise ValueError("no response times")


def peers_beside(folder: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Ours, k6 and hey at one rate against the same server, in rounds; what is not there is left out."""
    found: dict[str, list[Kept]] = {}
    there = peers.get(["k6", "hey"])
    for _ in range(asked.rounds):
        kept, _, _ = of_ours(folder, asked.rate, asked.seconds, 1)
        found.setdefault("ours, 1 worker", []).append(kept)
        for name, peer in there.items():
            if not peer.missing:
                found.setdefault(name, []).append(_of_peer(folder, name, peer.command, asked.rate, asked.seconds))
    print(HEAD)
    for name, all_ in found.items():
        print(row(name, median_of(all_)))
    return [{"name": name, **asdict(median_of(all_))} for name, all_ in found.items()]


def _of_peer(folder: Path, name: str, command: tuple[str, ...], rate: int, seconds: float) -> Kept:
    log, records = folder / "arrivals", round(rate * seconds)
    with Server(folder, "--log", log) as server:
        if name == "k6":
            env = {"URL": server.url, "RATE": rate, "SECONDS": round(seconds)}
            given = [part for one, value in env.items() for part in ("-e", f"{one}={value}")]
            line = [*command, "--no-usage-report", *given, str(ROOT / "bench/k6_rate.js")]
        else:
            many = ("-n", records, "-c", 10, "-q", rate / 10, "-m", "POST", "-H", "Idempotency-Key: a-1", "-d", "{}")
            line = [*command, *map(str, many), server.url]
        subprocess.run(pinned(LOAD_CORE, *line), check=True, capture_output=True)
        at = np.sort(server.arrivals(log)["at"])
    return Kept.of(at, rate, np.arange(len(at)) / rate)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rates", "poisson", "stall", "peers"))
    parser.add_argument("--rates", default="100,1000,5000")
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--stopped", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    measure = {"rates": rates, "poisson": poisson, "stall": stall, "peers": peers_beside}[asked.what]
    with tempfile.TemporaryDirectory() as name:
        rows = measure(Path(name), asked)
    if asked.out:
        asked_for = {name: value for name, value in vars(asked).items() if name != "out"}
        results.keep(asked.out, f"pace_{asked.what}", results.part(asked_for, rows=rows))


if __name__ == "__main__":
    main()
