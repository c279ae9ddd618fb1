"""Hold two runs beside each other: their counts, rates and times, and what became of each record in both.

Records are told apart by their index, so their outcomes are compared only if both runs had the same records.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traffic.core.master.verdict import verdict
from traffic.runs.run_folders import report_in

# Of records whose outcome changed in one way, so many are named.
MOST_EXAMPLES = 10
DELIVERED = "delivered"
_COUNTS = ("records", "delivered", "rejected", "in_doubt", "unsent", "attempts", "resent")
_TIMES = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
_OF_DATASET = ("digest", "offset", "chosen")


class NoReportError(Exception):
    """A run cannot be compared, because it has no report; the text names it."""


def compare(before: Path, after: Path) -> dict[str, Any]:
    """Compare two runs by their folders; return a JSON object. NoReportError if one has no report.

    `figures` have a value of each run, None where it has none; times are in seconds. `outcomes.changes` say how many
    records ended otherwise, and name some; `outcomes.why_not` says why that cannot be known.
    """
    reports = [_report(folder) for folder in (before, after)]
    return {
        "runs": [{"run": one["run"], "started": one["started"], "verdict": verdict(one)} for one in reports],
        "figures": list(_figures(*reports)),
        "outcomes": _outcomes((before, reports[0]), (after, reports[1])),
    }


def _report(folder: Path) -> dict[str, Any]:
    report = report_in(folder)
    if not report:
        raise NoReportError(f"run {folder.name} has no report: it has not ended")
    return report


def _figures(before: dict[str, Any], after: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def figure(name: str, kind: str, *path: str) -> dict[str, Any]:
        return {"name": name, "kind": kind, "before": _at(before, path), "after": _at(after, path)}

    for name in _COUNTS:
        yield figure(name, "count", "counts", name)
    yield figure("seconds", "seconds", "seconds")
    yield figure("rate", "rate", "rate")
    for name in _TIMES:
        yield figure(f"response_{name}", "time", "timings", "response", name)
    if before.get("pace") or after.get("pace"):
        for name in ("p50", "p99", "max"):
            yield figure(f"service_{name}", "time", "timings", "service", name)


def _at(report: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = report
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _outcomes(before: tuple[Path, dict[str, Any]], after: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    sets = [tuple(report["dataset"].get(name) for name in _OF_DATASET) for _, report in (before, after)]
    if sets[0] != sets[1] or sets[0][0] is None:
        return {"why_not": "the runs did not have the same records", "same": None, "changes": []}
    ended = [dict(_undelivered(folder)) for folder, _ in (before, after)]
    changed = sorted(index for index in ended[0].keys() | ended[1].keys() if ended[0].get(index) != ended[1].get(index))
    ways: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[int]] = {}
    for index in changed:
        way = ended[0].get(index, DELIVERED), ended[1].get(index, DELIVERED)
        ways[way] += 1
        if ways[way] <= MOST_EXAMPLES:
            examples.setdefault(way, []).append(index)
    changes = [
        {"before": was, "after": now, "records": count, "examples": examples[was, now]}
        for (was, now), count in ways.most_common()
    ]
    return {"why_not": "", "same": before[1]["counts"]["records"] - len(changed), "changes": changes}


def _undelivered(folder: Path) -> Iterator[tuple[int, str]]:
    """Return the records of a run that were not delivered, with what became of them. OSError if a list is missing."""
    with (folder / "dead-letters.jsonl").open("rb") as lines:
        for line in lines:
            letter = json.loads(line)
            yield int(letter["index"]), str(letter["outcome"])
    with (folder / "unsent.txt").open("rb") as lines:
        for line in lines:
            yield int(line), "unsent"
