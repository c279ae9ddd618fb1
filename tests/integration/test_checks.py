"""Checks of what a run comes to, in real processes: exit code, report, JUnit, a job's summary; one ends a run early."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import pytest

from support import plain_http
from support.cluster import REPLAY, Cluster, records_file
from support.fake_api import FakeApi, Step, fake_api
from support.stub_process import running_stub

pytestmark = pytest.mark.timeout(180)

RECORDS = 200
WITHIN, BEYOND = "latency.p(99) < 60000", "latency.max < 0.001"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def test_a_failed_check_is_exit_code_5_and_stands_in_report_junit_and_summary(tmp_path: Path, api: FakeApi) -> None:
    file, summary = records_file(tmp_path, RECORDS), tmp_path / "summary.md"
    checks = "\n".join([WITHIN, BEYOND, "late.max < 5"])
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_CHECK": checks, "GITHUB_STEP_SUMMARY": summary}
    with Cluster(tmp_path, api.url, locustfile=REPLAY, **more) as cluster:
        assert cluster.wait() == 5, cluster.master.log[-3000:]
        report = cluster.report
        folder = cluster.state / "runs" / report["run"]
    assert [(one["check"], one["passed"]) for one in report["checks"]] == [
        (WITHIN, True),
        (BEYOND, False),
        ("late.max < 5", False),
    ]
    assert report["checks"][2]["value"] is None, "without a rate nothing is late"
    assert report["verdict"]["text"] == "completed, 2 checks failed"
    assert f"the check {BEYOND} has failed: it is " in cluster.master.log
    suite = parse(folder / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    assert "completed, 2 checks failed" in summary.read_text()
    assert api.count == RECORDS
    assert not (folder / "journal.sqlite").exists(), "every record was delivered, so there is nothing to resume"


def test_a_record_that_was_not_delivered_weighs_more_than_a_check(tmp_path: Path, api: FakeApi) -> None:
    api.script({0: [Step(422)]})
    file = records_file(tmp_path, 20)
    with Cluster(tmp_path, api.url, workers=1, locustfile=REPLAY, TRAFFIC_FILE=file, TRAFFIC_CHECK=BEYOND) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]


def test_a_check_that_fails_for_too_long_ends_the_run_which_can_be_resumed(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(delay=0.05))
    file = records_file(tmp_path, 5 * RECORDS)
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_CHECK": f"{BEYOND}, abort: 1s"}
    with Cluster(tmp_path, api.url, locustfile=REPLAY, users=2, **more) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        report = cluster.report
        assert report["state"] == "stopped"
        assert report["reason"].startswith(f"the check {BEYOND}, abort: 1s has failed: it is ")
        assert 0 < report["counts"]["delivered"] < 5 * RECORDS
    api.always(Step())
    resumed: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_RESUME": "last", "TRAFFIC_CHECK": WITHIN}
    with Cluster(tmp_path, api.url, locustfile=REPLAY, **resumed) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        assert [one["check"] for one in cluster.report["checks"]] == [WITHIN]
    assert api.count == 5 * RECORDS


def test_what_the_api_has_more_after_the_run_is_held_against_the_report(tmp_path: Path) -> None:
    file = records_file(tmp_path, 20)
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_AUDIT": "/ /stored"}
    with running_stub(f"sqlite:///{tmp_path / 'messages.db'}") as stub:
        plain_http.post(stub.url, json={"name": "a", "msg": "b"}).raise_for_status()
        with Cluster(tmp_path, stub.url, workers=1, locustfile=REPLAY, **more) as cluster:
            assert cluster.wait() == 0, cluster.master.log[-3000:]
            audit = cluster.report["audit"]
        assert audit == {"source": "/ /stored", "before": 1, "after": 21, "stored": 20, "agrees": True}
        assert "/ /stored: 1 before the run, 21 after it, 20 more; that agrees with this report" in cluster.master.log
        nothing = more | {"TRAFFIC_AUDIT": "/ /nothing", "TRAFFIC_AGAIN": "yes"}
        with Cluster(tmp_path, stub.url, workers=1, locustfile=REPLAY, **nothing) as cluster:
            assert cluster.wait() == 4, cluster.master.log[-3000:]
            assert "at /nothing of its answer stands null, and no whole number" in cluster.master.log
        assert plain_http.get(f"{stub.url}/").json()["stored"] == 21, "nothing was sent"


def test_a_master_with_a_page_that_starts_by_itself_ends_with_the_exit_code(tmp_path: Path, api: FakeApi) -> None:
    options = ("--autostart", "--autoquit", "0", "--expect-workers", "1", "-u", "2")
    more: dict[str, Any] = {"TRAFFIC_FILE": records_file(tmp_path, 20), "TRAFFIC_CHECK": BEYOND}
    with Cluster(tmp_path, api.url, workers=1, locustfile=REPLAY, web=True, options=options, **more) as cluster:
        assert cluster.wait() == 5, cluster.master.log[-3000:]
    assert api.count == 20
