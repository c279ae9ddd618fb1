"""Keep what the benches measured, with the machine, the time and the command, in bench/results/*.json."""

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from parts import ROOT

LIBRARIES = ("locust", "gevent", "geventhttpclient")


def part(asked: dict[str, Any], **measured: Any) -> dict[str, Any]:
    """What one bench measured, and how. Plain values only."""
    return {
        "command": shlex.join(["python", f"bench/{Path(sys.argv[0]).name}", *_told()]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "asked": asked,
        **measured,
    }


def keep(file: Path, name: str, made: dict[str, Any]) -> None:
    """Put a part into a file of results, beside what other benches left there."""
    held = json.loads(file.read_text()) if file.exists() else {}
    held[name] = made
    file.write_text(_text(held) + "\n")


def _text(value: Any, depth: int = 0) -> str:
    """JSON that has a line for each turn and job: a diff of it can be read."""
    pad = "  " * (depth + 1)
    if isinstance(value, dict) and any(isinstance(one, dict | list) for one in value.values()):
        lines = [f"{pad}{json.dumps(name)}: {_text(one, depth + 1)}" for name, one in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return "[\n" + ",\n".join(pad + _text(one, depth + 1) for one in value) + "\n" + "  " * depth + "]"
    return json.dumps(value, ensure_ascii=False)


def _told() -> list[str]:
    """The arguments but for --out, which changes nothing that is measured."""
    told = sys.argv[1:]
    at = told.index("--out") if "--out" in told else len(told)
    return told[:at] + told[at + 2 :]


def _commit() -> str:
    """Return the commit that was measured, marked if files differ from it; COMMIT if there is no checkout."""
    if "COMMIT" in os.environ:
        return os.environ["COMMIT"]
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _machine() -> dict[str, Any]:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
