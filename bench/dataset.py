"""What opening a traffic file costs, in time and memory, beside json.load of the same file.

    make bench-dataset RECORDS="100000 1000000 10000000"

Each figure is of a process of its own, which does one thing: the ways take turns, and the median of the rounds is
given. CPU is user and system time of the process, which other work on the machine changes less than the seconds. Peak
memory is the process's largest resident set; "bare" is one that only imports what the others need.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import make_data

WAYS = ("json.load", "rigorous", "first", "second", "bare")
# What json.load takes for a record of these files; it is left out if twice that is not free.
JSON_LOAD_BYTES = 1000
# One round of it is enough if it takes long.
ONE_ROUND_FROM = 5_000_000
# The strict reading is there for its messages, not for its speed.
MOST_FOR_RIGOROUS = 2_000_000

ONE = r"""
import json, re, sys, time
from pathlib import Path
from traffic.dataset.dataset import Dataset
from traffic.dataset.cache import Cache
from traffic.dataset.loader import DatasetLoader
way, file, cache = sys.argv[1], Path(sys.argv[2]), Cache(Path(sys.argv[3]))
began, before = time.perf_counter(), time.process_time()
if way == "json.load":
    with file.open("rb") as opened:
        held = json.load(opened)
elif way == "rigorous":
    held = Dataset.open(file)
elif way != "bare":
    held = DatasetLoader(file, cache).open()
seconds, cpu = time.perf_counter() - began, time.process_time() - before
# Not ru_maxrss: a child's begins with what its parent had.
print(seconds, cpu, int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way: seconds, seconds of CPU, and the peak of memory in MB."""

    seconds: float
    cpu: float
    megabytes: float


def one(way: str, file: Path, cache: Path) -> Figures:
    """One way in a process of its own."""
    if way == "first":
        shutil.rmtree(cache, ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", ONE, way, file, cache], capture_output=True, text=True, check=True)
    return Figures(*map(float, done.stdout.split()))


def measure(file: Path, ways: list[str], rounds: int, cache: Path, *, long: bool = False) -> dict[str, list[Figures]]:
    """The results of each way's rounds; json.load has one if it takes `long`."""
    seen: dict[str, list[Figures]] = {way: [] for way in ways}
    for nth in range(rounds):
        for way in ways:
            if not (long and nth and way == "json.load"):
                seen[way].append(one(way, file, cache))
    return seen


def show(name: str, file: Path, records: int, found: dict[str, list[Figures]]) -> None:
    """A line of the table for each way."""

    def median(way: str, what: str) -> float:
        return statistics.median([float(getattr(one, what)) for one in found[way]])

    for way, rounds in found.items():
        all_s = [one.seconds for one in rounds]
        ratio = median(way, "cpu") / median("json.load", "cpu") if "json.load" in found else 0
        each = (median(way, "megabytes") - median("bare", "megabytes")) * 1024 * 1024 / records
        print(
            f"| {records:,} {name}, {file.stat().st_size / 1e6:.0f} MB | {way} | {median(way, 'seconds'):.3f} "
            f"| {min(all_s):.3f} to {max(all_s):.3f} | {median(way, 'cpu'):.3f} | {f'{ratio:.3f}' if ratio else ''} "
            f"| {median(way, 'megabytes'):.0f} | {each:.1f} |",
            flush=True,
        )


def variants(array: Path) -> dict[str, Path]:
    """The same records in the other formats."""
    lines, table = array.with_suffix(".jsonl"), array.with_suffix(".csv")
    packed, zipped = array.with_suffix(".json.gz"), array.with_suffix(".json.zst")
    with array.open(encoding="utf-8") as file, lines.open("w", encoding="utf-8") as out:
        out.writelines(line.rstrip(",\n") + "\n" for line in file if line[0] == "{")
    with lines.open(encoding="utf-8") as file, table.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["name", "msg"])
        writer.writeheader()
        writer.writerows(map(json.loads, file))
    with array.open("rb") as file, gzip.open(packed, "wb", 6) as out_packed:
        shutil.copyfileobj(file, out_packed, 1 << 20)
    made = {"JSON Lines": lines, "CSV": table, "array in gzip": packed}
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", "-f", array, "-o", zipped], check=True)
        made["array in zstd"] = zipped
    return made


def ways_for(records: int) -> list[str]:
    """Those that this machine has the time and the memory for."""
    available = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    assert available is not None
    free = int(available[1]) * 1024
    out = {"json.load"} if 2 * JSON_LOAD_BYTES * records > free else set()
    out |= {"rigorous"} if records > MOST_FOR_RIGOROUS else set()
    return [way for way in WAYS if way not in out]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("records", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", type=int, default=0, help="measure the other formats, too, with so many records")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {asked.rounds} rounds, load average {os.getloadavg()[2]:.1f}\n")
    print("| records | | seconds | range | CPU, s | CPU beside json.load | peak MB | bytes a record above bare |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="bench-dataset-") as folder:
        cache = Path(folder) / "cache"
        for records in asked.records:
            file = Path(folder) / f"{records}.json"
            make_data.write(file, records, seed=1)
            long = records >= ONE_ROUND_FROM
            show("in an array", file, records, measure(file, ways_for(records), asked.rounds, cache, long=long))
            if records == asked.formats:
                for name, other in variants(file).items():
                    show(f"as {name}", other, records, measure(other, ["first", "second", "bare"], asked.rounds, cache))
            file.unlink()


if __name__ == "__main__":
    main()
