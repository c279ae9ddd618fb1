"""Two runs beside each other: what they came to, and which records ended otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

from traffic.__main__ import main
from traffic.runs.comparison import MOST_EXAMPLES, NoReportError, compare

FIRST, SECOND = "20260101-000000-abcd", "20260102-000000-abcd"


def a_run(state: Path, run: str, dead: dict[int, str], unsent: tuple[int, ...] = (), **more: Any) -> Path:
    """Write what a run of 100 records leaves."""
    folder = state / "runs" / run
    folder.mkdir(parents=True)
    outcomes = list(dead.values())
    counts = {"records": 100, "delivered": 100 - len(dead) - len(unsent), "unsent": len(unsent), "attempts": 110}
    counts |= {name: outcomes.count(name) for name in ("rejected", "in_doubt")} | {"resent": 10}
    report: dict[str, Any] = {"run": run, "state": "completed", "reason": "", "started": "2026-01-01T00:00:00Z"}
    report |= {"counts": counts, "seconds": 2.5, "rate": 40.0, "audit": None}
    report |= {"dataset": {"digest": "sha256:aa", "offset": 0, "chosen": 100}}
    (folder / "report.json").write_text(json.dumps(report | more))
    lines = [json.dumps({"index": index, "outcome": outcome}) + "\n" for index, outcome in dead.items()]
    (folder / "dead-letters.jsonl").write_text("".join(lines))
    (folder / "unsent.txt").write_text("".join(f"{index}\n" for index in unsent))
    return folder


def times(p50: float) -> dict[str, Any]:
    known = dict.fromkeys(("mean", "p90", "p95", "p99", "p999", "max"), 0.5)
    return {"timings": {"response": {"p50": p50, **known}, "service": {"p50": p50, **known}}}


def test_figures_stand_beside_each_other_and_what_a_run_lacks_is_none(tmp_path: Path) -> None:
    first = a_run(tmp_path, FIRST, {})
    second = a_run(tmp_path, SECOND, {3: "rejected"}, rate=50.0, **times(0.02))
    made = compare(first, second)
    assert [one["run"] for one in made["runs"]] == [FIRST, SECOND]
    assert [one["verdict"]["text"] for one in made["runs"]] == ["completed", "completed, 1 rejected"]
    figures = {one["name"]: (one["before"], one["after"]) for one in made["figures"]}
    assert figures["delivered"] == (100, 99)
    assert figures["rate"] == (40.0, 50.0)
    assert figures["response_p50"] == (None, 0.02)
    assert "service_p50" not in figures, "without a pace it says the same"


def test_each_way_in_which_records_ended_otherwise_is_counted_with_examples(tmp_path: Path) -> None:
    first = a_run(tmp_path, FIRST, {1: "rejected", 2: "in_doubt", 3: "rejected", 50: "rejected"})
    second = a_run(tmp_path, SECOND, {2: "rejected", 3: "rejected"} | dict.fromkeys(range(60, 80), "rejected"), (1, 99))
    outcomes = compare(first, second)["outcomes"]
    assert outcomes["same"] == 100 - 24
    assert outcomes["changes"] == [
        {"before": "delivered", "after": "rejected", "records": 20, "examples": list(range(60, 60 + MOST_EXAMPLES))},
        {"before": "rejected", "after": "unsent", "records": 1, "examples": [1]},
        {"before": "in_doubt", "after": "rejected", "records": 1, "examples": [2]},
        {"before": "rejected", "after": "delivered", "records": 1, "examples": [50]},
        {"before": "delivered", "after": "unsent", "records": 1, "examples": [99]},
    ]


@pytest.mark.parametrize("other", [{"digest": "sha256:bb"}, {"offset": 5}, {"chosen": 99}])
def test_of_other_records_the_outcomes_are_not_compared(tmp_path: Path, other: dict[str, Any]) -> None:
    first = a_run(tmp_path, FIRST, {})
    second = a_run(tmp_path, SECOND, {}, dataset={"digest": "sha256:aa", "offset": 0, "chosen": 100} | other)
    assert compare(first, second)["outcomes"] == {
        "why_not": "the runs did not have the same records",
        "same": None,
        "changes": [],
    }


def test_a_run_without_a_report_cannot_be_compared(tmp_path: Path) -> None:
    first = a_run(tmp_path, FIRST, {})
    with pytest.raises(NoReportError, match="has no report"):
        compare(first, tmp_path)


def test_the_command_says_it_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(tmp_path, FIRST, {}, **times(0.01))
    a_run(tmp_path, SECOND, {3: "rejected", 4: "rejected"}, rate=50.0, **times(0.02))
    assert main(["compare", FIRST, "last", "--state-dir", str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == [FIRST, SECOND]
    for line in (
        ["delivered", "100", "98", "-2"],
        ["rate", "40/s", "50/s", "+25.0%"],
        ["response", "p50", "10", "ms", "20", "ms", "+100.0%"],
        ["outcomes", "by", "record:", "98", "ended", "alike"],
        ["2", "delivered", "before,", "rejected", "after:", "records", "3,", "4"],
    ):
        assert line in lines


def test_the_command_says_why_it_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(tmp_path, FIRST, {})
    assert main(["compare", FIRST, "nothing", "--state-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("traffic compare: there is no run 'nothing' in the state folder")
    assert main(["compare", FIRST, FIRST, "--json", "--state-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["outcomes"]["same"] == 100
