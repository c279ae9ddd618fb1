"""Render a delivery report as one HTML page to print, which loads nothing else."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from traffic.core.master.verdict import verdict
from traffic.core.master.worker_table import REPORT_FIGURES, WORKER
from traffic.master.web.curves import curves_of
from traffic.master.wording import for_page
from traffic.terminal import plain

SHOWN = 100
_pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_pages.filters["time"] = plain.milliseconds


def printable(report: dict[str, Any], folder: Path) -> str:
    """Return the page of a report. Its first dead letters are read from the run's folder."""
    letters = _first_letters(folder / "dead-letters.jsonl")
    dead = report.get("dead_letters") or {}
    groups, others = dead.get("groups", []), dead.get("others", {}).get("count", 0)
    words = {"verdict": verdict(report), "reason": for_page(report["reason"] or "")}
    columns = {"worker": WORKER, "figures": REPORT_FIGURES, "curves": curves_of(report.get("timeline"))}
    return _pages.get_template("report.html").render(
        report=report, **words, **columns, groups=groups, others=others, letters=letters
    )


def _first_letters(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            return [json.loads(line) for line in islice(file, SHOWN)]
    except FileNotFoundError:
        return []
