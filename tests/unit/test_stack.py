"""The stack's configuration, ports, log filter and environment, without starting one."""

import ast
import json
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

from support.deadlines import until
from support.stack import ROOT
from traffic.runs.state_dir import StateFolder

sys.path.insert(0, str(ROOT / "scripts"))
try:
    import left  # noqa: F401 - the stack loads it when it is needed, which is too late here
    import log_filter
    import processes
    import stack
    import stack_config
    import venv_setup
finally:
    sys.path.remove(str(ROOT / "scripts"))

LOG = "[2030-01-01 10:00:00,000] host"


def test_the_plan_without_variables_is_the_readme_s() -> None:
    made = stack_config.StackConfig.read({})
    assert (made.workers, made.users, made.spawn_rate, made.file) == (4, 20, 20.0, "data/traffic.json")
    assert made.locustfile == ROOT / "locust/locustfile.py"
    assert (made.host, made.target, made.state) == (None, "http://127.0.0.1:4000", Path("state").absolute())
    assert (made.api_port, made.web_port, made.master_port) == (4000, 8089, 5557)


def test_an_empty_variable_counts_as_none() -> None:
    assert stack_config.StackConfig.read(
        {"WORKERS": "", "HOST": " ", "SPAWN_RATE": "", "STATE": ""}
    ) == stack_config.StackConfig.read({})


def test_another_locustfile_is_one_of_this_folder_or_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    named = {"LOCUSTFILE": "locust/replay_locustfile.py"}, {"LOCUSTFILE": str(tmp_path / "mine.py")}
    assert [stack_config.StackConfig.read(one).locustfile for one in named] == [
        ROOT / "locust/replay_locustfile.py",
        tmp_path / "mine.py",
    ]
    assert str(tmp_path / "mine.py") in stack_config.StackConfig.read(named[1]).locust()


@pytest.mark.parametrize("missing", ["{}/mine.py", "locust/locustfle.py", "locust/locustfile.py,{}/mine.py"])
def test_a_locustfile_that_is_not_there_is_refused_before_anything_is_started(tmp_path: Path, missing: str) -> None:
    given = missing.format(tmp_path)
    with pytest.raises(
        stack_config.CannotStartError, match=r"^LOCUSTFILE must name a locustfile, not '.*': there is no /.*\.py\. Try"
    ):
        stack_config.StackConfig.read({"LOCUSTFILE": given})


def test_several_locustfiles_are_named_with_commas_between_them() -> None:
    made = stack_config.StackConfig.read({"LOCUSTFILE": "locust/locustfile.py, locust/replay_locustfile.py"})
    assert str(made.locustfile) == f"{ROOT}/locust/locustfile.py,{ROOT}/locust/replay_locustfile.py"


def test_users_are_spawned_within_a_second_unless_asked_otherwise() -> None:
    assert stack_config.StackConfig.read({"USERS": "100"}).spawn_rate == 100
    assert stack_config.StackConfig.read({"USERS": "100", "SPAWN_RATE": "0.5"}).spawn_rate == 0.5


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
    with pytest.raises(stack_config.CannotStartError, match=rf"^{name} must be .*, not '{value}'\. .*{name}="):
        stack_config.StackConfig.read({name: value})


def test_locust_listens_on_this_machine_alone() -> None:
    line = stack_config.StackConfig.read({"MASTER_PORT": "6000", "HOST": "https://api.example"}).locust()
    options = dict(pairwise(line))
    assert options["--master-bind-host"] == options["--master-host"] == "127.0.0.1"
    assert options["--master-bind-port"] == options["--master-port"] == "6000"
    assert options["--host"] == "https://api.example"


def test_a_free_port_passes_and_a_taken_one_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(stack_config.CannotStartError, match=rf"port {port} \(API_PORT\) is in use .*API_PORT=\d+$"):
            stack_config.check_ports({"MASTER_PORT": stack_config.free_port(), "API_PORT": port})
    stack_config.check_ports({"API_PORT": port})


def test_a_port_that_is_taken_on_all_addresses_is_refused() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server, pytest.raises(stack_config.CannotStartError):
        stack_config.check_ports({"API_PORT": server.getsockname()[1]})


def test_one_port_for_two_is_refused() -> None:
    port = stack_config.free_port()
    with pytest.raises(stack_config.CannotStartError, match=rf"port {port} \(API_PORT\) is MASTER_PORT's, too"):
        stack_config.check_ports({"MASTER_PORT": port, "API_PORT": port})


def test_a_state_folder_has_one_stack_at_a_time(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    with (
        stack.sole_user(state),
        pytest.raises(stack_config.CannotStartError, match="another stack uses"),
        stack.sole_user(state),
    ):
        pass
    with stack.sole_user(state):
        pass


def test_a_folder_of_somebody_elses_is_no_state_folder_of_a_stack(tmp_path: Path) -> None:
    (tmp_path / "locust.log").write_text("mine")
    with pytest.raises(stack_config.CannotStartError, match="is no state folder"), stack.sole_user(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["locust.log"]


def test_the_master_knows_the_folder_that_its_stack_made(tmp_path: Path) -> None:
    with stack.sole_user(tmp_path / "state"):
        (tmp_path / "state" / "stub.log").touch()
        StateFolder(tmp_path / "state").prepare()


@pytest.mark.parametrize("asked", [[], [2, 2]])
def test_only_a_run_that_began_is_said_to_have_a_journal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], asked: list[int]
) -> None:
    made = stack.Stack(stack_config.StackConfig.read({"STATE": str(tmp_path)}))
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


def written(name: str, level: str, text: str) -> str:
    return f"{LOG}/{level}/traffic.master.{name}: {text}\n"


@contextmanager
def filtered(
    text: str, folder: Path, capfd: pytest.CaptureFixture[str], status: str | None, *, live: bool = False
) -> Iterator[Any]:
    source, drawn = folder / "source", list[Any]()
    source.write_text(text, encoding="utf-8")
    reader = None
    if status is not None:
        reader, writer = os.pipe()
        os.write(writer, status.encode())
        os.close(writer)
        os.set_blocking(reader, False)
    with source.open("rb") as file:
        log: Any = log_filter.LogFilter(file, folder / "copy", reader, drawn.append if live else None)
        log.finish()
    assert (folder / "copy").read_text() == text
    log.shown, log.drawn = capfd.readouterr().err, drawn
    yield log


REPORT = "delivery report, run r: completed\n  3 records = 3 delivered\n  worker  slice"
LOGGED_REPORT = written("active_run", "INFO", REPORT)
AFTER = written("master", "INFO", "after it")
REFUSAL = "no file. Put one there.\n  or two"
LOGGED_REFUSAL = written("master", "ERROR", f"refused to start: {REFUSAL}\nTraceback\n  more")


def message(kind: str, **members: Any) -> str:
    return json.dumps({"kind": kind, **members}) + "\n"


@pytest.mark.parametrize("status", [None, ""])
def test_locust_s_own_chatter_goes_to_the_file_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], status: str | None
) -> None:
    ours, warning = f"{LOG}/INFO/traffic.master.master: run r\n", f"{LOG}/WARNING/locust.runners: a worker is missing\n"
    text = f"{LOG}/INFO/locust.runners: Discarded report\n{ours}{LOG}/INFO/locust.main: bye\n{warning}"
    with filtered(text, tmp_path, capfd, status) as log:
        assert log.shown == ours + warning


def test_the_report_is_held_back_for_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with filtered(LOGGED_REPORT + AFTER, tmp_path, capfd, message("report", text=REPORT)) as log:
        assert log.report == REPORT
        assert log.shown == AFTER


def test_a_worker_s_line_amid_the_report_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, rest = LOGGED_REPORT.split("\n", 1)
    with filtered(f"{first}\n  a worker says\n{rest}", tmp_path, capfd, message("report", text=REPORT)) as log:
        assert log.report == REPORT
        assert log.shown == "  a worker says\n"


def test_behind_a_refusal_nothing_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with filtered(f"{LOGGED_REFUSAL}last\n", tmp_path, capfd, message("refused", text=REFUSAL)) as log:
        assert log.refusal == REFUSAL
        assert log.shown == ""


def test_a_line_of_progress_is_left_out_if_there_is_a_live_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line, shown = "progress: 1 of 3 records", {"state": "running", "reason": ""}
    status = message("status", status=shown) + message("progress", text=line) + message("status", status=None) + '{"ki'
    logged = written("master", "INFO", line)
    with filtered(logged + AFTER, tmp_path, capfd, status, live=True) as log:
        assert (log.drawn, log.shown) == ([shown, None], AFTER)
    with filtered(logged + AFTER, tmp_path, capfd, status) as log:
        assert (log.drawn, log.shown) == ([], logged + AFTER)


def test_what_the_status_pipe_does_not_name_is_shown_whatever_it_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with filtered(LOGGED_REPORT + LOGGED_REFUSAL + "last", tmp_path, capfd, "") as log:
        assert log.shown == LOGGED_REPORT + LOGGED_REFUSAL + "last\n"
        assert (log.report, log.refusal) == ("", "")


def test_with_a_web_ui_all_is_shown_as_it_comes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with filtered(LOGGED_REPORT + LOGGED_REFUSAL, tmp_path, capfd, None) as log:
        assert log.shown == LOGGED_REPORT + LOGGED_REFUSAL
        assert (log.report, log.refusal) == ("", "")


def test_a_child_that_does_not_heed_sigterm_is_killed_with_its_own_children(tmp_path: Path) -> None:
    deaf = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
    with (tmp_path / "out").open("wb") as out:
        child = processes.Child(["sh", "-c", deaf], os.environ, out)
    until(lambda: (tmp_path / "out").read_text().endswith("\n"), "it has a child")
    grandchild = int((tmp_path / "out").read_text())
    assert child.end(0.1, lambda: False) == 128 + 9
    until(lambda: not _alive(grandchild), "its child is gone")


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# scripts/venv_setup.py


def test_an_old_python_is_told_what_it_lacks() -> None:
    complaint = venv_setup.too_old((3, 9, 2)) or ""
    assert "Python 3.11 or newer is needed" in complaint
    assert "is 3.9.2" in complaint
    assert venv_setup.too_old((3, 11, 0)) is None
    assert venv_setup.too_old((4, 0, 0)) is None


def test_an_old_python_can_read_the_set_up() -> None:
    ast.parse((ROOT / "scripts/venv_setup.py").read_text(), feature_version=(3, 6))


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What drawn like an environment, in which pip does nothing but count its calls."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "lib/python3.11/site-packages/pip").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    (venv / "bin/python").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ntest ! -e {tmp_path}/fails\n')
    (venv / "bin/python").chmod(0o755)
    (tmp_path / "calls").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    return venv


def installs(venv: Path) -> int:
    return len((venv.parent / "calls").read_text().splitlines())


def test_it_installs_once_and_again_when_a_file_has_changed(venv: Path) -> None:
    for _ in range(2):
        venv_setup.install(venv, ["a.txt"])
    assert installs(venv) == 1
    assert "--require-hashes -r a.txt" in (venv.parent / "calls").read_text()
    Path("a.txt").write_text("changed")
    venv_setup.install(venv, ["a.txt"])
    assert installs(venv) == 2


def test_two_sets_of_requirements_do_not_push_each_other_out(venv: Path) -> None:
    for files in (["a.txt"], ["b.txt"], ["a.txt"], ["b.txt"], ["a.txt", "b.txt"]):
        venv_setup.install(venv, files)
    assert installs(venv) == 2


def test_going_back_to_older_files_installs_again(venv: Path) -> None:
    venv_setup.install(venv, ["a.txt"])
    Path("a.txt").write_text("newer")
    venv_setup.install(venv, ["b.txt"])  # brings the newer versions in
    Path("a.txt").write_text("a.txt")
    venv_setup.install(venv, ["a.txt"])
    assert installs(venv) == 3


def test_an_install_that_failed_is_tried_again(venv: Path) -> None:
    Path("fails").touch()
    with pytest.raises(venv_setup.SetupError, match="pip could not install"):
        venv_setup.install(venv, ["a.txt"])
    Path("fails").unlink()
    venv_setup.install(venv, ["a.txt"])
    assert installs(venv) == 2


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/thesis.txt").write_text("mine")
    with pytest.raises(venv_setup.SetupError, match="is no virtual environment"):
        venv_setup.make(tmp_path / "venv")
    assert (tmp_path / "venv/thesis.txt").exists()


@pytest.mark.parametrize("damage", ["bin/python", "pyvenv.cfg"])
def test_a_broken_environment_is_not_used(venv: Path, damage: str) -> None:
    assert venv_setup.usable(venv)
    (venv / damage).rename(venv / "gone")
    assert not venv_setup.usable(venv)


def test_an_environment_without_pip_gets_one_and_is_not_made_anew(venv: Path) -> None:
    (venv / "lib/python3.11/site-packages/pip").rename(venv / "gone")
    venv_setup.install(venv, ["a.txt"])
    assert [call.split()[1] for call in (venv.parent / "calls").read_text().splitlines()] == ["ensurepip", "pip"]
    assert (venv / "gone").exists()


def test_an_environment_of_an_old_python_is_not_used(venv: Path) -> None:
    (venv / "pyvenv.cfg").write_text("version = 3.9.2\n")
    assert not venv_setup.usable(venv)


@pytest.mark.parametrize("change", ["pyproject.toml", "the folder"])
def test_the_project_is_installed_once_and_again_when_it_has_changed(
    venv: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pyproject.toml").write_text("[project]")
    for _ in range(2):
        venv_setup.install_project(venv)
    venv_setup.install(venv, ["a.txt"])
    venv_setup.install_project(venv)
    assert installs(venv) == 2
    assert "--no-index --no-deps --no-build-isolation --editable ." in (venv.parent / "calls").read_text()
    if change == "the folder":
        (venv.parent / "copy").mkdir()
        monkeypatch.chdir(venv.parent / "copy")
    Path("pyproject.toml").write_text("[project]" if change == "the folder" else "[project]\n")
    venv_setup.install_project(venv)
    assert installs(venv) == 3


def test_a_project_that_could_not_be_installed_is_tried_again(venv: Path) -> None:
    Path("pyproject.toml").touch()
    Path("fails").touch()
    with pytest.raises(venv_setup.SetupError, match="pip could not install"):
        venv_setup.install_project(venv)
    Path("fails").unlink()
    venv_setup.install_project(venv)
    venv_setup.install_project(venv)
    assert installs(venv) == 2


def test_bare_make_lists_every_target_with_a_word() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make"], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and len(line.split()) > 1}
    phony = {
        name
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
        for name in line.split()[1:]
    }
    assert phony <= listed
    assert {"help", "up", "down", "local", "replay", "test", "lint", "fmt", "data"} <= phony
