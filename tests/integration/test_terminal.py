"""A headless run on a terminal: one line that moves, the log whole above it, a table at its end, nothing left."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from support.cluster import KEPT, LOCUSTFILE, ROOT, records_file
from support.deadlines import stretched
from support.fake_api import FakeApi, Step
from support.mongod import free_port
from support.terminal import Terminal, on_terminal

RECORDS = 40
WIDE = 220
# Whether it is a master by itself, or scripts/stack.py, which starts each process anew.
BOTH = [pytest.param(False, id="a master"), pytest.param(True, id="the stack", marks=pytest.mark.slow)]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
Start = Callable[..., AbstractContextManager[Terminal]]

# Its workers are forked off the master, so that they share its terminal, and have much to say.
TALKING = """
import logging
from traffic import RecordUser, task

class Talking(RecordUser):
    @task
    def post(self):
        logging.warning("<a worker says all of this>")
        print("<and this>")
        self.deliver_next()
"""
# Reading waits until a file named "go" is there.
SLOW_READING = """
import pathlib, time
from traffic.dataset.loader import DatasetLoader

def slow(self, rules, usual=DatasetLoader.open):
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return usual(self, rules)

DatasetLoader.open = slow
"""
# The master's own loop breaks as soon as something is delivered.
BROKEN = """
from traffic.core.master.coordinator import LeaseCoordinator

def broken(self, now, usual=LeaseCoordinator.expire):
    if self.run is not None and self.run.ledger.settled:
        raise RuntimeError("broken for a test")
    return usual(self, now)

LeaseCoordinator.expire = broken
"""


@pytest.fixture
def api(shared_api: FakeApi) -> Iterator[FakeApi]:
    shared_api.accept()
    shared_api.forget()
    shared_api.always(Step(delay=0.1))
    yield shared_api
    shared_api.accept()


def environment(folder: Path, **variables: Any) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    given = {"TRAFFIC_STATE_DIR": folder / "state", "TRAFFIC_WAIT": 0, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    return kept | {name: str(value) for name, value in ({"PYTHONPATH": ROOT / "locust"} | given | variables).items()}


def master(folder: Path, api: FakeApi, locustfile: str = LOCUSTFILE) -> list[str]:
    """The command line of a headless master with a worker of its own."""
    (folder / "traffic_locustfile.py").write_text(locustfile)
    port = str(free_port())
    return [
        *(sys.executable, "-m", "locust", "-f", "traffic_locustfile.py", "--processes", "1", "-u", "2", "-r", "100"),
        *("--headless", "--only-summary", "--master-bind-host", "127.0.0.1", "--master-bind-port", port),
        *("--master-port", port, "--host", api.url, "--traffic-file", str(records_file(folder, RECORDS))),
    ]


@pytest.fixture
def start(tmp_path: Path, api: FakeApi) -> Start:
    """Start a headless run on a terminal: of a master, of such a `locustfile`, or by scripts/stack.py."""

    def start(
        locustfile: str = LOCUSTFILE, *, stack: bool = False, columns: int = WIDE, streams: Any = None, **variables: Any
    ) -> AbstractContextManager[Terminal]:
        line = master(tmp_path, api, locustfile)
        env = environment(tmp_path, **variables)
        if stack:
            line = [sys.executable, str(ROOT / "scripts/stack.py"), "replay"]
            env |= {"WORKERS": "2", "USERS": "2", "HOST": api.url, "STATE": str(tmp_path / "state")}
            env |= {"MASTER_PORT": str(free_port()), "FILE": str(records_file(tmp_path, RECORDS))}
        return on_terminal(line, env, tmp_path, columns=columns, **(streams or {}))

    return start


def report_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "state/report.json").read_text()))


def is_as_before(terminal: Terminal) -> bool:
    """Whether no live line is left on the screen, and the terminal is as it was."""
    assert not [row for row in terminal.rows if re.match(r"(running|paused|stopping|reading) +", row)]
    assert terminal.settings_now == terminal.settings
    assert "\x1b[?" not in terminal.text  # no mode is ever changed, the cursor's among them
    return terminal.cursor_is_shown


def under_way(terminal: Terminal) -> None:
    """Wait until the last row on the screen says that records are delivered."""
    terminal.until(lambda: re.match(r"running +[1-9]", (terminal.rows or [""])[-1]), "the live line moves")


def test_one_line_moves_while_the_log_passes_above_it_and_a_table_ends_it(start: Start, tmp_path: Path) -> None:
    with start(TALKING) as terminal:
        assert terminal.wait() == 0
        rows = terminal.rows
        assert is_as_before(terminal)
    done = [int(at[1]) for row in terminal.drawn if (at := re.search(r"^running .* (\d+) of 40 records", row))]
    assert done == sorted(done)
    assert len(set(done)) > 5
    assert COLOUR.search(terminal.text)
    assert all(re.fullmatch(r".*<a worker says all of this>", row) or row == "<and this>" for row in rows if "<" in row)
    assert sum("<a worker says all of this>" in row for row in rows) >= RECORDS
    assert all(row.startswith("[") for row in rows if "/INFO/" in row)
    assert not [row for row in rows if "progress: " in row]
    first = rows.index(f"delivery report, run {report_of(tmp_path)['run']}: completed")
    assert rows[first + 1] == "  40 records = 40 delivered + 0 rejected + 0 in doubt + 0 unsent"
    assert re.fullmatch(r"  response times: half within .*, the longest [\d.]+ m?s", rows[first + 3])
    assert re.fullmatch(r"  POST http://\S+/, by \d+ users?", rows[first + 4])
    assert re.fullmatch(r"  worker +slice +moved +delivered +rejected +in doubt", rows[first + 5])
    assert re.fullmatch(r"  \S+ +40 +\+0 +40 +0 +0", rows[first + 6])


def test_a_narrow_terminal_without_colours_has_one_row_of_it(start: Start) -> None:
    with start(columns=40, NO_COLOR=1) as terminal:
        under_way(terminal)
        before = terminal.rows
        assert terminal.wait() == 0
        assert is_as_before(terminal)
    assert sum(bool(re.match("running ", row)) for row in before) == 1
    assert max(len(row) for row in terminal.drawn) <= 39
    assert not COLOUR.search(terminal.text)


def test_ctrl_c_ends_the_line_with_the_run(start: Start, tmp_path: Path) -> None:
    with start() as terminal:
        under_way(terminal)
        terminal.interrupt()
        assert terminal.wait() == 3
        assert is_as_before(terminal)
    report = report_of(tmp_path)
    assert f"delivery report, run {report['run']}: {report['verdict']['text']}" in terminal.rows
    assert report["state"] == "stopped"


def test_a_run_that_is_paused_says_why(start: Start, api: FakeApi) -> None:
    with start() as terminal:
        under_way(terminal)
        api.refuse()
        reason = r"paused +\d+% .* of 40 records  the API cannot be reached: .+"
        terminal.until(lambda: re.match(reason, terminal.rows[-1]), "the line says why the run is paused")
        api.accept()
        assert terminal.wait() == 0
        assert is_as_before(terminal)


def test_while_the_file_is_read_the_line_says_so_and_a_refusal_ends_it(start: Start, tmp_path: Path) -> None:
    with start(LOCUSTFILE + SLOW_READING) as terminal:
        terminal.until(lambda: re.match(r"reading +\S+40\.json: begun", (terminal.rows or [""])[-1]), "it is read")
        records_file(tmp_path, RECORDS).write_text("[1]")
        (tmp_path / "go").touch()
        assert terminal.wait() == 4
        assert is_as_before(terminal)
    assert [row for row in terminal.rows if re.match(r"\[.*refused to start: .*record 0", row)]


def test_a_master_that_breaks_leaves_the_terminal_as_it_was(start: Start) -> None:
    with start(LOCUSTFILE + BROKEN) as terminal:
        assert terminal.wait() == 2
        assert is_as_before(terminal)
    assert "RuntimeError: broken for a test" in terminal.rows
    assert [row for row in terminal.rows if re.match(r"\[.*/CRITICAL/traffic.master.master: the master's side", row)]


@pytest.mark.parametrize("stack", BOTH)
def test_a_dumb_terminal_gets_plain_lines(start: Start, stack: bool) -> None:
    with start(stack=stack, TERM="dumb") as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.text
    assert re.search(r"INFO/traffic.master.watch: progress: \d+ of 40 records", terminal.text)


@pytest.mark.parametrize("stack", BOTH)
def test_what_is_no_terminal_gets_no_escape_byte(start: Start, tmp_path: Path, stack: bool) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file, start(stack=stack, streams={"stdout": file, "stderr": subprocess.STDOUT}) as terminal:
        assert terminal.wait() == 0
    assert terminal.written == b""
    assert b"\x1b" not in out.read_bytes()
    assert re.search(rb"INFO/traffic.master.watch: progress: \d+ of 40 records", out.read_bytes())
    assert b"  40 records = 40 delivered + 0 rejected" in out.read_bytes()


def test_the_stack_has_the_line_too_and_its_last_line_is_the_report(start: Start, tmp_path: Path) -> None:
    with start(stack=True) as terminal:
        under_way(terminal)
        assert terminal.wait() == 0
        assert is_as_before(terminal)
    assert len({row for row in terminal.drawn if row.startswith("running ")}) > 5
    assert "progress: " not in terminal.text
    assert "  40 records = 40 delivered + 0 rejected + 0 in doubt + 0 unsent" in terminal.rows
    last = terminal.text.removesuffix("\r\n").rpartition("\r\n")[2]
    assert last == "report: " + json.dumps(report_of(tmp_path))
    log = (tmp_path / "state/locust.log").read_text()
    assert "\x1b" not in log
    assert re.search(r"INFO/traffic.master.watch: progress: \d+ of 40 records", log)


@pytest.mark.slow
def test_the_stack_s_report_is_plain_where_stdout_is_a_file(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file, start(stack=True, streams={"stdout": file}) as terminal:
        under_way(terminal)
        assert terminal.wait() == 0
        assert is_as_before(terminal)
    lines = out.read_text().splitlines()
    assert [row for row in lines if re.fullmatch(r"  worker +slice +moved +delivered +rejected   in doubt", row)]
    assert lines[-1] == "report: " + json.dumps(report_of(tmp_path))
    assert "\x1b" not in out.read_text()


def test_ctrl_c_ends_the_stack_s_line(start: Start, tmp_path: Path) -> None:
    with start(stack=True) as terminal:
        under_way(terminal)
        terminal.interrupt()
        assert terminal.wait() == 3
        assert is_as_before(terminal)
    stopping = [row for row in terminal.rows if row.endswith("stopping; once more to stop at once")]
    assert len(stopping) == 1
    assert report_of(tmp_path)["state"] == "stopped"


def test_a_terminal_that_is_closed_suspends_the_run_and_the_log_is_whole(start: Start, tmp_path: Path) -> None:
    with start(stack=True) as terminal:
        under_way(terminal)
        terminal.hang_up()
        terminal.process.send_signal(signal.SIGHUP)  # a shell sends one, too
        assert terminal.process.wait(stretched(60)) == 6
    log = (tmp_path / "state/locust.log").read_text()
    assert re.search(rf"run \S+ is suspended: [1-9]\d* of {RECORDS} records are settled", log)
    assert not (tmp_path / "state/report.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
def test_the_stack_takes_the_line_of_a_master_that_is_killed_away(start: Start) -> None:
    with start(stack=True) as terminal:
        under_way(terminal)
        children = Path(f"/proc/{terminal.process.pid}/task/{terminal.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert terminal.wait() == 137
        assert is_as_before(terminal)
    assert [row for row in terminal.rows if row.startswith("Locust ended with exit code 137 and left no report")]
