"""`make replay` and `make local` themselves: what they say, how they end, and that they leave nothing behind."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.deadlines import until
from support.recorder import recording
from support.stack import StackProcess, replay, running
from traffic.runs.state_dir import StateFolder

RECORDS = 100
SLOW: dict[str, Any] = {"TRAFFIC_WAIT": "3-4", "WORKERS": 2, "USERS": 4}

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")


def stored(state: Path) -> list[tuple[str, int]]:
    """Each run with how many of its records are stored; nothing before there is a store."""
    if not (state / "messages.db").exists():
        return []
    with contextlib.closing(sqlite3.connect(state / "messages.db")) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchone():
            return []
        return db.execute("SELECT run, count(DISTINCT key) FROM messages GROUP BY run").fetchall()


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[StackProcess]:
    """A slow replay whose records are being sent."""
    with running("replay", tmp_path / "state", **SLOW) as stack:
        until(lambda: stored(tmp_path / "state"), "a record is stored")
        yield stack


@linux
def test_make_replay_prints_its_report_last_and_keeps_the_messages_of_each_run(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running("replay", state, make=True, WORKERS=4, USERS=20) as stack:
        first = stack.wait()
        stack.await_end_of_family()
    assert first.code == 0, first.err
    assert first.report == json.loads((state / "report.json").read_text())
    assert first.report["audit"]["agrees"]
    assert f"{RECORDS} records = {RECORDS} delivered + 0 rejected + 0 in doubt + 0 unsent" in first.out
    assert "progress: " in first.err
    assert "Traceback" not in first.err
    second = replay(state, make=True, WORKERS=2, USERS=20, TRAFFIC_WAIT=0)
    assert second.code == 0, second.err
    assert dict(stored(state)) == {first.report["run"]: RECORDS, second.report["run"]: RECORDS}


@linux
def test_ctrl_c_stops_the_run_with_a_report_and_the_same_command_again_is_refused(under_way: StackProcess) -> None:
    under_way.process.send_signal(signal.SIGINT)
    done = under_way.wait()
    counts, run = done.report["counts"], done.report["run"]
    assert done.code == 3, done.err
    assert counts["delivered"] + counts["unsent"] == RECORDS
    assert counts["delivered"] == done.report["audit"]["stored"] > 0
    assert not under_way.family()
    refused = replay(under_way.state, **SLOW, API_PORT=under_way.ports["API_PORT"])
    assert refused.code == 4, refused.err
    assert f"refused to start: run {run} to http" in refused.err
    assert f"{counts['delivered']} of {RECORDS} records" in refused.err
    assert f"TRAFFIC_RESUME={run}" in refused.err
    assert "TRAFFIC_AGAIN=yes" in refused.err
    assert stored(under_way.state) == [(run, counts["delivered"])]


# The last is what a closed terminal sends.
@linux
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_run_whose_command_is_ended_is_suspended_and_the_same_command_again_goes_on_with_it(
    under_way: StackProcess, sent: signal.Signals
) -> None:
    under_way.process.send_signal(sent)
    done = under_way.wait()
    under_way.await_end_of_family()
    ((run, _),) = stored(under_way.state)
    if sent != signal.SIGKILL:
        assert done.code == 6, done.err
        assert f"suspended: run {run} is suspended: of its {RECORDS} records, " in done.err
        assert "The same command again goes on with it, by the same keys" in done.err
        assert "report: " not in done.out
    more = SLOW | {"API_PORT": under_way.ports["API_PORT"], "USERS": 60}
    again = replay(under_way.state, **more)
    assert (again.code, again.report["run"]) == (0, run), again.err
    assert again.report["counts"]["delivered"] == again.report["audit"]["stored"] == RECORDS
    assert again.report["audit"]["agrees"]
    assert stored(under_way.state) == [(run, RECORDS)]


@linux
def test_a_second_signal_ends_it_at_once(under_way: StackProcess) -> None:
    under_way.process.send_signal(signal.SIGINT)
    until(lambda: "once more" in under_way.err, "the first is taken")
    under_way.process.send_signal(signal.SIGINT)
    done = under_way.wait(5)
    assert done.code not in (0, 3, 4)
    # A run of which nothing was in flight may have its report before the second signal comes.
    cut_off = re.search(r"stopped without a report: run \S+ was cut off: of its \d+ records, ", done.err)
    assert cut_off or "delivery report, run" in done.out, done.err
    assert "The same command again goes on with it, by the same keys" in done.err
    assert not under_way.family()


@linux
def test_make_hands_sigterm_on(tmp_path: Path) -> None:
    with running("replay", tmp_path / "state", make=True, **SLOW) as stack:
        until(lambda: "joined" in stack.err, "the run has begun")
        stack.process.terminate()
        assert stack.wait().code != 0
        stack.await_end_of_family()


@linux
def test_a_stub_that_dies_ends_the_run_with_a_report(under_way: StackProcess) -> None:
    stub = next(pid for pid in under_way.family() if b"stub" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    os.kill(stub, signal.SIGKILL)
    done = under_way.wait()
    assert done.code == 3, done.err
    assert "the API stub ended with exit code 137" in done.err
    assert not under_way.family()


@linux
def test_workers_do_not_outlive_a_master_that_is_killed(under_way: StackProcess) -> None:
    family = {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in under_way.family()}
    master = next(
        pid
        for pid, stat in family.items()
        if int(stat[1]) == under_way.process.pid and b"locust" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    )
    os.kill(master, signal.SIGKILL)
    done = under_way.wait()
    assert done.code == 137
    assert "Locust ended with exit code 137 and left no report" in done.err
    assert not under_way.family()


@linux
def test_local_serves_the_web_ui_until_it_is_interrupted(tmp_path: Path) -> None:
    with running("local", tmp_path / "state", make=True, WORKERS=2, USERS=10, TRAFFIC_WAIT=0) as stack:
        until(lambda: "the stack is up" in stack.err, "the stack is up")
        web = f"http://127.0.0.1:{stack.ports['WEB_PORT']}"
        assert web in stack.err
        assert f"http://127.0.0.1:{stack.ports['API_PORT']}" in stack.err
        until(lambda: len(status(web)["workers"]) == 2, "both workers are there")
        answer = httpx.post(f"{web}/swarm", data={"user_count": 10, "spawn_rate": 10})
        assert answer.json()["success"], answer.text
        until(lambda: status(web)["state"] == "completed", "the run ends by itself")
        os.killpg(stack.process.pid, signal.SIGINT)  # as the terminal does
        stack.wait()
        assert not stack.family()
    assert [count for _, count in stored(tmp_path / "state")] == [RECORDS]


def status(web: str) -> dict[str, Any]:
    return dict(httpx.get(f"{web}/traffic/status").json())


def test_local_that_is_ended_has_exit_code_0(tmp_path: Path) -> None:
    with running("local", tmp_path / "state", WORKERS=1) as stack:
        until(lambda: "the stack is up" in stack.err, "the stack is up")
        stack.process.terminate()
        assert stack.wait().code == 0


@pytest.mark.parametrize("name", ["API_PORT", "WEB_PORT", "MASTER_PORT"])
def test_a_port_that_is_taken_is_named_with_its_variable_before_anything_starts(tmp_path: Path, name: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        running("local", tmp_path / "state", **{name: taken.getsockname()[1]}) as stack,
    ):
        done = stack.wait()
        assert done.code == 4
        assert f"refused to start: port {taken.getsockname()[1]} ({name}) is in use by another program" in done.err
    assert not (tmp_path / "state").exists()


def test_two_stacks_do_not_share_a_state_folder(under_way: StackProcess) -> None:
    done = replay(under_way.state)
    assert done.code == 4
    assert f"another stack uses the state folder {under_way.state}" in done.err


def test_a_stub_that_cannot_start_shows_why(tmp_path: Path) -> None:
    StateFolder(tmp_path / "state").prepare()
    (tmp_path / "state/messages.db").mkdir()
    done = replay(tmp_path / "state")
    assert done.code == 4
    assert "the API stub ended with exit code 4" in done.err
    assert "STORE_URL must name a file" in done.err


def test_with_another_api_no_stub_is_started(tmp_path: Path) -> None:
    with recording() as api:
        done = replay(tmp_path / "state", HOST=f"{api.url}/", WORKERS=1, TRAFFIC_WAIT=0)
    assert done.code == 0, done.err
    assert len(api.posts) == RECORDS
    assert done.report["audit"] is None
    assert not (tmp_path / "state/stub.log").exists()


def test_a_run_that_is_not_all_delivered_exits_3_with_a_report(tmp_path: Path) -> None:
    done = replay(tmp_path / "state", FILE=wrong_shapes(tmp_path), WORKERS=1, USERS=1, TRAFFIC_WAIT=0)
    assert done.code == 3, done.err
    counts = done.report["counts"]
    assert (counts["delivered"], counts["rejected"]) == (1, 2)
    assert done.report == json.loads((done.state / "report.json").read_text())


def wrong_shapes(folder: Path) -> Path:
    file = folder / "records.json"
    file.write_text('[{"name": "Ana", "msg": "¡hola!"}, {"name": 1}, {}]', encoding="utf-8")
    return file
