"""The stack's plan, ports, relay and environment, without starting one."""

import ast
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.stack import ROOT, until
from traffic.state import StateFolder

sys.path.insert(0, str(ROOT / "scripts"))
try:
    import plan
    import processes
    import stack
    import venv_setup
finally:
    sys.path.remove(str(ROOT / "scripts"))

LOG = "[2030-01-01 10:00:00,000] host"


def test_the_plan_without_variables_is_the_readme_s() -> None:
    made = plan.Plan.read({})
    assert (made.workers, made.users, made.spawn_rate, made.file) == (4, 20, 20.0, "data/traffic.json")
    assert made.locustfile == ROOT / "locust/locustfile.py"
    assert (made.host, made.target, made.state) == (None, "http://127.0.0.1:4000", Path("state").absolute())
    assert (made.api_port, made.web_port, made.master_port) == (4000, 8089, 5557)


def test_an_empty_variable_counts_as_none() -> None:
    assert plan.Plan.read({"WORKERS": "", "HOST": " ", "SPAWN_RATE": "", "STATE": ""}) == plan.Plan.read({})


def test_another_locustfile_is_one_of_this_folder_or_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    named = {"LOCUSTFILE": "locust/replay_locustfile.py"}, {"LOCUSTFILE": str(tmp_path / "mine.py")}
    assert [plan.Plan.read(one).locustfile for one in named] == [
        ROOT / "locust/replay_locustfile.py",
        tmp_path / "mine.py",
    ]
    assert str(tmp_path / "mine.py") in plan.Plan.read(named[1]).locust()


@pytest.mark.parametrize("missing", ["{}/mine.py", "locust/locustfle.py", "locust/locustfile.py,{}/mine.py"])
def test_a_locustfile_that_is_not_there_is_refused_before_anything_is_started(tmp_path: Path, missing: str) -> None:
    given = missing.format(tmp_path)
    with pytest.raises(
        plan.RefusedError, match=r"^LOCUSTFILE must name a locustfile, not '.*': there is no /.*\.py\. Try"
    ):
        plan.Plan.read({"LOCUSTFILE": given})


def test_several_locustfiles_are_named_with_commas_between_them() -> None:
    made = plan.Plan.read({"LOCUSTFILE": "locust/locustfile.py, locust/replay_locustfile.py"})
    assert str(made.locustfile) == f"{ROOT}/locust/locustfile.py,{ROOT}/locust/replay_locustfile.py"


def test_a_locustfile_of_another_folder_finds_the_package(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from traffic import ReplayUser\n\nclass Mine(ReplayUser):\n    pass\n")
    made = plan.Plan.read({"LOCUSTFILE": str(tmp_path / "mine.py")})
    command = [*made.locust()[: made.locust().index("-f") + 2], "--list"]
    env = plan.locust_env({name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Mine" in done.stdout, done.stderr


def test_a_path_that_is_set_already_is_kept() -> None:
    assert plan.locust_env({"PYTHONPATH": "/mine"})["PYTHONPATH"] == f"{ROOT}/locust{os.pathsep}/mine"


def test_users_are_spawned_within_a_second_unless_asked_otherwise() -> None:
    assert plan.Plan.read({"USERS": "100"}).spawn_rate == 100
    assert plan.Plan.read({"USERS": "100", "SPAWN_RATE": "0.5"}).spawn_rate == 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("WORKERS", "four"),
        ("WORKERS", "²"),
        ("USERS", "-1"),
        ("USERS", "1.5"),
        ("SPAWN_RATE", "0"),
        ("SPAWN_RATE", "nan"),
        ("SPAWN_RATE", "fast"),
        ("API_PORT", "65536"),
        ("HOST", "build-host"),
        ("HOST", "ftp://example.org"),
        ("HOST", "https://"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_with_its_value_and_a_remedy(name: str, value: str) -> None:
    with pytest.raises(plan.RefusedError, match=rf"^{name} must be .*, not '{value}'\. .*{name}="):
        plan.Plan.read({name: value})


def test_locust_listens_on_this_machine_alone() -> None:
    line = plan.Plan.read({"MASTER_PORT": "6000", "HOST": "https://api.example"}).locust()
    options = dict(pairwise(line))
    assert options["--master-bind-host"] == options["--master-host"] == "127.0.0.1"
    assert options["--master-bind-port"] == options["--master-port"] == "6000"
    assert options["--host"] == "https://api.example"


def test_a_free_port_passes_and_a_taken_one_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(plan.RefusedError, match=rf"port {port} \(API_PORT\) is in use .*API_PORT=\d+$"):
            plan.check_ports({"MASTER_PORT": plan.free_port(), "API_PORT": port})
    plan.check_ports({"API_PORT": port})


def test_a_port_that_is_taken_on_all_addresses_is_refused() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server, pytest.raises(plan.RefusedError):
        plan.check_ports({"API_PORT": server.getsockname()[1]})


def test_one_port_for_two_is_refused() -> None:
    port = plan.free_port()
    with pytest.raises(plan.RefusedError, match=rf"port {port} \(API_PORT\) is MASTER_PORT's, too"):
        plan.check_ports({"MASTER_PORT": port, "API_PORT": port})


def test_a_state_folder_has_one_stack_at_a_time(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    with stack.sole_user(state), pytest.raises(plan.RefusedError, match="another stack uses"), stack.sole_user(state):
        pass
    with stack.sole_user(state):
        pass


@pytest.mark.parametrize("asked", [[], [2, 2]])
def test_only_a_run_that_began_is_said_to_have_a_journal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], asked: list[int]
) -> None:
    made = stack.Stack(plan.Plan.read({"STATE": str(tmp_path)}))
    made.asked = asked
    code = 130 if asked else 1
    of_an_earlier_run = tmp_path / "runs/20261122-1/journal.sqlite"
    of_an_earlier_run.parent.mkdir(parents=True)
    of_an_earlier_run.write_text("old")
    before = stack._journals(tmp_path)
    assert stack._explain(made, 1, before) == code
    assert "journal" not in (said := capfd.readouterr().err)
    assert ("stopped before anything was sent" in said) == bool(asked)
    of_an_earlier_run.with_name("journal.sqlite-wal").write_text("it goes on")
    assert stack._explain(made, 1, before) == code
    said = capfd.readouterr().err
    assert f"what was sent cannot be told: the journal {of_an_earlier_run}" in said
    assert "anything" not in said
