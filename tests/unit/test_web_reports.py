"""A report as a table for spreadsheets, and on paper."""

import csv
import json
import re

from traffic.core.master.progress import Progress
from traffic.core.master.report import dead_letters, run_status
from traffic.core.record_state import RecordState
from traffic.master.web.printable import SHOWN, printable
from traffic.master.web.reports import table
from unit.a_run import ENDED, a_run, close, context, deliver, record_failure

EVIL = '<script>alert("x")</script>'


def a_report(folder, reason: str = "HTTP 422") -> dict:
    """Four records, of which one was delivered; the dead letter is in its file."""
    run = a_run(folder, 4, ["=w1", "w2"])
    try:
        deliver(run, "=w1", 0)
        record_failure(run, "w2", 2, RecordState.REJECTED, reason=reason)
        lines = [json.dumps(letter) + "\n" for letter in dead_letters(run)]
        (folder / "dead-letters.jsonl").write_text("".join(lines))
        made = run_status(run, context("stopped", ENDED), Progress())
    finally:
        close(run)
    sent = {"target": {"host": "http://api:1", "path": "/v1", "method": "PUT"}, "users": 3, "spawn_rate": 2.5}
    return made | sent | {"wait": [0.1, 0.9], "seconds": 1.5, "rate": 2.0, "audit": None}


def test_the_table_has_the_run_and_each_worker_and_no_formula(tmp_path) -> None:
    rows = list(csv.DictReader(table(a_report(tmp_path)).splitlines()))
    assert [(row["what"], row["id"]) for row in rows] == [
        ("run", "20260102-030405-abcd"),
        ("worker", "'=w1"),
        ("worker", "w2"),
    ]
    run = rows[0]
    assert (run["records"], run["delivered"], run["rejected"], run["in_doubt"], run["unsent"]) == (
        "4",
        "1",
        "1",
        "0",
        "2",
    )
    assert rows[1]["delivered"] == rows[2]["rejected"] == "1"
    assert run["ended"] == ENDED
    assert [run[name] for name in ("method", "host", "path", "users", "spawn_rate")] == (
        ["PUT", "http://api:1", "/v1", "3", "2.5"]
    )
    assert rows[1]["host"] == ""


def test_the_page_says_what_the_report_says_and_needs_nothing_beside_itself(tmp_path) -> None:
    page = printable(a_report(tmp_path), tmp_path)
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "4 records = 1 delivered + 1 rejected + 0 in doubt + 2 unsent" in words
    assert "HTTP 422" in words
    assert "PUT http://api:1/v1, by 3 users (2.5 started a second), wait 0.1-0.9 s" in words
    assert not re.search(r"(src|href|url\(|@import|<script|<link)", page)


def test_what_an_api_answered_is_text_on_the_page(tmp_path) -> None:
    page = printable(a_report(tmp_path, reason=EVIL), tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_report_of_an_earlier_release_says_nothing_of_where_it_went(tmp_path) -> None:
    report = {name: value for name, value in a_report(tmp_path).items() if name not in ("target", "users", "wait")}
    assert "<dt>To</dt>" not in printable(report, tmp_path)
    assert next(csv.DictReader(table(report).splitlines()))["host"] == ""


def test_of_many_dead_letters_the_first_are_shown_and_all_are_counted(tmp_path) -> None:
    report = a_report(tmp_path)
    letter = json.loads((tmp_path / "dead-letters.jsonl").read_text())
    many = SHOWN + 50
    (tmp_path / "dead-letters.jsonl").write_text((json.dumps(letter) + "\n") * many)
    report["counts"]["rejected"] = many
    group = {"group": "422-1", "outcome": "rejected", "status": 422, "says": "<b>no</b>", "count": many, "example": 2}
    report["dead_letters"] = {"groups": [group], "others": {"groups": 1, "count": 7}, "answers_not_kept": 0}
    page = printable(report, tmp_path)
    assert page.count("<code>{&#34;n&#34;") == SHOWN
    assert f'<td class="n">{many}</td>' in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "7 more in smaller groups" in page
    assert f"the first {SHOWN}" in page


def test_a_run_without_dead_letters_has_a_page_too(tmp_path) -> None:
    report = a_report(tmp_path)
    (tmp_path / "dead-letters.jsonl").unlink()
    assert "Dead letters" not in printable(report, tmp_path)


PERCENTILES = {"mean": 0.02, "min": 0.001, "p50": 0.01, "p90": 0.03, "p95": 0.04, "p99": 0.05, "p999": 0.06, "max": 1.5}
TIMES = {"attempts": 7, "response": PERCENTILES, "service": PERCENTILES}
TIMINGS = TIMES | {
    "requests": [TIMES | {"name": EVIL, "method": "GET"}, TIMES | {"name": "/b", "method": "PUT"}],
    "statuses": [TIMES | {"status": 0}, TIMES | {"status": 201}],
    "errors": [{"error": EVIL, "attempts": 3}],
}
TIMELINE = {
    "columns": ["t_s", "delivered", "rejected", "in_doubt", "p50_s", "p99_s"],
    "rows": [[0, 0, 0, 0, None, None], [1, 8, 1, 1, 0.01, 0.05], [2, 26, 2, 2, 0.02, 0.1], [2.1, 28, 2, 2, None, None]],
}


def test_the_page_has_the_response_times_and_the_course_of_the_run(tmp_path) -> None:
    page = printable(a_report(tmp_path) | {"timings": TIMINGS, "timeline": TIMELINE}, tmp_path)
    assert EVIL not in page
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "all 7 20 ms 10 ms 30 ms 40 ms 50 ms 60 ms 1.5 s" in words
    assert "PUT /b 7 20 ms" in words
    assert "no answer 7 20 ms" in words
    assert "Records settled a second: at most 20/s" in words
    assert "Response times, half and 99 % of the attempts: at most 100 ms" in words
    lines = re.findall(r'<polyline points="([^"]*)"', page)
    assert lines[0] == "142.9,40.0 285.7,0.0 300.0,0.0", "the last row is a moment after the one before"
    assert lines[1:] == ["142.9,72.0 285.7,64.0", "142.9,40.0 285.7,0.0"]


def test_a_report_of_a_release_without_them_is_shown_without_them(tmp_path) -> None:
    page = printable(a_report(tmp_path), tmp_path)
    assert "Response times" not in page
    assert "<svg" not in page
