"""A master in a container that is killed, alone or with all others, in mid-run: the run goes on, and ends by itself."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.judge import judged
from compose.stack import Stack, docker, until
from support.deadlines import stretched


def crash(stack: Stack) -> None:
    """Kill -9 every process in the master's container but its init; the restart policy does the rest."""
    stack.run("master", "sh", "-c", "kill -9 -1", check=False)


def kill_and_start(stack: Stack) -> None:
    """What a person does. Docker takes a kill for a wish, and restarts nothing."""
    docker("kill", *stack.compose("ps", "-q", "master").stdout.split())
    stack.compose("start", "master")


def kill_everything(stack: Stack) -> None:
    """Master, workers, API and MongoDB at once; then `up`, as after a power cut."""
    docker("kill", *stack.compose("ps", "-q").stdout.split())
    stack.up("--scale", "worker=4")


Act = Callable[[Stack], None]


@pytest.mark.parametrize(
    ("hurt", "survivors"),
    [
        pytest.param(crash, True, id="crashed"),
        pytest.param(kill_and_start, True, id="killed and started", marks=pytest.mark.slow),
        pytest.param(kill_everything, False, id="killed with everything"),
    ],
)
def test_a_run_whose_master_was(stack: Stack, tmp_path: Path, hurt: Act, survivors: bool) -> None:
    last = stack.master("/traffic/status").get("run")
    stack.ready(4)
    assert stack.start(traffic_wait="1.0-3.0")["success"]
    run = stack.under_way(after=last)
    hurt(stack)
    resumed = until("the run is resumed", 60, lambda: resumption(stack, run))
    assert resumed["settled"] > 0
    status = stack.ended(after=last)
    assert (status["run"], status["state"]) == (run, "completed")
    verdict = judged(stack, run, tmp_path)
    assert verdict.good, str(verdict)
    audit = httpx.get(f"{stack.api}/audit", params={"run": run}, timeout=stretched(10)).json()
    if survivors:
        assert audit["posts"] == status["counts"]["records"], "what was answered is not sent again"
    stack.ready(4, seconds=90)


def resumption(stack: Stack, run: str) -> dict[str, Any] | None:
    """Return when, and with how much settled, the master resumed the run; None until it has."""
    with suppress(httpx.TransportError):
        status = stack.master("/traffic/status")
        if status["run"] == run and status["resumed"]:
            return dict(status["resumed"][-1])
    return None
