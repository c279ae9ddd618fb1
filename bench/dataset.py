"""What opening a traffic file costs, in time and memory, beside json.load of the same file.

    make bench-dataset RECORDS="100000 1000000 10000000"

Each figure is of a process of its own, which does one thing: the ways take turns, and the median of the rounds is
given. Peak memory is the process's largest resident set; "bare" is one that only imports what the others need.
"""

import argparse
import csv
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import make_data

WAYS = ("json.load", "rigorous", "first", "second", "bare")
# json.load of more would not fit into the memory of many machines.
MOST_FOR_JSON_LOAD = 2_000_000
# The rigorous reading is there for its words, not for its speed.
MOST_FOR_RIGOROUS = 2_000_000

ONE = r"""
import json, re, sys, time
from pathlib import Path
from traffic.core.dataset import Dataset
from traffic.intake.cache import Cache
from traffic.intake.opening import Opening
way, file, cache = sys.argv[1], Path(sys.argv[2]), Cache(Path(sys.argv[3]))
began = time.perf_counter()
if way == "json.load":
    with file.open("rb") as opened:
        held = json.load(opened)
elif way == "rigorous":
    held = Dataset.open(file)
elif way != "bare":
    held = Opening(file, cache).open()
seconds = time.perf_counter() - began
# Not ru_maxrss: a child's begins with what its parent had.
print(seconds, int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def one(way: str, file: Path, cache: Path) -> tuple[float, float]:
    """Seconds, and the peak of memory in MB, of one way in a process of its own."""
    if way == "first":
        shutil.rmtree(cache, ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", ONE, way, file, cache], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def measure(file: Path, ways: list[str], rounds: int, cache: Path) -> dict[str, tuple[float, float]]:
    """The medians of each way."""
    seen: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            seen[way].append(one(way, file, cache))
    return {
        way: (statistics.median(s for s, _ in its), statistics.median(m for _, m in its)) for way, its in seen.items()
    }


def show(name: str, file: Path, records: int, found: dict[str, tuple[float, float]]) -> None:
    """A line for each way."""
    base, bare = found.get("json.load"), found["bare"][1]
    print(f"\n{records} records, {name}, {file.stat().st_size / 1e6:.0f} MB")
    for way, (seconds, megabytes) in found.items():
        ratio = f"{seconds / base[0]:8.3f} x json.load" if base else ""
        each = (megabytes - bare) * 1024 * 1024 / records
        print(f"  {way:<10}{seconds:9.3f} s{ratio:>20}{megabytes:9.0f} MB{each:8.1f} bytes a record above bare")


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


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("records", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", type=int, default=0, help="measure the other formats, too, with so many records")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-dataset-") as folder:
        for records in asked.records:
            file = Path(folder) / f"{records}.json"
            make_data.write(file, records, seed=1)
            few = records <= min(MOST_FOR_JSON_LOAD, MOST_FOR_RIGOROUS)
            ways = [way for way in WAYS if few or way not in ("json.load", "rigorous")]
            show("a JSON array", file, records, measure(file, ways, asked.rounds, Path(folder) / "cache"))
            if records == asked.formats:
                for name, other in variants(file).items():
                    ways = ["first", "second", "bare"]
                    show(name, other, records, measure(other, ways, asked.rounds, Path(folder) / "cache"))
            file.unlink()


if __name__ == "__main__":
    main()
