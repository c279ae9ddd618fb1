"""The description is true: schemathesis tries the running stub against it, with all its checks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stub import openapi
from stub.settings import Settings
from support import plain_http
from support.deadlines import stretched
from support.stub_process import StubProcess, running_stub

HOOKS = Path(__file__).parent / "schemathesis_hooks.py"


FEW = 5
MANY = pytest.param(50, marks=pytest.mark.slow)


def schemathesis(stub: StubProcess, folder: Path, examples: int) -> None:
    """Try a stub against its own description with so many examples for each operation; fail with the findings."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{stub.url}/openapi.json"]
    command += ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"]
    command += ["--max-examples", str(examples), "--seed", "2", "--no-color"]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS.stem, "PYTHONPATH": str(HOOKS.parent)}
    found = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=stretched(500), check=False
    )
    served = plain_http.get(f"{stub.url}/metrics").text
    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
    assert 'stub_posts_total{status="201"}' in served
    assert 'stub_posts_total{status="500"}' not in served


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [FEW, MANY])
def test_the_stub_does_what_its_description_says(store_url: str, tmp_path: Path, examples: int) -> None:
    # If faults may be asked for, any error may answer a POST; otherwise only the errors that the description names.
    with running_stub(store_url, STUB_MISBEHAVE_HEADER="off") as stub:
        schemathesis(stub, tmp_path, examples)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_stub_does_so_too_where_misbehaviour_may_be_asked_for(sqlite_url: str, tmp_path: Path) -> None:
    with running_stub(sqlite_url) as stub:
        schemathesis(stub, tmp_path, 50)
        assert 'stub_posts_total{status="400"}' in plain_http.get(f"{stub.url}/metrics").text


@pytest.mark.parametrize(
    ("env", "header", "any_error"),
    [
        ({}, True, True),
        ({"STUB_MISBEHAVE_HEADER": "off"}, False, False),
        ({"STUB_MISBEHAVE_HEADER": "off", "STUB_MISBEHAVE": "latency=0"}, False, True),
    ],
    ids=["by header", "off", "by setting"],
)
def test_misbehaviour_is_described_where_it_can_be_asked_for(
    sqlite_url: str, env: dict[str, str], header: bool, any_error: bool
) -> None:
    with running_stub(sqlite_url, **env) as stub:
        post = plain_http.get(f"{stub.url}/openapi.json").json()["paths"]["/"]["post"]
    assert ("Stub-Misbehave" in [parameter["name"] for parameter in post["parameters"]]) is header
    assert ({"4XX", "5XX"} <= set(post["responses"])) is any_error


def test_every_reference_in_the_description_leads_somewhere() -> None:
    description = msgspec.json.encode(openapi.description(Settings()))
    schemas = msgspec.json.decode(description)["components"]["schemas"]
    found = set(re.findall(rb'"\$ref":"#/components/schemas/([^"]+)"', description))
    assert found == {name.encode() for name in schemas}, "and every schema is used"
