"""Whole runs of users that do nothing but replay: what the API may do to them, and what master and page say of it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Post, Step, fake_api

pytestmark = pytest.mark.timeout(180)

REPLAY = """
from traffic import ReplayUser

class Replay(ReplayUser):
    network_timeout = 3.0
"""
# For users whose answers are never late: no record is sent twice because the machine is busy.
PATIENT_REPLAY = """
from traffic import ReplayUser

class Replay(ReplayUser):
    pass
"""
BY_TASKS = """
from traffic import ReplayUser, task

class Replay(ReplayUser):
    network_timeout = 3.0

    @task
    def post(self):
        self.deliver_next()
"""
RECORDS, MAX_ATTEMPTS = 60, 3
TRY_AGAIN = {4: 408, 6: 429, 7: 500, 8: 503, 11: 599}
SUCCESSFUL = {12: 200, 14: 204, 15: 299}
REJECTED = {20: 400, 21: 404, 23: 302, 25: 304, 26: 418}
UNKNOWN = {40: "hang", 41: "close", 42: "cut"}
EXHAUSTED, NEVER_ANSWERED, PATIENT, DATED = 45, 46, 30, 31
HURDLES: dict[int, list[Step]] = (
    {index: [Step(status), Step(status)] for index, status in TRY_AGAIN.items()}
    | {index: [Step(status)] for index, status in SUCCESSFUL.items()}
    | {index: [Step(status, location="/elsewhere")] for index, status in REJECTED.items()}
    | {index: [Step(act=act)] for index, act in UNKNOWN.items()}
    | {EXHAUSTED: [Step(503), Step(429), Step(500)], NEVER_ANSWERED: [Step(act="close")] * MAX_ATTEMPTS}
    | {PATIENT: [Step(503, retry_after="2")], DATED: [Step(429, retry_date_s=3)]}
)


def by_index(api: FakeApi) -> dict[int, list[Post]]:
    found: dict[int, list[Post]] = defaultdict(list)
    for post in api.posts():
        found[post.index].append(post)
    return found


@pytest.mark.parametrize("locustfile", [REPLAY, BY_TASKS], ids=["without tasks", "with a task"])
def test_every_hurdle_is_taken_as_a_record_user_takes_it(tmp_path: Path, locustfile: str) -> None:
    file = records_file(tmp_path, RECORDS)
    with fake_api() as api:
        api.always(Step(delay=0.02))
        api.script(HURDLES)
        with Cluster(
            tmp_path,
            api.url,
            users=4,
            locustfile=locustfile,
            TRAFFIC_FILE=file,
            TRAFFIC_ORDER="file",
            TRAFFIC_MAX_ATTEMPTS=MAX_ATTEMPTS,
            TRAFFIC_RETRY_AFTER="record",
        ) as cluster:
            assert cluster.wait() == 3
            report, dead = cluster.report, {letter["index"]: letter for letter in cluster.dead_letters}
        posts, gets = by_index(api), api.gets()
    sent = {index: [post.status for post in its] for index, its in posts.items()}
    assert {index: sent[index] for index in TRY_AGAIN} == {at: [code] * 2 + [201] for at, code in TRY_AGAIN.items()}
    assert {index: sent[index] for index in SUCCESSFUL} == {at: [code] for at, code in SUCCESSFUL.items()}
    assert {index: sent[index] for index in REJECTED} == {at: [code] for at, code in REJECTED.items()}
    assert {index: sent[index] for index in UNKNOWN} == {at: [0, 201] for at in UNKNOWN}
    assert set(dead) == {*REJECTED, EXHAUSTED, NEVER_ANSWERED}
    assert (dead[EXHAUSTED]["outcome"], dead[EXHAUSTED]["reason"]) == ("rejected", "HTTP 500")
    assert (dead[NEVER_ANSWERED]["outcome"], dead[NEVER_ANSWERED]["reason"]) == (
        "in_doubt",
        "HTTPConnectionClosed: connection closed.",
    )
    for index in (PATIENT, DATED):
        first, second = posts[index]
        assert first.not_before is not None
        assert second.at >= first.not_before
    assert not [path for path in gets if "elsewhere" in path]
    keys = {index: {post.key for post in its} for index, its in posts.items()}
    assert keys == {index: {f"{report['run']}-{index}"} for index in range(RECORDS)}
    counts = report["counts"]
    assert counts["attempts"] == sum(map(len, posts.values()))
    assert (counts["delivered"], counts["rejected"], counts["in_doubt"]) == (RECORDS - len(dead), len(dead) - 1, 1)


def test_at_most_once_sends_nothing_again_whose_answer_is_unknown(tmp_path: Path) -> None:
    doubtful = {3: Step(act="hang"), 4: Step(act="close"), 5: Step(act="cut"), 6: Step(500)}
    again = {10: Step(503), 11: Step(429)}
    with fake_api() as api:
        api.script({index: [step] for index, step in (doubtful | again).items()})
        file = records_file(tmp_path, 40)
        with Cluster(tmp_path, api.url, locustfile=REPLAY, TRAFFIC_FILE=file, TRAFFIC_POLICY="at-most-once") as cluster:
            assert cluster.wait() == 3
            dead = {letter["index"] for letter in cluster.dead_letters}
        posts = by_index(api)
    assert {index: len(its) for index, its in posts.items()} == {index: 1 + (index in again) for index in range(40)}
    assert dead == set(doubtful)


# The rest shares one master, its web UI, and its workers.


@pytest.fixture(scope="module")
def shared_cluster(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    file = tmp_path_factory.getbasetemp() / "none.json"  # the form may name files of its folder: each test's own
    variables: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_ORDER": "file"}
    with Cluster(folder, shared_api.url, web=True, locustfile=PATIENT_REPLAY, **variables) as cluster:
        cluster.await_web(2)
        yield cluster


@pytest.fixture
def api(shared_api: FakeApi) -> FakeApi:
    shared_api.accept()
    shared_api.forget()
    return shared_api


def begin(cluster: Cluster, file: Path, users: int = 8) -> None:
    before = cluster.status.get("run")
    answer = cluster.swarm(users, traffic_file=file)
    assert answer["success"], answer
    cluster.until(lambda: cluster.status.get("run") != before, "another run begins")


def test_the_page_shows_what_was_sent(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    api.script({index: [Step(503)] for index in range(0, 400, 10)} | {5: [Step(404)]})
    begin(cluster, records_file(tmp_path, 400))
    cluster.await_state("completed")
    seen = cluster.until(lambda: _rows(cluster).get("/", {}).get("num_requests") == 440 and _rows(cluster), "440 shown")
    for row in (seen["/"], seen["Aggregated"]):
        assert (row["num_requests"], row["num_failures"]) == (440, 41)
        assert 0 <= row["min_response_time"] <= row["avg_response_time"] <= row["max_response_time"]
        assert row["max_response_time"] > 0
    shown = plain_http.get(f"{cluster.web}/stats/requests").json()["errors"]
    assert {error["error"]: error["occurrences"] for error in shown} == {
        "CatchResponseError('HTTP 503')": 40,
        "CatchResponseError('HTTP 404')": 1,
    }
    assert Counter(post.status for post in api.posts()) == {201: 399, 503: 40, 404: 1}


def _rows(cluster: Cluster) -> dict[str, dict[str, float]]:
    return {row["name"]: row for row in plain_http.get(f"{cluster.web}/stats/requests").json()["stats"]}


def test_a_run_outlasts_an_api_that_is_down_for_a_while(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    api.always(Step(delay=0.02))
    begin(cluster, records_file(tmp_path, 300))
    cluster.until(lambda: api.count > 50, "records are sent")
    api.refuse()
    assert "refused" in cluster.await_state("paused")["reason"]
    api.accept()
    assert cluster.await_state("completed")["counts"]["delivered"] == 300
    assert set(by_index(api)) == set(range(300))


def test_a_stop_in_mid_request_leaves_nothing_in_doubt(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    api.always(Step(delay=0.3))
    begin(cluster, records_file(tmp_path, 1000))
    cluster.until(lambda: api.count > 20, "records are sent")
    cluster.stop()
    report = dict(cluster.until(lambda: cluster.status["ended"] and cluster.status, "the run has ended"))
    counts = report["counts"]
    assert counts["delivered"] == len(api.posts()) == len(by_index(api)), "each once, and each answered"
    assert (counts["in_doubt"], counts["unsent"]) == (0, 1000 - counts["delivered"])


def test_users_that_are_taken_away_in_mid_run_lose_no_record(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    api.always(Step(delay=0.05))
    begin(cluster, records_file(tmp_path, 400), users=12)
    cluster.until(lambda: api.count > 50, "records are sent")
    cluster.swarm(3)
    cluster.until(lambda: api.count > 150, "records are sent")
    cluster.swarm(10)
    report = cluster.await_state("completed")
    assert report["counts"]["delivered"] == report["counts"]["attempts"] == 400
    assert {len(posts) for posts in by_index(api).values()} == {1}


def test_large_records_are_delivered_whole(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    records = [{"name": "large", "msg": mark * 200_000} for mark in "aéx"]
    file = tmp_path / "large.json"
    file.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    begin(cluster, file)
    assert cluster.await_state("completed")["counts"]["delivered"] == 3
    bodies = {index: posts[0].body.encode("latin-1") for index, posts in by_index(api).items()}
    assert [json.loads(bodies[index]) for index in range(3)] == records


def test_what_a_killed_worker_held_goes_to_the_others(tmp_path: Path) -> None:
    with fake_api() as api:
        api.always(Step(delay=0.02))
        file = records_file(tmp_path, 600)
        with Cluster(tmp_path, api.url, workers=3, locustfile=REPLAY, TRAFFIC_FILE=file) as cluster:
            cluster.until(lambda: api.count > 60, "records are sent")
            cluster.workers[0].kill()
            assert cluster.wait() == 0
            assert cluster.report["counts"]["delivered"] == 600
        assert set(by_index(api)) == set(range(600))
