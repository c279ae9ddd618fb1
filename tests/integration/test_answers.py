"""What the API said stands in every dead letter, and in groups; a group is sent again by itself."""

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import REPLAY, Cluster, records_file, slow_but
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS = 120
NO_EMAIL = Step(422, body='{"error": "invalid email user{n}@x.org", "id": 123456789012345678{n}}')
FORMULA = Step(400, body="=1+{n}")
MOVED = Step(308, location="/v2/messages", body="")
REFUSED = {0: NO_EMAIL, 1: FORMULA, 2: MOVED}  # by the last figure of a record's index
SAID = [
    ("rejected", 308, "Location: /v2/messages"),
    ("rejected", 400, "=…"),
    ("rejected", 422, '{"error": "invalid email …", "id": …}'),
]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.script({index: [REFUSED[index % 10]] for index in range(RECORDS) if index % 10 in REFUSED})
        yield api


def begin(folder: Path, api: FakeApi, **more: Any) -> Cluster:
    return Cluster(folder, api.url, users=4, TRAFFIC_FILE=records_file(folder, RECORDS), **more)


def search(cluster: Cluster, **asked: Any) -> dict[str, Any]:
    answer = plain_http.get(f"{cluster.web}/traffic/dead-letters/search", params={"most": 100} | asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


# The unit tests have what each kind of user makes of an answer.
@pytest.mark.parametrize("locustfile", slow_but("ReplayUser"))
def test_every_dead_letter_has_the_answer_whoever_sent_it(tmp_path: Path, api: FakeApi, locustfile: str) -> None:
    with begin(tmp_path, api, locustfile=locustfile) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        report, letters, log = cluster.report, cluster.dead_letters, cluster.master.log
    dead = report["dead_letters"]
    found = [(one["outcome"], one["status"], one["says"], one["count"]) for one in dead["groups"]]
    assert sorted(found) == [(*said, RECORDS // 10) for said in SAID]
    assert (dead["others"], dead["answers_not_kept"]) == ({"groups": 0, "count": 0}, 0)
    groups = {one["group"]: one for one in dead["groups"]}
    assert Counter(letter["group"] for letter in letters) == dict.fromkeys(groups, RECORDS // 10)
    for letter in letters:
        step = REFUSED[letter["index"] % 10]
        assert letter["answer"]["text"] == (step.body or "").replace("{n}", str(letter["index"]))
        assert letter["answer"]["bytes"] == len(letter["answer"]["text"])
        assert letter["answer"]["fields"] == ({"location": "/v2/messages"} if step is MOVED else {})
        assert groups[letter["group"]]["status"] == step.status
    assert '12 x 422 {"error": "invalid email …", "id": …} (group 422-' in log


def test_a_group_outlives_the_master_is_found_and_is_sent_again_by_itself(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, web=True, TRAFFIC_WAIT="0.1-0.1") as cluster:
        cluster.await_web(2)
        assert cluster.swarm(4)["success"]
        cluster.until(lambda: search(cluster)["total"] > 8, "some are dead letters")
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log("is resumed: ")
        before = search(cluster)
        assert all(letter["answer"] is not None for letter in before["letters"])
        run = cluster.await_state("completed")["run"]
        cluster.await_web(2)
        groups = {one["status"]: one for one in search(cluster)["groups"]}
        assert {one["status"]: one["count"] for one in groups.values()} == dict.fromkeys(groups, RECORDS // 10)
        assert search(cluster, q="invalid email user10@")["matched"] == 1
        assert search(cluster, group=groups[400]["group"])["matched"] == RECORDS // 10
        table = plain_http.get(f"{cluster.web}/traffic/dead-letters", params={"format": "csv"}).content
        rows = csv.DictReader(StringIO(table.decode("utf-8-sig")))
        answers = [row["answer"] for row in rows if row["status"] == "400"]
        assert len(answers) == RECORDS // 10
        assert all(answer.startswith("'=1+") for answer in answers), "a spreadsheet must not compute it"
        sent = api.count
        refused = cluster.swarm(4, traffic_resume=run, traffic_resend="499")
        assert "nothing of the dead letters 499" in refused["message"]
        assert cluster.swarm(4, traffic_resume=run, traffic_resend=groups[422]["group"])["success"]
        cluster.until(lambda: api.count == sent + RECORDS // 10, "the group is sent again")
        report = cluster.await_state("completed")
        assert {post.index % 10 for post in api.posts(since=sent)} == {0}
        assert report["counts"]["delivered"] == RECORDS - 2 * RECORDS // 10
        assert {one["status"]: one["count"] for one in cluster.report["dead_letters"]["groups"]} == {400: 12, 308: 12}


def test_what_a_person_says_of_statuses_and_bodies_counts(tmp_path: Path, api: FakeApi) -> None:
    in_flight, stored = Step(409, retry_after="1"), Step(409, body='{"error": "exists"}')
    not_saved, saved = Step(200, body='{"errors": ["no room"]}'), Step(200, body='{"errors": []}')
    api.always(Step(200, body='{"id": 1}'))
    api.script({3: [in_flight, Step()], 5: [stored], 7: [not_saved], 9: [saved], 11: [MOVED], 13: [Step(404)]})
    more: dict[str, Any] = {"TRAFFIC_OUTCOMES": "409=delivered, 404=delivered", "TRAFFIC_REJECT_IF": "/errors"}
    file = records_file(tmp_path, 40)
    with Cluster(tmp_path, api.url, workers=1, locustfile=REPLAY, TRAFFIC_FILE=file, **more) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        dead = {letter["index"]: letter for letter in cluster.dead_letters}
    assert set(dead) == {7, 11}
    assert (dead[7]["reason"], dead[7]["answer"]["text"]) == ("HTTP 200, and /errors is there", not_saved.body)
    assert dead[11]["answer"]["fields"] == {"location": "/v2/messages"}
    attempts = Counter(post.index for post in api.posts())
    assert attempts == dict.fromkeys(range(40), 1), "409 is delivered, as a person said, and not tried again"


def test_by_default_a_409_that_says_when_to_come_back_is_tried_again_with_its_key(tmp_path: Path, api: FakeApi) -> None:
    api.script({3: [Step(409, retry_after="1"), Step()], 5: [Step(409)], 7: [Step(503), Step(409), Step()]})
    file = records_file(tmp_path, 10)
    with Cluster(tmp_path, api.url, workers=1, locustfile=REPLAY, TRAFFIC_FILE=file) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        assert [letter["index"] for letter in cluster.dead_letters] == [5], "nobody had sent it before"
    posts = api.posts()
    assert [post.status for post in posts if post.index == 3] == [409, 201]
    assert [post.status for post in posts if post.index == 7] == [503, 409, 201]
    assert len({post.key for post in posts if post.index == 7}) == 1
