"""Workers in containers that are killed, paused and cut off in mid-run; the checker asks MongoDB what became of it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compose.judge import judged
from compose.stack import Stack, docker, until
from support import deadlines
from support.deadlines import stretched


def kill(stack: Stack, worker: str) -> None:
    docker("kill", worker)


def back_from_kill(stack: Stack, worker: str) -> None:
    docker("start", worker)  # a killed container stays down: Docker takes it for the user's wish


def pause(stack: Stack, worker: str) -> None:
    """Freeze all processes of a worker. The engine may fail to if one begins just then, as a health check does."""
    command, said = ["docker", "pause", worker], [""]

    def paused() -> bool:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=stretched(60))
        said[0] = done.stderr
        return done.returncode == 0

    deadlines.until(paused, "the engine has paused the worker", tell=lambda: said[0])


def back_from_pause(stack: Stack, worker: str) -> None:
    docker("unpause", worker)


def cut(stack: Stack, worker: str) -> None:
    docker("network", "disconnect", f"{stack.project}_default", worker)


def back_from_cut(stack: Stack, worker: str) -> None:
    docker("network", "connect", f"{stack.project}_default", worker)


Act = Callable[[Stack, str], None]


@pytest.mark.parametrize(
    ("hurt", "heal"),
    [
        pytest.param(kill, back_from_kill, id="killed"),
        pytest.param(pause, back_from_pause, id="paused", marks=pytest.mark.slow),
        pytest.param(cut, back_from_cut, id="cut off", marks=pytest.mark.slow),
    ],
)
def test_a_worker_that_is_lost_in_mid_run_loses_nothing(stack: Stack, tmp_path: Path, hurt: Act, heal: Act) -> None:
    last = stack.master("/traffic/status").get("run")
    stack.ready(4)
    assert stack.start(traffic_wait="1.0-3.0")["success"]
    run = stack.under_way(after=last)
    worker = stack.compose("ps", "-q", "worker").stdout.split()[0]
    hurt(stack, worker)
    try:
        until("it is given up", 30, lambda: given_up(stack) > 0)
    finally:
        heal(stack, worker)
    status = stack.ended(after=last)
    assert status["state"] == "completed"
    verdict = judged(stack, run, tmp_path)
    assert verdict.good, str(verdict)
    stack.ready(4, seconds=90)


def given_up(stack: Stack) -> int:
    """How many workers the present run has lost."""
    rows = stack.master("/traffic/status")["workers"]
    return sum(row["state"] in ("missing", "gone") for row in rows)
