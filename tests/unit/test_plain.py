"""What a person reads in the terminal, word for word."""

import pytest

from traffic.core.master.progress import Progress
from traffic.core.master.report import run_status
from traffic.core.record_state import RecordState
from traffic.terminal import plain
from unit.a_run import ENDED, a_run, close, context, deliver, record_failure


def status(**counts: int) -> dict:
    """A status of a hundred records."""
    names = ["pending", "leased", "delivered", "rejected", "in_doubt", "unsent", "attempts", "resent", "maybe_resent"]
    zero = dict.fromkeys(names, 0)
    return {"counts": {"records": 100, **zero, **counts}, "rate": 0.0, "eta_s": None}


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (status(pending=100), "progress: 0 of 100 records (0%), 0/s"),
        (
            status(pending=50, leased=10) | {"rate": 4.5, "eta_s": 13.3},
            "progress: 40 of 100 records (40%), 4.5/s, about 13 s to go",
        ),
        (
            status(pending=1, rejected=2, in_doubt=1) | {"rate": 20.0, "eta_s": 0.1},
            "progress: 99 of 100 records (99%), 3 not delivered, 20/s, about 0 s to go",
        ),
        (
            status() | {"rate": 1234567.8, "eta_s": 0.0},
            "progress: 100 of 100 records (100%), 1234567.8/s, about 0 s to go",
        ),
        (status(records=1, pending=1), "progress: 0 of 1 record (0%), 0/s"),
        (status(records=1000, pending=1), "progress: 999 of 1000 records (99%), 0/s"),
    ],
)
def test_the_progress_is_one_line(made, line):
    assert plain.progress_line(made) == line


@pytest.fixture
def report(tmp_path):
    run = a_run(tmp_path, 10, ["worker-1", "host_0123456789abcdef"])
    deliver(run, "worker-1", 0, 1, 2, 3)
    record_failure(run, "worker-1", 4, RecordState.REJECTED)
    run.ledger.leave("host_0123456789abcdef", ["worker-1"])
    deliver(run, "worker-1", 5, 6, 7)
    run.note_attempts("worker-1", 11, 2)
    made = run_status(run, context("stopped", ENDED), Progress())
    close(run)
    return made | {"seconds": 60.0, "rate": 0.1, "audit": None}


def test_the_report_is_a_table(report):
    head, records, attempts, *table, audit = plain.report_table(report).splitlines()
    assert [head, records, attempts, audit] == [
        "delivery report, run 20260102-030405-abcd: stopped, 1 rejected",
        "  10 records = 7 delivered + 1 rejected + 0 in doubt + 2 unsent",
        "  11 attempts, 2 of them repeats; 60.0 s, 0.1/s",
        "  the target offers no audit: this report rests on its answers alone",
    ]
    assert [line.split()[0] for line in table] == ["worker", "worker-1", "host_0123456789abcdef"]


def test_the_report_has_the_response_times_and_with_a_pace_those_of_the_api(report):
    times = {"p50": 0.0123456, "p90": 0.9994, "p99": 1.5, "max": 12.3456}
    timings = {"response": times, "service": times | {"p50": 0.00004}}
    lines = plain.report_table(report | {"timings": timings}).splitlines()
    said = "half within 12.3 ms, 90% within 999 ms, 99% within 1.5 s, the longest 12.3 s"
    assert f"  response times: {said}" in lines
    assert not any("at the API" in line for line in lines), "without a pace they are the same"
    lines = plain.report_table(report | {"timings": timings, "pace": {"profile": "5/s"}}).splitlines()
    assert f"  of them at the API: {said.replace('12.3 ms', '0.04 ms')}" in lines


def test_the_report_says_to_where_the_records_went_and_where_they_went_later(report):
    target = {"host": "http://b:1", "path": "/v1", "method": "PUT"}
    resumed = [{"at": "2026-01-02T03:10:00Z", "settled": 1, "host": "http://b:1"}]
    lines = plain.report_table(report | {"target": target, "users": 20, "resumed": resumed}).splitlines()
    assert lines[3:5] == [
        "  PUT http://b:1/v1, by 20 users",
        "  resumed at 2026-01-02T03:10:00Z, with 1 settled, at http://b:1 from then on",
    ]
    assert "  PUT http://b:1/v1, by 1 user" in plain.report_table(report | {"target": target, "users": 1}).splitlines()


def test_the_report_says_why_a_run_ended(report):
    first = plain.report_table(report | {"state": "failed", "reason": "the disk is full"}).splitlines()[0]
    assert first == "delivery report, run 20260102-030405-abcd: failed, 1 rejected: the disk is full"


def test_the_report_says_when_a_run_was_resumed_and_from_what_count(report):
    resumed = [{"at": "2026-01-02T03:10:00Z", "settled": 1}, {"at": "2026-01-03T00:00:00Z", "settled": 7}]
    without, lines = (plain.report_table(one).splitlines() for one in (report, report | {"resumed": resumed}))
    assert lines[:3] + lines[5:] == without
    assert lines[3:5] == [
        "  resumed at 2026-01-02T03:10:00Z, with 1 settled",
        "  resumed at 2026-01-03T00:00:00Z, with 7 settled",
    ]


@pytest.mark.parametrize(
    ("audit", "line"),
    [
        (
            {"stored": 7, "posts": 11, "agrees": True},
            "  the target's audit: 7 stored of 11 POSTs; it agrees with this report",
        ),
        (
            {"stored": 6, "posts": 11, "agrees": False},
            "  the target's audit: 6 stored of 11 POSTs; it DOES NOT AGREE with this report: 1 record was delivered,"
            " and the API has not stored it",
        ),
        ({"stored": 7, "agrees": True}, "  the target's audit: 7 stored of ? POSTs; it agrees with this report"),
    ],
)
def test_the_report_says_what_the_target_says(report, audit, line):
    assert plain.report_table(report | {"audit": audit}).splitlines()[-1] == line


def test_a_report_without_workers_has_an_empty_table(report):
    lines = plain.report_table(report | {"workers": []}).splitlines()
    assert lines[3].startswith("  worker      slice ")
    assert len(lines) == 5
