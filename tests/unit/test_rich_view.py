"""What a person at a terminal sees: the live line at any width, and the report, which says what the plain one says."""

import io
import re
import subprocess
import sys
from typing import Any

import pytest

from support.cluster import ROOT
from support.terminal import plain as without_codes
from traffic.terminal import plain
from traffic.terminal.rich_view import TerminalRenderer, live_line

WORKERS = [
    {"id": "host_0123456789abcdef0123456789abcdef", "slice": 1200, "moved": 55, "delivered": 1250}
    | {"rejected": 5, "in_doubt": 0},
    {"id": "worker-2", "slice": 100, "moved": -55, "delivered": 40, "rejected": 0, "in_doubt": 1},
]
REPORT: dict[str, Any] = {
    "run": "20260102-030405-abcd",
    "state": "stopped",
    "reason": "",
    "counts": {"records": 1300, "pending": 0, "leased": 0, "delivered": 1290, "rejected": 5, "in_doubt": 1}
    | {"unsent": 4, "attempts": 1301, "resent": 5},
    "workers": WORKERS,
    "rate": 20.5,
    "seconds": 63.4,
    "resumed": [{"at": "2026-01-02T03:10:00Z", "settled": 7}],
    "audit": {"stored": 1290, "posts": 1301, "agrees": True},
}


def status(**more: Any) -> dict[str, Any]:
    """A run of a hundred records of which 45 are settled."""
    counts = {"records": 100, "pending": 50, "leased": 5, "rejected": 0, "in_doubt": 0} | more.pop("counts", {})
    return {"state": "running", "reason": "", "counts": counts, "rate": 17.81, "eta_s": 3.1} | more


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (99, "running   45%  ━━━━━━━━━━━━━─────────────────  45 of 100 records  17.8/s  3 s to go"),
        (69, "running   45%  ━━━━━━━─────────  45 of 100 records  17.8/s  3 s to go"),
        (60, "running   45%  45 of 100 records  17.8/s  3 s to go"),
        (59, "running   45%  ━━━━━━────────  45 of 100  17.8/s  3 s to go"),
        (39, "running   45%  45 of 100  17.8/s"),
        (31, "running   45%  45 of 100"),
        (22, "running   45%  17.8/s"),
        (13, "running   45%"),
        (9, "running …"),
    ],
)
def test_the_live_line_leaves_out_what_there_is_no_room_for(width: int, line: str) -> None:
    assert live_line(status(), width).plain == line


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (status(counts={"in_doubt": 1, "rejected": 2}), "running   45%  3 not delivered  45 of 100 records  17.8/s"),
        (
            status(state="paused", reason="no worker is there"),
            "paused   45%  45 of 100 records  no worker is there",
        ),
        (
            {"state": "reading", "reason": "data/traffic.json: 40% of this pass"},
            "reading  data/traffic.json: 40% of this pass",
        ),
        (
            status(counts={"records": 1, "pending": 0, "leased": 0}, rate=0.0, eta_s=None),
            "100%  ━━━━━━━━━━  1 of 1 record",
        ),
    ],
)
def test_the_live_line_says_what_is_to_be_known(made: dict[str, Any], line: str) -> None:
    assert line in re.sub("━+", "━" * 10, live_line(made, 99 if "━" in line or made["reason"] else 60).plain)


@pytest.mark.parametrize(
    ("eta_s", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min")],
)
def test_the_time_to_go_is_in_the_units_that_matter(eta_s: float, said: str) -> None:
    assert live_line(status(eta_s=eta_s), 99).plain.endswith(f"  {said} to go")


@pytest.mark.parametrize("reason", ["", "the disk is full " * 20, "読めないファイル" * 20, "two\nlines\x1b[2J\tof it"])
@pytest.mark.parametrize("width", [1, 5, 12, 39, 40, 79, 200])
def test_the_live_line_is_one_line_and_never_wider_than_asked(reason: str, width: int) -> None:
    line = live_line(status(state="paused" if reason else "running", reason=reason, counts={"rejected": 3}), width)
    assert line.cell_len <= width
    assert not re.search(r"[\x00-\x1f]", line.plain)


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The report as it is painted on a terminal of some width."""

    def render(columns: int, report: dict[str, Any] = REPORT, **env: str) -> str:
        for name in ("NO_COLOR", "COLORTERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns), **env}.items():
            monkeypatch.setenv(name, value)
        return TerminalRenderer(io.TextIOWrapper(io.BytesIO(), "utf-8")).report(report)

    return render


def lines_of(rendered: str) -> list[str]:
    return [without_codes(line) for line in rendered.split("\n")]


def test_the_report_on_a_terminal_is_a_table_with_its_numbers_to_the_right(render: Any) -> None:
    *lines, heading, first, second, audit = lines_of(render(200))
    assert [*lines, audit] == [
        "delivery report, run 20260102-030405-abcd: stopped, 5 rejected, 1 in doubt",
        "  1300 records = 1290 delivered + 5 rejected + 1 in doubt + 4 unsent",
        "  1301 attempts, 5 of them repeats; 63.4 s, 20.5/s",
        "  resumed at 2026-01-02T03:10:00Z, with 7 settled",
        "  the target's audit: 1290 stored of 1301 POSTs; it agrees with this report",
    ]
    assert [line.split()[0] for line in (heading, first, second)] == ["worker", WORKERS[0]["id"], "worker-2"]


def test_the_report_on_a_terminal_says_what_the_plain_one_says(render: Any) -> None:
    failed = REPORT | {"state": "failed", "reason": "the disk is full", "audit": None, "resumed": []}
    short = REPORT | {"audit": {"stored": 5, "posts": 5, "agrees": False}}
    for report in (REPORT, failed, short):
        assert [line.split() for line in lines_of(render(200, report))] == [
            line.split() for line in plain.report_table(report).splitlines()
        ]


def test_on_a_narrow_terminal_the_figures_stand_under_each_worker_and_no_line_is_too_long(render: Any) -> None:
    lines = lines_of(render(40))
    assert max(map(len, lines)) <= 40
    at = lines.index("  worker-2")
    assert lines[at + 1].startswith("    slice 100, ")
    assert lines[at + 2].startswith("    40 delivered, ")
    assert lines[3:5] == ["  1300 records = 1290 delivered + 5", "  rejected + 1 in doubt + 4 unsent"]


def colours(rendered: str) -> set[str]:
    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", rendered) for code in found.split(";")}
    return {code for code in codes if len(code) > 1}  # of one digit: bold, faint, and their end


def test_there_are_colours_but_with_no_color(render: Any) -> None:
    assert colours(render(100)) == {"31", "32", "33"}
    assert colours(render(100, NO_COLOR="1")) == set()


@pytest.mark.parametrize(
    ("more", "colour"),
    [
        ({"state": "completed"}, "33"),
        ({"state": "completed", "counts": REPORT["counts"] | {"records": 1290, "rejected": 0, "in_doubt": 0}}, "32"),
        ({"state": "failed"}, "31"),
        ({"state": "stopped"}, "33"),
    ],
)
def test_the_heading_is_green_only_over_a_run_without_a_loss(render: Any, more: dict[str, Any], colour: str) -> None:
    assert colours(render(100, REPORT | more).split(":", 1)[0]) == {colour}


@pytest.mark.parametrize("module", ["traffic.plugin", "traffic.worker.worker", "traffic.master.master"])
def test_rich_is_not_loaded_before_there_is_a_terminal(module: str) -> None:
    said = f"import {module}, sys; print('rich' in sys.modules or 'traffic.terminal.rich_view' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", said], cwd=ROOT / "locust", capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
