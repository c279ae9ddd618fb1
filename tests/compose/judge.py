"""What became of a run, by the checker: what MongoDB holds against what the report claims; and what a container may."""

import json
from pathlib import Path

from chaos.checker import Claims, Stored, Verdict, check
from compose.stack import ROOT, Stack


def judged(stack: Stack, run: str, folder: Path) -> Verdict:
    """Hold a run's records in the database against the report in the master's volume, which is copied to a folder."""
    return check(ROOT / "data" / "traffic.json", _stored(stack, run), _claims(stack, run, folder))


def assert_locked_down(stack: Stack, service: str) -> None:
    """Check that a service's first process has no root, no capability, and no root file system to write to."""
    status = stack.run(service, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in facts["Uid"].split()
    assert {int(facts[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert facts["NoNewPrivs"] == "1"
    assert "Read-only file system" in stack.run(service, "sh", "-c", "touch /usr/x 2>&1 || true")


def _stored(stack: Stack, run: str) -> list[Stored]:
    rows = stack.mongo(f'db.messages.find({{run: "{run}"}}, {{_id: 0, key: 1, payload: 1}}).toArray()')
    return [Stored(row["key"], row["payload"]) for row in rows]


def _claims(stack: Stack, run: str, folder: Path) -> Claims:
    stack.compose("cp", "master:/app/state/.", str(folder))
    assert json.loads((folder / "report.json").read_text())["run"] == run
    return Claims.read(folder)
