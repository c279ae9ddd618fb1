"""Fixtures for what needs a Docker engine. Without one these tests are skipped; under CI=true they fail."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from compose.stack import RECORDS, Stack, running
from support.deadlines import stretched


def missing(what: str) -> None:
    """Skip the test; under CI=true fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def command_line() -> None:
    """Docker Compose's command line; most of its checks of a file need no engine."""
    if shutil.which("docker") is None:
        missing("no docker command on this machine")
    version = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=stretched(30), check=False)
    if version.returncode:
        missing("docker has no Compose v2 here")


@pytest.fixture(scope="session")
def engine(command_line: None) -> None:
    """A Docker engine that answers."""
    try:
        info = subprocess.run(["docker", "info"], capture_output=True, timeout=stretched(30), check=False)
    except subprocess.TimeoutExpired:
        missing("the Docker engine did not answer within 30 s")
    else:
        if info.returncode:
            missing("no Docker engine answers on this machine")


@pytest.fixture
def project(engine: None) -> str:
    """A project name that no other stack has."""
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def stack(engine: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack as `docker compose up --scale worker=4` makes it, shared by all tests of a session."""
    with running(Stack(f"test-{uuid.uuid4().hex[:8]}"), "--scale", "worker=4") as up:
        before = request.session.testsfailed
        yield up
        if request.session.testsfailed > before:
            # pytest would show this with the last test, and not at all where that one passed.
            with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                sys.stderr.write(up.logs())


@pytest.fixture(scope="session")
def check_delivered(stack: Stack) -> Callable[[dict[str, Any]], None]:
    """Ask the database, not the master, for a run's records: there once each, with a time, from all workers."""

    def check(status: dict[str, Any]) -> None:
        assert status["state"] == "completed"
        assert status["counts"]["delivered"] == status["counts"]["records"] == RECORDS
        run = status["run"]
        fields = "{key: 1, index: 1, received: 1, worker: 1}"
        found = stack.mongo(f'db.messages.find({{run: "{run}"}}, {fields}).toArray()')
        assert len(found) == RECORDS
        assert {one["key"] for one in found} == {f"{run}-{index}" for index in range(RECORDS)}
        assert {one["index"] for one in found} == set(range(RECORDS))
        assert all("$date" in one["received"] for one in found)
        assert len({one["worker"] for one in found}) == 4, "each worker delivered something"
        audit = httpx.get(f"{stack.api}/audit", params={"run": run}, timeout=stretched(10)).json()
        assert (audit["stored"], audit["posts"], audit["replayed"]) == (RECORDS, RECORDS, 0)

    return check
