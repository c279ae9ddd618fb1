"""A run with a rate by real processes: no sooner than planned, each record once, whatever happens to the workers.

Lateness is measured in bench/: here nothing depends on how fast the machine is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import REPLAY, Cluster, records_file, slow_but
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS, RATE = 240, 60
PLANNED_S = (RECORDS - 1) / RATE


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def begin(folder: Path, api: FakeApi, locustfile: str = REPLAY, **more: Any) -> Cluster:
    file = records_file(folder, RECORDS)
    paced: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_RATE": f"{RATE}/s", "TRAFFIC_ORDER": "file"}
    return Cluster(folder, api.url, users=8, locustfile=locustfile, **{**paced, **more})


def check_once(api: FakeApi) -> None:
    assert Counter(Counter(post.index for post in api.posts()).values()) == {1: RECORDS}


@pytest.mark.parametrize("locustfile", slow_but("ReplayUser"))
def test_records_are_sent_no_sooner_than_planned_and_by_all_workers_in_turns(
    tmp_path: Path, api: FakeApi, locustfile: str
) -> None:
    with begin(tmp_path, api, locustfile, workers=2) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report = cluster.report
    check_once(api)
    assert report["counts"]["delivered"] == report["counts"]["attempts"] == RECORDS
    assert report["seconds"] >= PLANNED_S
    pace = report["pace"]
    assert (pace["profile"], pace["arrivals"], pace["catch_up"]) == (f"{RATE}/s", "even", 2.0)
    assert pace["planned_s"] == pytest.approx(PLANNED_S, abs=0.001)
    assert pace["sent_s"] >= round(PLANNED_S, 3), "it is said in milliseconds"
    assert pace["late"]["p50"] >= 0
    by_worker = defaultdict(list)
    for post in api.posts():
        by_worker[post.worker].append(post.index)
    assert len(by_worker) == 2
    assert all(max(indexes) - min(indexes) > RECORDS // 2 for indexes in by_worker.values()), "nobody had a slice"


def test_what_a_killed_worker_had_goes_to_the_others_and_the_rate_goes_on(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, workers=3, TRAFFIC_LEASE=2) as cluster:
        ids = set(cluster.await_ids())
        cluster.until(lambda: ids <= {post.worker for post in api.posts()}, "every worker sends")
        cluster.workers[0].kill()
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report = cluster.report
    assert report["counts"]["delivered"] == RECORDS
    assert {post.index for post in api.posts()} == set(range(RECORDS))
    assert report["seconds"] >= PLANNED_S


def test_a_pause_shifts_the_schedule_and_a_restarted_master_goes_on_with_it(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, workers=2, web=True) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8, traffic_rate="30/s")["success"]
        cluster.until(lambda: api.count > RECORDS // 8, "some are sent")
        assert plain_http.post(f"{cluster.web}/traffic/pause").status_code == 200
        cluster.until(lambda: not cluster.status["pace"]["running"], "the schedule stands still")
        assert plain_http.post(f"{cluster.web}/traffic/go-on").status_code == 200
        cluster.until(lambda: cluster.status["pace"]["running"], "the schedule goes on")
        assert cluster.status["pace"]["frozen"][-1]["reason"] == "paused by a person"
        cluster.master.kill()
        sent = api.count
        cluster.restart_master()
        cluster.await_log("is resumed: ")
        report = cluster.await_state("completed")
    check_once(api)
    assert (report["pace"]["profile"], report["counts"]["delivered"]) == ("30/s", RECORDS)
    left = RECORDS - sent
    assert report["seconds"] >= left / 30 - 1, "what was left was sent at the rate, too"


def test_a_rate_that_is_changed_in_mid_run_counts_from_then_on_and_outlives_the_master(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api, workers=2, web=True) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8, traffic_rate="10/s")["success"]
        cluster.until(lambda: api.count > 5, "some are sent")
        answer = plain_http.post(f"{cluster.web}/traffic/rate", data={"rate": "80/s"}).json()
        assert (answer["ok"], answer["rate"]) == (True, "80/s")
        cluster.until(lambda: cluster.status["pace"]["second"] > answer["from_s"] + 0.5, "the new rate counts")
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log("is resumed: ")
        report = cluster.await_state("completed")
    check_once(api)
    pace = report["pace"]
    assert (pace["profile"], [change["profile"] for change in pace["changes"]]) == ("80/s", ["80/s"])
    planned = answer["from_s"] + (RECORDS - 10 * answer["from_s"]) / 80
    assert pace["planned_s"] == pytest.approx(planned, abs=0.2)


def test_too_few_users_are_named_with_how_many_the_rate_takes(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    with begin(tmp_path, api, workers=2, TRAFFIC_RATE="60/s", TRAFFIC_LIMIT=120) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        pace, log = cluster.report["pace"], cluster.master.log
    assert "too few users: " in log
    assert pace["late"]["because"]["no_free_user"] > 30
    busy = pace["users_busy"]
    assert busy["max"] == 8
    assert busy["needed"] >= 30
    assert pace["service"]["p50"] >= 0.5
    assert pace["late"]["p99"] > pace["late"]["p50"] > 0.1


def test_a_profile_that_ends_too_early_and_a_wait_are_refused_before_anything_is_sent(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api, workers=1, TRAFFIC_RATE="line(10,0,10s)") as cluster:
        assert cluster.wait() == 4
        assert "the profile ends at 0/s after 50 of 240 records. Let its last piece end above 0/s" in cluster.master.log
    with begin(tmp_path, api, workers=1, TRAFFIC_WAIT="1-2") as cluster:
        assert cluster.wait() == 4
        assert "a run with a rate has no wait between requests" in cluster.master.log
    assert api.count == 0
