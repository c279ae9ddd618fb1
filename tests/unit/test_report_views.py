"""The table of workers in every view, word for word: what a new column changes is here and nowhere else."""

import csv
import io
import re
from typing import Any

import pytest

from support.terminal import plain as without_codes
from traffic.core.master.worker_share import WorkerShare
from traffic.core.master.worker_table import FIGURES, REPORT_FIGURES, WorkerRow
from traffic.master.web.printable import printable
from traffic.master.web.reports import table
from traffic.terminal import plain
from traffic.terminal.rich_view import TerminalRenderer

LONG = "host_0123456789abcdef"
ROWS = [
    {"id": LONG, "slice": 1200, "moved": 55, "leased": 0, "delivered": 1250, "rejected": 5, "in_doubt": 0}
    | {"state": "running", "trouble": "no <answer>"},
    {"id": "worker-2", "slice": 100, "moved": -55, "leased": 4, "delivered": 40, "rejected": 0, "in_doubt": 1}
    | {"state": "gone", "trouble": ""},
]
COUNTS = {"records": 1300, "pending": 0, "leased": 0, "delivered": 1290, "rejected": 5, "in_doubt": 1, "unsent": 4}
REPORT: dict[str, Any] = {
    "run": "20260102-030405-abcd",
    "state": "stopped",
    "reason": "",
    "dataset": {"file": "data/traffic.json", "digest": "sha256:0"},
    "order": "file",
    "seed": 7,
    "policy": "at-least-once",
    "counts": COUNTS | {"attempts": 1301, "resent": 5, "maybe_resent": 2},
    "workers": ROWS,
    "rate": 20.5,
    "seconds": 63.4,
    "started": "2026-01-02T03:04:05.000Z",
    "ended": "2026-01-02T03:05:05.000Z",
    "resumed": [],
    "audit": None,
}
GREEN, RED, OFF = "\x1b[32m", "\x1b[1;31m", "\x1b[0m"


def test_a_row_has_these_members_in_this_order() -> None:
    share = WorkerShare(slice=1200, moved=55, delivered=1250, rejected=5)
    row = WorkerRow.of(LONG, share, leased=0, state="running", trouble="no <answer>").to_json()
    assert list(row.items()) == list(ROWS[0].items())


def test_a_worker_without_a_share_has_a_row_of_noughts() -> None:
    assert WorkerRow("w", state="ready").to_json() == dict.fromkeys(ROWS[0], 0) | {
        "id": "w",
        "state": "ready",
        "trouble": "",
    }


def test_the_plain_text() -> None:
    assert plain.report_table(REPORT).splitlines()[3:-1] == [
        "  worker                     slice      moved  delivered   rejected   in doubt",
        "  host_0123456789abcdef       1200        +55       1250          5          0",
        "  worker-2                     100        -55         40          0          1",
        "  host_0123456789abcdef: no <answer>",
    ]


def test_the_plain_text_without_workers() -> None:
    lines = plain.report_table(REPORT | {"workers": []}).splitlines()
    assert lines[3:-1] == ["  worker      slice      moved  delivered   rejected   in doubt"]


@pytest.fixture
def paint(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lines of the report on a terminal of some width."""

    def paint(columns: int) -> list[str]:
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns)}.items():
            monkeypatch.setenv(name, value)
        return TerminalRenderer(io.TextIOWrapper(io.BytesIO(), "utf-8")).report(REPORT).split("\n")

    return paint


def test_the_terminal(paint: Any) -> None:
    heading, first, second = paint(100)[-4:-1]
    assert without_codes(heading) == "  worker                 slice  moved  delivered  rejected  in doubt"
    assert first == f"  {LONG}   1200    +55  {GREEN}     1250{OFF}  {RED}       5{OFF}         0"
    assert second == f"  worker-2                 100    -55  {GREEN}       40{OFF}         0  {RED}       1{OFF}"


def test_the_narrow_terminal(paint: Any) -> None:
    lines = paint(50)
    at = lines.index("  worker-2")
    assert lines[at + 1 : at + 3] == [
        "    slice 100, moved -55",
        f"    {GREEN}40{OFF} delivered, 0 rejected, {RED}1{OFF} in doubt",
    ]


def test_the_csv() -> None:
    heading, run, first, second = table(REPORT).split("\r\n")[:-1]
    assert heading == (
        "what,id,state,records,moved,delivered,rejected,in_doubt,unsent,attempts,resent,maybe_resent,"
        "seconds,rate,started,ended,method,host,path,users,spawn_rate"
    )
    assert run == (
        "run,20260102-030405-abcd,stopped,1300,,1290,5,1,4,1301,5,2,"
        "63.4,20.5,2026-01-02T03:04:05.000Z,2026-01-02T03:05:05.000Z,,,,,"
    )
    assert first == f"worker,{LONG},running,1200,55,1250,5,0,,,,,,,,,,,,,"
    assert second == "worker,worker-2,gone,100,-55,40,0,1,,,,,,,,,,,,,"


def test_the_page_to_print(tmp_path: Any) -> None:
    found = re.search(r'<table class="stacked" style="--figures: 5">(.*?)</table>', printable(REPORT, tmp_path), re.S)
    assert found
    assert re.sub(r"\s*\n\s*", "", found[1]) == (
        '<thead><tr><th class="any">worker</th><th class="n">slice</th><th class="n">moved</th>'
        '<th class="n">delivered</th><th class="n">rejected</th><th class="n">in doubt</th></tr></thead><tbody>'
        f'<tr><td class="any">{LONG}<br><small>no &lt;answer&gt;</small></td><td class="n">1200</td>'
        '<td class="n">+55</td><td class="n">1250</td><td class="n">5</td><td class="n">0</td></tr>'
        '<tr><td class="any">worker-2</td><td class="n">100</td><td class="n">-55</td><td class="n">40</td>'
        '<td class="n">0</td><td class="n">1</td></tr></tbody>'
    )


def test_the_columns_of_the_traffic_page() -> None:
    assert [tuple(column.to_json().values()) for column in FIGURES] == [
        ("slice", "slice", "count"),
        ("moved", "moved", "change"),
        ("leased", "leased", "count"),
        ("delivered", "delivered", "count"),
        ("rejected", "rejected", "count"),
        ("in_doubt", "in doubt", "count"),
    ]


@pytest.mark.parametrize("missing", [column.name for column in REPORT_FIGURES])
def test_a_report_of_a_release_without_a_column_is_shown_without_it(tmp_path: Any, paint: Any, missing: str) -> None:
    rows = [{name: value for name, value in row.items() if name != missing} for row in ROWS]
    report = REPORT | {"workers": rows}
    assert len(plain.report_table(report).splitlines()) == 8
    if missing != "slice":  # the CSV has it as `records`
        assert next(csv.DictReader(table(report).splitlines()[:1] + table(report).splitlines()[2:]))[missing] == ""
    assert '<td class="n"></td>' in printable(report, tmp_path)
