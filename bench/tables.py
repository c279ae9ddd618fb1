"""Makes the tables of docs/benchmarks.md from bench/results/*.json: each stands between two comments that name it.

    python bench/tables.py [--check]

<!-- image request --> … <!-- end --> holds the table of the part "request" of bench/results/image.json; text between
the comments is replaced, everything else is kept. --check changes nothing, and fails if the document would change.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "bench/results"
_TABLE = re.compile(r"(<!-- (?P<file>[a-z]+) (?P<part>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
LABELS = {
    "wrk": "wrk, a new record each time",
    "hey": "hey",
    "autocannon": "autocannon",
    "k6": "k6, a new record each time",
    "aiolocust": "aiolocust's HttpUser",
    "http_user": "Locust's HttpUser",
    "fast_json": "Locust's FastHttpUser, `json=dict`",
    "fast_bytes": "Locust's FastHttpUser, `data=bytes`",
    "record": "RecordUser, fed by a master",
    "tasks": "ReplayUser with a task, fed by a master",
    "constant": "ReplayUser, one constant record",
    "replay": "ReplayUser, fed by a master",
}
JOB_LABELS = {
    "replay": "ReplayUser",
    "requests": "ReplayUser, whole requests",
    "record": "RecordUser",
    "distributor": "FastHttpUser, locust-plugins' Distributor",
    "static": "FastHttpUser, static slices",
    "k6": "k6, SharedArray",
}


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _few(value: float) -> str:
    """Format with about three significant figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):,.0f}-{max(values):,.0f}"


def _origin(part: dict[str, Any]) -> str:
    """Return on which machine, when and with which versions a part was measured."""
    machine = part["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load {machine['load']} at the end"
    made = f"Python {machine['python']}, Locust {machine['locust']}, gevent {machine['gevent']}"
    others = "".join(f", {name} {version}" for name, version in part.get("versions", {}).items())
    missing = "".join(f" {name} is left out: {why}." for name, why in part.get("missing", {}).items())
    return f"`{part['command']}`, {part['at'][:10]}, at {part['commit']}; {where}; {made}{others}.{missing}"


def _ratio(mine: Sequence[Sequence[float]], first: Sequence[Sequence[float]], at: int) -> str:
    """Return the median of the ratios of turns of the same round."""
    return f"{statistics.median(a[at] / b[at] for a, b in zip(mine, first, strict=True)):.2f}"


def request(part: dict[str, Any]) -> str:
    """Return the table of the cost of a request; ratios are to the first row."""
    turns, first = part["turns"], next(iter(part["turns"]))
    rows = []
    for name, its in turns.items():
        rates, costs = zip(*its, strict=True)
        middle = f"{statistics.median(rates):,.0f}", _range(rates), _few(statistics.median(costs))
        spread = f"{_few(min(costs))}-{_few(max(costs))}"
        rows.append(
            [LABELS[name], *middle, spread, _ratio(its, turns[first], 0), _ratio(its, turns[first], 1)],
        )
    head = ["", "requests/s", "range", "CPU, us", "range", f"rate / {first}", f"CPU / {first}"]
    return f"{_rows(head, rows)}\n\n{_origin(part)}"


def job(part: dict[str, Any]) -> str:
    """Return the table of the whole job; figures are medians of the rounds."""
    groups: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    for one in part["jobs"]:
        groups.setdefault((one["kind"], one["workers"], one["records"]), []).append(one)
    rows = []
    for (kind, workers, records), jobs in groups.items():
        rates = [one["rate"] for one in jobs]
        figures = [
            _few(statistics.median(one[name] for one in jobs)) for name in ("seconds", "master_us", "workers_us")
        ]
        memory = ["-" if kind == "k6" else f"{max(one['master_mb'] for one in jobs):.0f}"]
        memory.append(f"{max(one['worker_mb'] for one in jobs):.0f}")
        figures[1] = "-" if kind == "k6" else figures[1]
        row = [JOB_LABELS[kind], str(workers), f"{records:,}", f"{statistics.median(rates):,.0f}", _range(rates)]
        rows.append([*row, *figures, *memory, _exactness(jobs)])
    head = ["", "workers", "records", "records/s", "range", "whole job, s", "master, us", "workers, us", "master, MB"]
    return f"{_rows([*head, 'a worker, MB', 'each once'], rows)}\n\n{_origin(part)}"


def _exactness(jobs: Sequence[dict[str, Any]]) -> str:
    wrong = [one for one in jobs if not one["posts"] == one["distinct"] == one["records"]]
    return "no: " + ", ".join(f"{one['posts']} POSTs of {one['distinct']}" for one in wrong) if wrong else "yes"


def latency(part: dict[str, Any]) -> str:
    """Return the table of reported response times, in milliseconds."""
    rows = []
    for one in part["rows"]:
        wrk, mine = one["wrk"], one["replay"]
        means = [f"{value:.1f}" for value in (wrk["mean"], wrk["server"], mine["mean"], mine["server"])]
        over = [f"{its['mean'] - its['server']:.2f}" for its in (wrk, mine)]
        rows.append([f"{one['users']:,}", *means, *over, f"{mine['mean'] / wrk['mean']:.3f}"])
    head = ["users", "wrk reports", "the server", "ReplayUser reports", "the server", "wrk adds", "ReplayUser adds"]
    return f"{_rows([*head, 'ReplayUser / wrk'], rows)}\n\n{_origin(part)}"


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {"request": request, "job": job, "latency": latency}


def rewritten(document: str, results: Path) -> str:
    """Return a document with its tables replaced. Raises OSError or KeyError if its results are missing."""

    def table(found: re.Match[str]) -> str:
        held = json.loads((results / f"{found['file']}.json").read_text())
        return f"{found[1]}{PARTS[found['part']](held[found['part']])}\n{found[4]}"

    return _TABLE.sub(table, document)


def main() -> None:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    before = DOCUMENT.read_text()
    after = rewritten(before, RESULTS)
    if arguments.check and before != after:
        sys.exit("docs/benchmarks.md differs from bench/results: run python bench/tables.py")
    if not arguments.check:
        DOCUMENT.write_text(after)


if __name__ == "__main__":
    main()
