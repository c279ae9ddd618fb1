"""The tables of docs/benchmarks.md are what bench/results says."""

import json
import re
import subprocess
import sys

from support.cluster import ROOT


def run(root, *options):
    """tables.py as a copy in another root runs it."""
    command = [sys.executable, root / "bench/tables.py", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def a_copy(folder):
    """The document, its results and the program that joins them, in a folder of their own."""
    for name in ("bench/tables.py", "docs/benchmarks.md", *(f"bench/results/{one}.json" for one in ("host", "image"))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text())
    return folder


def test_the_document_is_what_the_results_say():
    done = run(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_other_results_are_noticed_and_written_between_their_comments_alone(tmp_path):
    root = a_copy(tmp_path)
    document, results = root / "docs/benchmarks.md", root / "bench/results/image.json"
    before, held = document.read_text(), json.loads(results.read_text())
    held["request"]["turns"]["wrk"] = [[123456.0, 1.5], [111111.0, 2.5], [133333.0, 3.5]]
    held["request"]["turns"] = {name: its for name, its in held["request"]["turns"].items() if name == "wrk"}
    results.write_text(json.dumps(held))
    assert "run python bench/tables.py" in run(root, "--check").stderr
    assert run(root).returncode == 0
    after = document.read_text()
    assert "| wrk, a new record each time | 123,456 | 111,111-133,333 | 2.50 | 1.50-3.50 | 1.00 | 1.00 |" in after
    prose = [re.sub(r"<!-- \w+ \w+ -->.*?<!-- end -->", "", text, flags=re.DOTALL) for text in (before, after)]
    assert prose[0] == prose[1]
    assert run(root, "--check").returncode == 0
