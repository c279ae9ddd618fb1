"""A report for CI: JUnit's XML, and a job's summary. Both hold whatever an API or a record says."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.master import job_summary
from traffic.runs.junit import MOST_GROUPS, to_junit, to_summary

EVIL = '<script>alert("x")</script> | **bold** `code` \x1b[31m\0 & \ud800'
TIMES = {"mean": 0.02, "p50": 0.01, "p90": 0.03, "p95": 0.04, "p99": 0.05, "p999": 0.06, "max": 1.5}


def a_report(**more: Any) -> dict[str, Any]:
    """A completed run of four records, all of them delivered."""
    counts = {"records": 4, "delivered": 4, "rejected": 0, "in_doubt": 0, "unsent": 0, "attempts": 5}
    counts |= {"pending": 0, "leased": 0, "resent": 1, "maybe_resent": 0}
    times = {"started": "2026-01-02T03:04:05Z", "ended": "2026-01-02T03:04:09Z", "seconds": 4.25, "rate": 0.9}
    known = {"run": "20260102-030405-abcd", "state": "completed", "reason": "", "dataset": {"file": "data/ñ.json"}}
    return {**known, "counts": counts, **times, "audit": None, "checks": [], **more}


def rejected(says: str, groups: int = 1) -> dict[str, Any]:
    counts = a_report()["counts"] | {"delivered": 4 - groups, "rejected": groups}
    one = {"count": 1, "status": 422, "outcome": "rejected", "says": says, "group": "422-0a1b2c3d", "example": 2}
    return {"counts": counts, "dead_letters": {"groups": [one] * groups, "others": {"count": 0}}}


def suite_of(report: dict[str, Any]) -> Element:
    root = fromstring(to_junit(report))
    assert root.tag == "testsuites"
    (suite,) = root
    assert {name: root.get(name) for name in ("tests", "failures")} == {
        name: suite.get(name) for name in ("tests", "failures")
    }
    assert len(suite.findall("testcase")) == int(suite.get("tests", "-1"))
    assert len(suite.findall("testcase/failure")) == int(suite.get("failures", "-1"))
    return suite


def test_a_delivered_run_is_a_suite_whose_case_passes() -> None:
    suite = suite_of(a_report())
    assert (suite.get("name"), suite.get("timestamp")) == ("traffic 20260102-030405-abcd", "2026-01-02T03:04:05")
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("1", "0", "4.250")
    assert [case.get("name") for case in suite.findall("testcase")] == ["every record is delivered"]
    properties = {one.get("name"): one.get("value") for one in suite.findall("properties/property")}
    assert (properties["delivered"], properties["file"], properties["rate"]) == ("4", "data/ñ.json", "0.9")


def test_what_was_not_delivered_says_why() -> None:
    suite = suite_of(a_report(reason="stopped by a person", **rejected("no email", 3)))
    (failure,) = suite.findall("testcase/failure")
    assert failure.get("message") == "completed, 3 rejected"
    assert (failure.text or "").splitlines() == [
        "Every record has its outcome, and 3 were not delivered.",
        "stopped by a person",
        *["1 x 422 no email (group 422-0a1b2c3d; one of them is record 2)"] * 3,
    ]


def test_a_failure_quotes_no_more_groups_than_a_person_reads() -> None:
    (failure,) = suite_of(a_report(**rejected("no", 3 * MOST_GROUPS))).findall("testcase/failure")
    assert len((failure.text or "").splitlines()) == 1 + MOST_GROUPS


def test_each_check_is_a_case_and_one_that_was_not_measured_has_failed() -> None:
    checks = [
        {"check": "latency.p(99) < 250", "value": 12.5, "passed": True},
        {"check": "rejected.rate < 1%", "value": 0.25, "passed": False},
        {"check": "late.max < 5", "value": None, "passed": False},
    ]
    suite = suite_of(a_report(checks=checks))
    failed = {case.get("name"): [failure.get("message") for failure in case] for case in suite.findall("testcase")}
    assert failed == {
        "every record is delivered": [],
        "latency.p(99) < 250": [],
        "rejected.rate < 1%": ["it is 0.25"],
        "late.max < 5": ["it was not measured"],
    }
    lines = to_summary(a_report(checks=checks)).splitlines()
    assert "| late.max &#60; 5 | **failed** | – |" in lines
    assert "| latency.p(99) &#60; 250 | passed | 12.5 |" in lines


def test_the_summary_has_counts_and_response_times() -> None:
    lines = to_summary(a_report(timings={"response": TIMES})).splitlines()
    assert lines[0] == "### Traffic: completed"
    assert "| 4 | 4 | 0 | 0 | 0 | 5 | 4.25 | 0.9 |" in lines
    assert "| ms | 20 | 10 | 30 | 40 | 50 | 1500 |" in lines


@given(st.text())
def test_whatever_the_api_says_it_is_xml_and_adds_nothing_to_the_summary(said: str) -> None:
    report = a_report(reason=said, dataset={"file": said}, **rejected(said))
    suite_of(report)
    rows = [line for line in to_summary(report).splitlines() if line.startswith("| 1 | 422")]
    assert len(rows) == 1
    assert rows[0].count("|") == 5
    assert not any(mark in rows[0] for mark in ("<", "`", "**"))


def test_a_hostile_answer_stays_text() -> None:
    suite_of(a_report(**rejected(EVIL)))
    assert "&#60;script&#62;" in to_summary(a_report(**rejected(EVIL)))


def test_the_report_is_added_to_a_job_s_summary_unless_that_would_be_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_summary.add_to_job_summary(a_report())  # there is no job
    file = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    for _ in range(2):
        job_summary.add_to_job_summary(a_report())
    assert file.read_text().count("### Traffic: completed") == 2
    file.write_bytes(b"x" * (job_summary.MOST_BYTES - 10))
    job_summary.add_to_job_summary(a_report())
    assert file.stat().st_size == job_summary.MOST_BYTES - 10
    assert "would be too long" in caplog.text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "folder"))
    job_summary.add_to_job_summary(a_report())
    assert "could not be added to the summary" in caplog.text
