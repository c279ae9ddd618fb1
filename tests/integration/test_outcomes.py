"""What an API may answer, and what becomes of the record: by whole runs against an API that answers by a script."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, records_file, slow_but
from support.fake_api import FakeApi, Post, Step, fake_api

pytestmark = pytest.mark.timeout(180)

# Locust waits a minute for an answer; here, one that hangs is given up sooner.
IMPATIENT = """
from traffic import RecordUser, task

class Posting(RecordUser):
    network_timeout = 3.0

    @task
    def post(self):
        self.deliver_next()
"""
RECORDS, MAX_ATTEMPTS = 60, 3
TRY_AGAIN = {4: 408, 5: 425, 6: 429, 7: 500, 8: 503, 9: 502, 10: 504, 11: 599}
SUCCESSFUL = {12: 200, 13: 202, 14: 204, 15: 299}
REJECTED = {20: 400, 21: 404, 22: 422, 23: 302, 24: 307, 25: 304, 26: 418}
UNKNOWN = {40: "hang", 41: "close", 42: "cut"}
EXHAUSTED, NEVER_ANSWERED = 45, 46
PATIENT, DATED = 30, 31
HURDLES: dict[int, list[Step]] = (
    {index: [Step(status), Step(status)] for index, status in TRY_AGAIN.items()}
    | {index: [Step(status)] for index, status in SUCCESSFUL.items()}
    | {index: [Step(status, location="/elsewhere")] for index, status in REJECTED.items()}
    | {index: [Step(act=act)] for index, act in UNKNOWN.items()}
    | {EXHAUSTED: [Step(503), Step(429), Step(500)], NEVER_ANSWERED: [Step(act="close")] * MAX_ATTEMPTS}
    | {PATIENT: [Step(503, retry_after="2")], DATED: [Step(429, retry_date_s=3)]}
)


@dataclass(frozen=True)
class Outcomes:
    """What came of a run: `posts` by index, what the API was asked for by GET, and what the master left."""

    posts: dict[int, list[Post]]
    gets: list[str]
    code: int
    report: dict[str, Any]
    dead: dict[int, dict[str, Any]]


def by_index(api: FakeApi) -> dict[int, list[Post]]:
    found: dict[int, list[Post]] = defaultdict(list)
    for post in api.posts():
        found[post.index].append(post)
    return found


def headless(folder: Path, locustfile: str, script: dict[int, list[Step]], **variables: Any) -> Outcomes:
    """A run to its end: two workers with one user each, who sends a record every 50 ms."""
    given: dict[str, Any] = {"TRAFFIC_FILE": records_file(folder, RECORDS), "TRAFFIC_ORDER": "file"} | variables
    given["TRAFFIC_RETRY_AFTER"] = "record"  # what the run does about it has tests of its own
    with fake_api() as api:
        api.always(Step(delay=0.05))
        api.script(script)
        with Cluster(folder, api.url, workers=2, users=2, locustfile=locustfile, **given) as cluster:
            code = cluster.wait()
            dead = {letter["index"]: letter for letter in cluster.dead_letters}
            return Outcomes(by_index(api), api.gets(), code, cluster.report, dead)


@pytest.mark.parametrize("last", [1, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("locustfile", slow_but("ReplayUser"))
def test_an_api_that_ends_its_connections_gets_each_record_once(tmp_path: Path, locustfile: str, last: int) -> None:
    records = 500
    with fake_api() as api:
        api.always(Step(), last=last)
        file = records_file(tmp_path, records)
        with Cluster(tmp_path, api.url, locustfile=locustfile, TRAFFIC_FILE=file) as cluster:
            assert cluster.wait() == 0, cluster.master.log[-3000:]
            counts = cluster.report["counts"]
        assert Counter(post.index for post in api.posts()) == dict.fromkeys(range(records), 1)
    assert (counts["delivered"], counts["attempts"], counts["maybe_resent"]) == (records, records, 0)


@pytest.fixture(scope="module")
def at_least_once(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """A run over all hurdles."""
    return headless(tmp_path_factory.mktemp("run"), IMPATIENT, HURDLES, TRAFFIC_MAX_ATTEMPTS=MAX_ATTEMPTS)


def test_the_report_adds_up_and_the_exit_code_says_that_not_all_was_delivered(at_least_once: Outcomes) -> None:
    counts = at_least_once.report["counts"]
    bad = len(REJECTED) + 2
    assert at_least_once.code == 3
    assert at_least_once.report["state"] == "completed"
    assert (counts["records"], counts["delivered"]) == (RECORDS, RECORDS - bad)
    assert (counts["rejected"], counts["in_doubt"], counts["unsent"]) == (bad - 1, 1, 0)
    assert counts["attempts"] == sum(len(posts) for posts in at_least_once.posts.values())
    assert counts["resent"] + counts["maybe_resent"] == counts["attempts"] - RECORDS
    lost = sum(post.status == 0 for posts in at_least_once.posts.values() for post in posts[:-1])
    assert counts["maybe_resent"] == lost, "nobody knows whether a request without an answer was read"
    assert set(at_least_once.posts) == set(range(RECORDS))


def test_the_report_says_how_long_attempts_took_by_status_and_why_one_had_no_answer(at_least_once: Outcomes) -> None:
    timings = at_least_once.report["timings"]
    sent = Counter(post.status for posts in at_least_once.posts.values() for post in posts)
    assert {one["status"]: one["attempts"] for one in timings["statuses"]} == dict(sorted(sent.items()))
    assert timings["attempts"] == at_least_once.report["counts"]["attempts"]
    assert [(one["name"], one["attempts"]) for one in timings["requests"]] == [("/", timings["attempts"])]
    assert sum(one["attempts"] for one in timings["errors"]) == sent[0]
    assert 0 < timings["response"]["p50"] <= timings["response"]["p99"] <= timings["response"]["max"]
    course = at_least_once.report["timeline"]
    first, last = (dict(zip(course["columns"], course["rows"][at], strict=True)) for at in (0, -1))
    assert (first["delivered"], last["delivered"]) == (0, at_least_once.report["counts"]["delivered"])


def test_every_attempt_of_a_record_has_one_key_and_no_two_records_share_one(at_least_once: Outcomes) -> None:
    run = at_least_once.report["run"]
    keys = {index: {post.key for post in posts} for index, posts in at_least_once.posts.items()}
    assert keys == {index: {f"{run}-{index}"} for index in range(RECORDS)}


@pytest.mark.parametrize("index", TRY_AGAIN, ids=TRY_AGAIN.get)
def test_an_answer_that_may_pass_is_tried_again_until_it_does(index: int, at_least_once: Outcomes) -> None:
    assert [post.status for post in at_least_once.posts[index]] == [TRY_AGAIN[index]] * 2 + [201]
    assert index not in at_least_once.dead


@pytest.mark.parametrize("index", SUCCESSFUL, ids=SUCCESSFUL.get)
def test_any_2xx_is_delivered(index: int, at_least_once: Outcomes) -> None:
    assert [post.status for post in at_least_once.posts[index]] == [SUCCESSFUL[index]]
    assert index not in at_least_once.dead


@pytest.mark.parametrize("index", REJECTED, ids=REJECTED.get)
def test_any_other_answer_is_a_no_at_once_and_a_redirect_is_not_followed(index: int, at_least_once: Outcomes) -> None:
    assert len(at_least_once.posts[index]) == 1
    letter = at_least_once.dead[index]
    assert (letter["outcome"], letter["status"], letter["attempts"]) == ("rejected", REJECTED[index], 1)
    assert not [path for path in at_least_once.gets if "elsewhere" in path]


@pytest.mark.parametrize("index", UNKNOWN, ids=UNKNOWN.get)
def test_a_record_whose_answer_is_unknown_is_sent_again_with_its_key(index: int, at_least_once: Outcomes) -> None:
    assert [post.status for post in at_least_once.posts[index]] == [0, 201]
    assert index not in at_least_once.dead


@pytest.mark.parametrize("index", [PATIENT, DATED], ids=["in seconds", "as a date"])
def test_retry_after_is_waited_out_while_the_user_sends_other_records(index: int, at_least_once: Outcomes) -> None:
    first, second = at_least_once.posts[index]
    assert first.not_before is not None
    assert first.done is not None
    assert second.at >= first.not_before
    assert second.status == 201
    everything = [post for posts in at_least_once.posts.values() for post in posts]
    assert [post for post in everything if first.done < post.at < second.at and post.worker == first.worker]


def test_attempts_that_are_used_up_leave_a_dead_letter(at_least_once: Outcomes) -> None:
    posts = at_least_once.posts[EXHAUSTED]
    assert [post.status for post in posts] == [503, 429, 500]
    letter = at_least_once.dead[EXHAUSTED]
    assert letter == {
        "index": EXHAUSTED,
        "outcome": "rejected",
        "attempts": MAX_ATTEMPTS,
        "status": 500,
        "reason": "HTTP 500",
        "worker": posts[-1].worker,
        "key": posts[-1].key,
        "record": json.dumps({"name": f"n{EXHAUSTED}", "msg": f"m{EXHAUSTED}"}),
        "answer": {"content_type": "application/json", "fields": {}, "text": "{}", "bytes": 2},
        "group": letter["group"],
    }


def test_attempts_that_never_had_an_answer_leave_the_record_in_doubt(at_least_once: Outcomes) -> None:
    assert len(at_least_once.posts[NEVER_ANSWERED]) == MAX_ATTEMPTS
    letter = at_least_once.dead[NEVER_ANSWERED]
    assert (letter["outcome"], letter["status"], letter["attempts"]) == ("in_doubt", 0, MAX_ATTEMPTS)
    assert letter["reason"]


def test_nothing_else_is_a_dead_letter(at_least_once: Outcomes) -> None:
    assert set(at_least_once.dead) == {*REJECTED, EXHAUSTED, NEVER_ANSWERED}


OWN_RULE = """
from traffic import Answer, AtLeastOnce, Outcome, RecordUser, task

class Teapots:
    def judge(self, answer):
        if answer.status == 404:
            return Outcome.DELIVERED
        return Outcome.RETRY if answer.status == 418 else AtLeastOnce().judge(answer)

class Posting(RecordUser):
    rule = Teapots()

    @task
    def post(self):
        record = self.next_record()
        answer = self.deliver(record)
        assert isinstance(answer, Answer)
        print("sent", record.index, answer.status, record.body.decode(), flush=True)
"""


def test_a_locustfile_may_have_its_own_rule_and_its_own_way_to_deliver(tmp_path: Path) -> None:
    script = {3: [Step(404)], 4: [Step(418), Step(418)], 5: [Step(400)]}
    done = headless(tmp_path, OWN_RULE, script)
    statuses = {index: [post.status for post in done.posts[index]] for index in script}
    assert statuses == {3: [404], 4: [418, 418, 201], 5: [400]}
    assert (done.code, set(done.dead)) == (3, {5})
    assert done.report["counts"]["delivered"] == RECORDS - 1
    said = [line for log in tmp_path.glob("worker-*.log") for line in log.read_text().splitlines() if "sent " in line]
    assert len(said) == RECORDS + 2
    assert 'sent 3 404 {"name": "n3", "msg": "m3"}' in said


DROPPING = """
from traffic import RecordUser, task

class Posting(RecordUser):
    dropped = False

    @task
    def post(self):
        record = self.next_record()
        if not Posting.dropped:
            Posting.dropped = True
            raise ValueError("a fault of the locustfile's own")
        self.deliver(record)
"""


def test_a_task_that_fails_with_a_record_in_hand_does_not_keep_the_run_from_ending(tmp_path: Path) -> None:
    file = records_file(tmp_path, RECORDS)
    with (
        fake_api() as api,
        Cluster(
            tmp_path, api.url, workers=1, users=2, locustfile=DROPPING, TRAFFIC_FILE=file, TRAFFIC_GIVE_UP=3
        ) as cluster,
    ):
        cluster.until(lambda: api.count >= RECORDS - 1, "all others are sent")
        cluster.wait(10)
        counts = cluster.report["counts"]
        assert counts["delivered"] + counts["in_doubt"] == RECORDS


def test_a_request_that_cannot_be_made_is_told_by_its_own_reason(tmp_path: Path) -> None:
    broken = IMPATIENT.replace("self.deliver_next()", "self.client.request = None\n        self.deliver_next()")
    done = headless(tmp_path, broken, {}, TRAFFIC_FILE=records_file(tmp_path, 4), TRAFFIC_MAX_ATTEMPTS=1)
    assert done.code == 3
    assert all("TypeError" in letter["reason"] for letter in done.dead.values()), done.dead


# The rest shares one master, its web UI, and its workers.


@pytest.fixture(scope="module")
def shared_cluster(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    file = tmp_path_factory.getbasetemp() / "none.json"  # the form may name files of its folder: each test's own
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9"}  # nobody is there, and nobody is asked
    variables: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_ORDER": "file"} | proxy
    with Cluster(folder, shared_api.url, web=True, locustfile=IMPATIENT, **variables) as cluster:
        cluster.await_web(2)
        yield cluster


@pytest.fixture
def api(shared_api: FakeApi) -> FakeApi:
    shared_api.accept()
    shared_api.forget()
    shared_api.always(Step(delay=0.02))
    return shared_api


def begin(cluster: Cluster, file: Path, users: int = 4) -> None:
    answer = cluster.swarm(users, traffic_file=file)
    assert answer["success"], answer


def test_at_most_once_sends_nothing_again_whose_answer_is_unknown(tmp_path: Path) -> None:
    doubtful = {3: Step(act="hang"), 4: Step(act="close"), 5: Step(act="cut"), 6: Step(500), 7: Step(502), 8: Step(504)}
    refused = {10: Step(503), 11: Step(429), 12: Step(408), 13: Step(425)}
    script = {index: [step] for index, step in (doubtful | refused | {15: Step(404)}).items()}
    policy = {"TRAFFIC_FILE": records_file(tmp_path, 40), "TRAFFIC_POLICY": "at-most-once"}
    done = headless(tmp_path, IMPATIENT, script, **policy)
    posts, dead, report = done.posts, done.dead, done.report
    assert {index: len(posts[index]) for index in posts} == {index: 1 + (index in refused) for index in range(40)}
    assert {index for index, letter in dead.items() if letter["outcome"] == "in_doubt"} == set(doubtful)
    assert all(dead[index]["attempts"] == 1 and dead[index]["reason"] for index in doubtful)
    assert [dead[index]["status"] for index in doubtful] == [0, 0, 0, 500, 502, 504]
    assert report["policy"] == "at-most-once"
    counts = report["counts"]
    assert (counts["delivered"], counts["in_doubt"], counts["rejected"]) == (40 - 7, 6, 1)


def test_a_run_outlasts_an_api_that_is_down_for_a_while(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    begin(cluster, records_file(tmp_path, 300))
    cluster.until(lambda: api.count > 50, "records are sent")
    api.refuse()
    reason = cluster.await_state("paused")["reason"]
    assert reason.startswith("the API cannot be reached: ")
    assert "refused" in reason
    assert reason.endswith("; HTTP_PROXY is set, and not used: the users connect to the API itself")
    assert f"the run is paused: {reason}" in cluster.master.log
    api.accept()
    report = cluster.await_state("completed")
    assert "the run goes on" in cluster.master.log
    assert report["counts"]["delivered"] == 300
    assert set(by_index(api)) == set(range(300))
    assert report["reason"] == ""
    assert cluster.dead_letters == []


def test_a_run_whose_api_stays_dead_ends_with_a_report(api: FakeApi, tmp_path: Path) -> None:
    file = records_file(tmp_path, 300)
    variables: dict[str, Any] = {
        "locustfile": IMPATIENT,
        "TRAFFIC_FILE": file,
        "TRAFFIC_ORDER": "file",
        "TRAFFIC_GIVE_UP": 3,
    }
    with Cluster(tmp_path, api.url, users=4, **variables) as cluster:
        cluster.until(lambda: api.count > 50, "records are sent")
        api.refuse()
        assert cluster.wait() == 3
    report = cluster.report
    assert report["state"] == "failed"
    assert report["reason"].startswith("the API cannot be reached: ")
    assert report["reason"].endswith("; given up after 3 s without progress")
    counts = report["counts"]
    sent = set(by_index(api))
    unsent = {int(index) for index in cluster.file_of_run("unsent.txt")}
    assert counts["delivered"] + counts["in_doubt"] + counts["unsent"] == 300
    assert counts["delivered"] >= 30
    assert not unsent & sent
    assert len(unsent) == counts["unsent"] > 0


def test_a_run_whose_users_are_edited_away_waits_and_goes_on_with_others(
    cluster: Cluster, api: FakeApi, tmp_path: Path
) -> None:
    begin(cluster, records_file(tmp_path, 300))
    cluster.until(lambda: api.count > 50, "records are sent")
    assert cluster.swarm(0)["success"]
    assert cluster.await_state("paused")["reason"] == "no user is there"
    refused: list[dict[str, Any]] = [{"user_count": "1e3"}, {"user_count": "9" * 20}]
    refused += [{"spawn_rate": "1e-9"}, {"spawn_rate": "1e300"}]
    for wrong in refused:
        assert not cluster.swarm(**wrong)["success"]
    assert cluster.swarm(4)["success"]
    assert cluster.await_state("completed")["counts"]["delivered"] == 300
    assert {len(posts) for posts in by_index(api).values()} == {1}


def test_a_large_record_is_delivered_whole(cluster: Cluster, api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    records = [
        {"name": "large", "msg": "x" * 200_000},
        {"name": "small", "msg": ""},
        {"name": "large", "msg": "é" * 100_000},
    ]
    file.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    begin(cluster, file)
    assert cluster.await_state("completed")["counts"]["delivered"] == 3
    bodies = {index: posts[0].body.encode("latin-1") for index, posts in by_index(api).items()}
    assert [json.loads(bodies[index]) for index in range(3)] == records
