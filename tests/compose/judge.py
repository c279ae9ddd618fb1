"""What became of a run, by the checker: what MongoDB holds against what the report claims."""

import json
from pathlib import Path

from chaos.checker import Claims, Stored, Verdict, check
from compose.stack import ROOT, Stack


def judged(stack: Stack, run: str, folder: Path) -> Verdict:
    """Hold a run's records in the database against the report in the master's volume, which is copied to a folder."""
    return check(ROOT / "data" / "traffic.json", _stored(stack, run), _claims(stack, run, folder))


def _stored(stack: Stack, run: str) -> list[Stored]:
    rows = stack.mongo(f'db.messages.find({{run: "{run}"}}, {{_id: 0, key: 1, payload: 1}}).toArray()')
    return [Stored(row["key"], row["payload"]) for row in rows]


def _claims(stack: Stack, run: str, folder: Path) -> Claims:
    stack.compose("cp", "master:/app/state/.", str(folder))
    assert json.loads((folder / "report.json").read_text())["run"] == run
    return Claims.read(folder)
