"""The command `traffic compare RUN RUN`: what differs between two runs, the earlier one first."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traffic.errors import RefusedError
from traffic.runs.comparison import NoReportError, compare
from traffic.runs.run_folders import folder_of
from traffic.settings.table import DEFAULT_STATE_DIR
from traffic.terminal import plain


def main(arguments: list[str]) -> int:
    """Run the command. Return its exit code: 0, or 2 if a run cannot be compared."""
    parser = argparse.ArgumentParser(prog="traffic compare", description="Say what differs between two runs.")
    parser.add_argument("before", help="a run's id, last, or its folder")
    parser.add_argument("after", help="the run that it is compared with")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--state-dir", type=Path, default=Path(DEFAULT_STATE_DIR), help="where the runs are")
    wanted = parser.parse_args(arguments)
    try:
        made = compare(*(folder_of(run, wanted.state_dir) for run in (wanted.before, wanted.after)))
    except (NoReportError, RefusedError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        print(f"traffic compare: {reason}", file=sys.stderr)  # noqa: T201 - a command speaks
        return 2
    print(json.dumps(made, indent=2) if wanted.json else "\n".join(_lines(made)))  # noqa: T201 - as above
    return 0


def _lines(made: dict[str, Any]) -> Iterator[str]:
    runs, figures = made["runs"], made["figures"]
    rows = [("", *(one["run"] for one in runs), ""), ("ended", *(one["verdict"]["text"] for one in runs), "")]
    rows += [(_name(one["name"]), *_values(one), _change(one)) for one in figures]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    for name, *cells in rows:
        written = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *written]).rstrip()
    yield ""
    outcomes = made["outcomes"]
    if outcomes["why_not"]:
        yield f"outcomes by record: {outcomes['why_not']}"
        return
    yield f"outcomes by record: {outcomes['same']} ended alike"
    for one in outcomes["changes"]:
        named = ", ".join(map(str, one["examples"])) + (", ..." if one["records"] > len(one["examples"]) else "")
        was, now = (one[which].replace("_", " ") for which in ("before", "after"))
        yield f"  {one['records']} {was} before, {now} after: record{'' if one['records'] == 1 else 's'} {named}"


def _name(name: str) -> str:
    return name.replace("_p", " p").replace("_", " ").replace("resent", "repeats")


def _values(one: dict[str, Any]) -> tuple[str, str]:
    before, after = (_written(one["kind"], one[which]) for which in ("before", "after"))
    return before, after


def _written(kind: str, value: Any) -> str:
    if value is None:
        return "-"
    if kind == "time":
        return plain.milliseconds(value)
    return plain.rate(value) if kind == "rate" else f"{value}{' s' if kind == 'seconds' else ''}"


def _change(one: dict[str, Any]) -> str:
    before, after = one["before"], one["after"]
    if before is None or after is None or before == after:
        return ""
    if one["kind"] == "count":
        return f"{after - before:+d}"
    return f"{100 * (after / before - 1):+.1f}%" if before else ""
