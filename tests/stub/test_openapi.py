"""The description tells the truth: schemathesis tries the running stub against it, with every check it has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import plain_http
from support.stub_process import running_stub

HOOKS = Path(__file__).parents[1] / "support" / "fresh_keys.py"


@pytest.mark.timeout(600)
def test_the_stub_does_what_its_description_says(store_url: str, tmp_path: Path) -> None:
    with running_stub(store_url) as stub:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{stub.url}/openapi.json"]
        command += ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"]
        command += ["--max-examples", "50", "--seed", "2", "--no-color"]
        env = {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS.stem, "PYTHONPATH": str(HOOKS.parent)}
        found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False)
        served = plain_http.get(f"{stub.url}/metrics").text
    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
    assert 'stub_posts_total{status="201"}' in served
    assert 'stub_posts_total{status="500"}' not in served
