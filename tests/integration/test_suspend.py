"""A run whose master is asked to end by SIGTERM: suspended, so that the next master goes on by itself; or stopped."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.cluster import REPLAY, Cluster, records_file
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS = 200
SLOWLY, AT_ONCE = Step(delay=0.2), Step()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as made:
        made.always(SLOWLY)
        yield made


def term(cluster: Cluster) -> int:
    """Send the master a SIGTERM, and return its exit code."""
    cluster.master.send(signal.SIGTERM)
    return cluster.master.wait()


def sent(api: FakeApi, least: int) -> bool:
    return api.count >= least


def check_each_once(cluster: Cluster, api: FakeApi, records: int = RECORDS) -> None:
    report = cluster.report
    assert (report["state"], report["counts"]["delivered"], report["counts"]["attempts"]) == (
        "completed",
        records,
        records,
    )
    assert Counter(post.key for post in api.posts()) == {f"{report['run']}-{index}": 1 for index in range(records)}


def test_sigterm_suspends_a_headless_run_and_the_next_master_goes_on_with_the_same_workers(
    tmp_path: Path, api: FakeApi
) -> None:
    file = records_file(tmp_path, RECORDS)
    with Cluster(tmp_path, api.url, workers=2, users=8, locustfile=REPLAY, TRAFFIC_FILE=file) as cluster:
        for least in (20, 80):
            cluster.until(partial(sent, api, least), "records are sent")
            assert term(cluster) == 6, cluster.master.log[-3000:]
            assert not (cluster.state / "report.json").exists(), "the run has not ended"
            assert "delivery report" not in cluster.master.log
            assert f"of {RECORDS} records are settled; start the master again" in cluster.master.log
            assert all(worker.alive for worker in cluster.workers)
            sent_before = api.count
            cluster.restart_master()
            cluster.await_log(f"is resumed: {sent_before} of {RECORDS} records")
        api.always(AT_ONCE)
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        check_each_once(cluster, api)
        assert {post.worker for post in api.posts()} == {worker.id for worker in cluster.workers}


def test_a_request_that_outlasts_the_stop_timeout_is_sent_again_with_its_key(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, 20)
    api.always(Step(act="hang"))
    options = ("--stop-timeout", "1")
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_LEASE": 2}
    with Cluster(tmp_path, api.url, workers=1, users=4, options=options, locustfile=REPLAY, **more) as cluster:
        cluster.until(lambda: api.count == 4, "every user waits for an answer")
        assert term(cluster) == 6
        first = {post.key for post in api.posts()}
        api.always(AT_ONCE)
        cluster.restart_master()
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        assert cluster.report["counts"]["delivered"] == 20
    posts = Counter(post.key for post in api.posts())
    assert len(posts) == 20
    assert {key for key, times in posts.items() if times > 1} == first


def test_a_run_of_the_page_is_stopped_by_sigterm_unless_it_is_to_be_suspended(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, RECORDS)
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_ON_TERM": "suspend"}
    with Cluster(tmp_path, api.url, workers=2, users=8, web=True, locustfile=REPLAY, **more) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8)["success"]
        cluster.until(lambda: api.count > 20, "records are sent")
        run = cluster.status["run"]
        assert term(cluster) == 6
        cluster.restart_master(TRAFFIC_ON_TERM="")
        cluster.await_page()
        before = api.count
        cluster.until(lambda: api.count > before, "the run goes on, and nobody has pressed anything")
        assert cluster.status["run"] == run
        term(cluster)
        assert (cluster.report["run"], cluster.report["state"]) == (run, "stopped")
        assert cluster.report["counts"]["delivered"] == api.count == cluster.report["counts"]["attempts"]


def test_what_a_person_has_stopped_is_not_suspended(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, RECORDS)
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_ON_TERM": "suspend"}
    api.always(Step(delay=6))
    with Cluster(tmp_path, api.url, workers=1, users=4, web=True, locustfile=REPLAY, **more) as cluster:
        cluster.await_web(1)
        assert cluster.swarm(4)["success"]
        cluster.until(lambda: api.count == 4, "records are sent")
        stopping = threading.Thread(target=cluster.stop)
        stopping.start()
        cluster.await_state("stopping")
        assert term(cluster) == 3
        stopping.join()
        assert (cluster.report["state"], cluster.report["counts"]["delivered"]) == ("stopped", 4)


def test_a_master_that_is_sent_away_before_its_run_had_begun_says_that_nothing_was_sent(
    tmp_path: Path, api: FakeApi
) -> None:
    file = records_file(tmp_path, 5)
    with Cluster(tmp_path, api.url, workers=0, expect=1, locustfile=REPLAY, TRAFFIC_FILE=file) as cluster:
        cluster.await_log("Waiting for workers to be ready")
        assert term(cluster) == 6
        assert "SIGTERM came before a run had begun: nothing was sent" in cluster.master.log
        cluster.restart_master()
        cluster.add_workers()
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        check_each_once(cluster, api, records=5)
