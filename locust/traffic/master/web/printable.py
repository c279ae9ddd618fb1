"""Render a delivery report as one HTML page to print, which loads nothing else."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from traffic.core.master.verdict import verdict
from traffic.core.master.worker_table import REPORT_FIGURES, WORKER
from traffic.master.wording import for_page

SHOWN = 100
_pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


def printable(report: dict[str, Any], folder: Path) -> str:
    """Return the page of a report. Its dead letters and their reasons are read from the run's folder."""
    reasons, letters = _dead(folder / "dead-letters.jsonl")
    words = {"verdict": verdict(report), "reason": for_page(report["reason"] or "")}
    columns = {"worker": WORKER, "figures": REPORT_FIGURES}
    return _pages.get_template("report.html").render(
        report=report, **words, **columns, reasons=reasons, letters=letters
    )


def _dead(path: Path) -> tuple[list[tuple[str, str, int]], list[dict[str, Any]]]:
    """Return (outcome, reason, count) of all dead letters, the most frequent first; and the first letters."""
    try:
        with path.open("rb") as file:
            first = [json.loads(line) for line in islice(file, SHOWN)]
            counted = Counter((letter["outcome"], letter["reason"]) for letter in first)
            counted.update((letter["outcome"], letter["reason"]) for letter in map(json.loads, file))
    except FileNotFoundError:
        return [], []
    return [(outcome, reason, count) for (outcome, reason), count in counted.most_common(SHOWN)], first
