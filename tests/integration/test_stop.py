"""A run that is stopped, by the page, by Ctrl-C or by its time, reports what it did; the next one begins clean."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Step

pytestmark = pytest.mark.timeout(180)

RECORDS = 1000
# More than a lease's five seconds: what is not sent yet is not to lapse while the last answers are awaited.
STOP_TIMEOUT_S = 8


@pytest.fixture(scope="module")
def shared_cluster(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    options = ("--stop-timeout", str(STOP_TIMEOUT_S))
    file = tmp_path_factory.getbasetemp() / "none.json"  # the form may name files of its folder: each test's own
    with Cluster(folder, shared_api.url, workers=2, web=True, options=options, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(2)
        yield cluster


@pytest.fixture
def api(shared_api: FakeApi) -> FakeApi:
    shared_api.forget()
    shared_api.always(Step(delay=0.3))
    return shared_api


def begin(cluster: Cluster, folder: Path, records: int = RECORDS, users: int = 8) -> None:
    answer = cluster.swarm(users, traffic_file=records_file(folder, records), traffic_again="yes")
    assert answer["success"], answer


def check_stopped(cluster: Cluster, api: FakeApi, report: dict[str, Any], records: int = RECORDS) -> None:
    """Each record sent once and booked, or not sent and listed."""
    sent = Counter(post.index for post in api.posts())
    unsent = [int(index) for index in cluster.file_of_run("unsent.txt")]
    counts = report["counts"]
    assert report["state"] == "stopped"
    assert counts["delivered"] == len(sent) > 0
    assert counts["unsent"] == len(unsent) > 0
    assert counts["delivered"] + counts["unsent"] == counts["records"] == records
    assert set(sent) | set(unsent) == set(range(records))
    assert max(sent.values()) == 1
    assert counts["attempts"] == len(sent)
    assert counts["leased"] == counts["pending"] == counts["rejected"] == counts["in_doubt"] == counts["resent"] == 0
    assert sum(row["delivered"] for row in report["workers"]) == counts["delivered"]
    assert cluster.dead_letters == []


def test_stop_books_what_is_in_flight_and_lists_what_is_unsent(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    begin(cluster, tmp_path)
    cluster.until(lambda: api.count > 30, "records are sent")
    stopped = time.monotonic()
    cluster.stop()
    report = cluster.await_state("stopped")
    assert [post for post in api.posts() if post.at < stopped < (post.done or 0)], "some were in flight"
    check_stopped(cluster, api, report)
    assert report == cluster.report


def test_a_request_that_outlasts_the_stop_timeout_is_in_doubt(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    api.always(Step(act="hang"))
    begin(cluster, tmp_path, users=4)
    cluster.until(lambda: api.count == 4, "every user waits for an answer")
    cluster.stop()
    report = cluster.await_state("stopped")
    assert report["counts"]["in_doubt"] == 4
    assert report["counts"]["unsent"] == RECORDS - 4
    assert {letter["index"] for letter in cluster.dead_letters} == {post.index for post in api.posts()}
    assert len(api.posts()) == 4


def test_start_after_stop_is_a_new_run_from_clean_state(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    begin(cluster, tmp_path)
    cluster.until(lambda: api.count > 30, "records are sent")
    cluster.stop()
    first = cluster.await_state("stopped")
    api.forget()
    begin(cluster, tmp_path, records=100)
    second = cluster.await_state("completed")
    assert second["run"] != first["run"]
    counts = second["counts"]
    assert (counts["records"], counts["delivered"], counts["attempts"], counts["resent"]) == (100, 100, 100, 0)
    assert Counter(post.key for post in api.posts()) == {f"{second['run']}-{index}": 1 for index in range(100)}
    assert sum(row["slice"] for row in second["workers"]) == 100


def test_an_edit_of_the_user_count_disturbs_nothing(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    begin(cluster, tmp_path, records=400, users=4)
    cluster.until(lambda: api.count > 20, "records are sent")
    for users in (20, 2, 30):
        before = time.monotonic()
        assert cluster.swarm(users)["success"]

        def in_flight(least: int = min(users, 10), since: float = before) -> bool:
            posts = [post for post in api.posts() if post.at > since]
            at_once = max((sum(p.at <= post.at < (p.done or post.at + 1) for p in posts) for post in posts), default=0)
            return at_once >= least

        cluster.until(in_flight, f"{users} users send")
    api.always(Step())
    report = cluster.await_state("completed")
    assert report["counts"]["delivered"] == report["counts"]["attempts"] == 400
    assert Counter(post.index for post in api.posts()) == dict.fromkeys(range(400), 1)
    assert {post.key.rpartition("-")[0] for post in api.posts()} == {report["run"]}


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "--run-time"])
def test_a_headless_run_that_is_stopped_reports_and_exits_3(how: str, api: FakeApi, tmp_path: Path) -> None:
    options = ("--stop-timeout", str(2 * STOP_TIMEOUT_S), *(("--run-time", "5s") if how == "--run-time" else ()))
    file = records_file(tmp_path, RECORDS)
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_ON_TERM": "stop"}
    with Cluster(tmp_path, api.url, workers=2, users=8, options=options, **more) as cluster:
        cluster.until(lambda: api.count > 30, "records are sent")
        if how != "--run-time":
            cluster.master.send(signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM)
        assert cluster.wait() == 3, cluster.master.log
        for worker in cluster.workers:
            worker.wait()
        check_stopped(cluster, api, cluster.report)
        assert "Traceback" not in cluster.master.log


def test_requests_that_outlast_the_run_time_are_waited_for(api: FakeApi, tmp_path: Path) -> None:
    api.always(Step(delay=3))  # Locust reads on for half a second
    options = ("--stop-timeout", str(2 * STOP_TIMEOUT_S), "--run-time", "5s")
    file = records_file(tmp_path, RECORDS)
    with Cluster(tmp_path, api.url, workers=2, users=8, options=options, TRAFFIC_FILE=file) as cluster:
        assert cluster.wait() == 3, cluster.master.log
        check_stopped(cluster, api, cluster.report)


def test_a_start_in_the_moment_in_which_a_run_ends_begins_another(
    cluster: Cluster, api: FakeApi, tmp_path: Path
) -> None:
    api.always(Step())
    file, runs = records_file(tmp_path, 20), []
    for _ in range(4):
        answer = cluster.swarm(4, traffic_file=file, traffic_wait="0")
        assert answer["success"], answer
        runs.append(cluster.status["run"])
        # Not the page's patience: at once, while Locust's own test has not stopped yet.
        cluster.await_state("completed")
    assert len(set(runs)) == 4
    assert api.count == 80


def test_a_start_without_users_is_refused(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    before = cluster.status
    answer = cluster.swarm(0, traffic_file=records_file(tmp_path, 20))
    assert not answer["success"]
    rule = "The number of users must be a whole number from 1 to 1000000, not '0': without users nothing is sent."
    assert answer["message"] == rule
    assert cluster.status == before


def test_the_status_has_the_same_members_before_a_run_and_after(
    cluster: Cluster, api: FakeApi, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Cluster(tmp_path_factory.mktemp("fresh"), api.url, workers=0, web=True) as fresh:
        fresh.await_web(0)
        before = fresh.status
    api.always(Step())
    begin(cluster, tmp_path, records=8)
    during = cluster.status
    cluster.await_state("completed")
    assert set(before) <= set(during), "what is said before the first run is said of every run"
    assert set(during) - set(before) == {"order", "policy"}, "and of these there is nothing to say before"
