"""An API that takes no more than a quota: the run waits for it, or slows down, and loses no record. Real processes.

No assertion here is about how long anything takes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import REPLAY, Cluster, records_file, slow_but
from support.fake_api import FakeApi, Post, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS, USERS = 60, 6
# The quota is used up in a small part of this, also on a busy machine.
WINDOW_S = 2.0
HELD = r"^held by the API until \d\d:\d\d:\d\d \S+ \(429, Retry-After\)"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def begin(folder: Path, api: FakeApi, locustfile: str = REPLAY, **more: Any) -> Cluster:
    file = records_file(folder, RECORDS)
    given: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_MAX_ATTEMPTS": 1}
    return Cluster(folder, api.url, users=USERS, locustfile=locustfile, **{**given, **more})


def delivered(api: FakeApi) -> Counter[int]:
    return Counter(post.index for post in api.posts() if post.status == 201)


def first_after_waits(posts: list[Post]) -> list[tuple[Post, Post]]:
    """The first POST after each wait that the API asked for, and the one after that."""
    ends = [at for at, post in enumerate(posts[:-2]) if post.status == 429 and posts[at + 1].status != 429]
    return [(posts[at + 1], posts[at + 2]) for at in ends]


@pytest.mark.parametrize("locustfile", slow_but("ReplayUser"))
def test_the_run_waits_as_long_as_the_api_asks_and_delivers_all_though_a_record_has_one_attempt(
    tmp_path: Path, api: FakeApi, locustfile: str
) -> None:
    api.limit(20, WINDOW_S)
    with begin(tmp_path, api, locustfile) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report, log = cluster.report, cluster.master.log
    assert delivered(api) == dict.fromkeys(range(RECORDS), 1)
    assert report["counts"]["delivered"] == RECORDS
    put_off = [post for post in api.posts() if post.status == 429]
    waits = report["api_waits"]
    assert waits["answers"] == len(put_off)
    assert waits["times"] >= 1
    assert len(put_off) <= waits["times"] * USERS, "each user has one at most, whenever the quota is used up"
    assert report["counts"]["attempts"] == RECORDS + len(put_off)
    assert "the API has asked the run to wait: held by the API until" in log
    assert report["held"] is None


def test_after_a_wait_one_record_is_sent_and_the_others_follow_when_it_is_answered(
    tmp_path: Path, api: FakeApi
) -> None:
    api.limit(20, 2 * WINDOW_S)
    api.always(Step(delay=0.05))
    with begin(tmp_path, api, workers=3) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
    posts = api.posts()
    probes = first_after_waits(posts)
    assert probes
    for probe, following in probes:
        assert probe.done is not None
        assert following.at >= probe.done


def test_a_run_with_a_rate_waits_and_its_schedule_stands_still_meanwhile(tmp_path: Path, api: FakeApi) -> None:
    api.limit(20, WINDOW_S)
    with begin(tmp_path, api, TRAFFIC_RATE="60/s") as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report = cluster.report
    assert delivered(api) == dict.fromkeys(range(RECORDS), 1)
    assert {stop["reason"] for stop in report["pace"]["frozen"]} >= {"held by the API"}


def test_a_wait_is_shown_and_kept_by_a_restarted_master_and_ends_with_the_run(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(429, retry_after="600"))
    with begin(tmp_path, api, web=True) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(USERS)["success"]
        status = cluster.await_state("paused")
        assert re.match(HELD, status["reason"])
        assert not status["paused_by_person"]
        assert status["held"]["status"] == 429
        refused = plain_http.post(f"{cluster.web}/traffic/go-on")
        assert refused.status_code == 409
        assert "waits: held by the API until" in refused.json()["error"]
        sent = api.count
        assert sent <= USERS
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log("held by the API until")  # by its journal, or, if that was not written yet, by its workers
        cluster.await_page()
        cluster.until(lambda: re.match(HELD, cluster.status["reason"]), "the workers are back, and the run is held")
        cluster.stop()
        counts = cluster.await_state("stopped")["counts"]
        # What was leased by the former master may have been sent: nobody knows, as it was not leased again.
        assert counts["unsent"] + counts["in_doubt"] == RECORDS
        assert api.count == sent, "nothing was sent by the new master"


def left_to_a_person(cluster: Cluster, api: FakeApi) -> dict[str, Any] | None:
    """The status, once the run is paused and the master knows of every answer: one that comes later would ask again."""
    status = cluster.status
    return status if status["paused_by_person"] and status["api_waits"]["answers"] == api.count else None


def test_a_wait_that_is_too_long_is_left_to_a_person(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(429, retry_after="3600"))
    with begin(tmp_path, api, web=True, TRAFFIC_HOLD_MAX="10m") as cluster:
        cluster.await_web(2)
        assert cluster.swarm(USERS)["success"]
        status = cluster.until(lambda: left_to_a_person(cluster, api), "the run is left to a person")
        assert re.match(HELD, status["reason"])
        assert status["reason"].endswith("and the run waits 600 s (--traffic-hold-max) at most by itself")
        api.always(Step())
        assert plain_http.post(f"{cluster.web}/traffic/go-on").status_code == 200
        assert cluster.await_state("completed")["counts"]["delivered"] == RECORDS
    assert delivered(api) == dict.fromkeys(range(RECORDS), 1)


def test_without_a_page_a_wait_that_is_too_long_ends_the_run_which_can_be_resumed(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(429, retry_after="3600"))
    with begin(tmp_path, api, TRAFFIC_HOLD_MAX="10m") as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        report = cluster.report
        assert report["state"] == "failed"
        assert f"Resume it when the API takes requests again: --traffic-resume {report['run']}" in report["reason"]
    api.always(Step())
    with begin(tmp_path, api, TRAFFIC_RESUME="last") as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
    assert delivered(api) == dict.fromkeys(range(RECORDS), 1)


@pytest.mark.parametrize("rate", ["", "120/s"], ids=["as fast as the users send", "with a rate"])
def test_a_429_that_does_not_say_for_how_long_slows_the_run(tmp_path: Path, api: FakeApi, rate: str) -> None:
    api.limit(10, 0.5, says=False)
    with begin(tmp_path, api, TRAFFIC_RATE=rate) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report, log = cluster.report, cluster.master.log
    assert delivered(api) == dict.fromkeys(range(RECORDS), 1)
    assert report["counts"]["delivered"] == RECORDS
    assert report["api_waits"]["slowed"]["answers"] == sum(post.status == 429 for post in api.posts()) > 0
    assert "the API answers 429 (too many requests): the run slows down, from " in log


def test_each_record_waits_for_itself_if_that_is_asked_for(tmp_path: Path, api: FakeApi) -> None:
    api.script({7: [Step(429, retry_after="1")], 8: [Step(429, retry_after="1")] * 2})
    with begin(tmp_path, api, TRAFFIC_RETRY_AFTER="record", TRAFFIC_MAX_ATTEMPTS=2) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        report = cluster.report
    assert (report["counts"]["delivered"], report["counts"]["rejected"]) == (RECORDS - 1, 1)
    assert report["api_waits"] is None
