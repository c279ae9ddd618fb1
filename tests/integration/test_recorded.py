"""A run that follows the times in its records, by real processes: their order, each once, never before its time."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import REPLAY, Cluster
from support.fake_api import FakeApi, Step, fake_api
from traffic.core.master.pacer import AHEAD_S, LEAD_S
from traffic.core.worker.paced_queue import SLACK_S

pytestmark = pytest.mark.timeout(180)

RECORDS, SPAN_S, SPEED = 120, 12.0, 4
CATCH_UP = 2


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def recorded(folder: Path, seed: int = 3) -> tuple[Path, list[float]]:
    """A shuffled file, and the second of the recording in which each of its records stands."""
    chance = random.Random(seed)
    seconds = [0.0, SPAN_S, *(chance.uniform(0, SPAN_S) for _ in range(RECORDS - 2))]
    chance.shuffle(seconds)
    file = folder / "recorded.json"
    file.write_text(json.dumps([{"n": n, "at": 1_704_110_400 + second} for n, second in enumerate(seconds)]))
    return file, seconds


def begin(folder: Path, api: FakeApi, file: Path, **more: Any) -> Cluster:
    given: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_TIME": "at", "TRAFFIC_SPEED": SPEED}
    return Cluster(folder, api.url, users=8, locustfile=REPLAY, **{**given, **more})


def check_order(api: FakeApi, seconds: list[float]) -> None:
    """Each record came once, and about in the order of the times: users send side by side."""
    posts = sorted(api.posts(), key=lambda post: post.at)
    assert sorted(post.index for post in posts) == list(range(RECORDS))
    by_time = sorted(range(RECORDS), key=lambda index: seconds[index])
    places = {index: place for place, index in enumerate(by_time)}
    moved = [abs(places[post.index] - place) for place, post in enumerate(posts)]
    assert sum(moved) / RECORDS < RECORDS / 10, "not in the order of the file"


def test_a_shuffled_file_is_sent_in_the_order_of_its_times_and_as_fast_as_it_is_asked_to(
    tmp_path: Path, api: FakeApi
) -> None:
    file, seconds = recorded(tmp_path)
    with begin(tmp_path, api, file, workers=2) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report = cluster.report
    check_order(api, seconds)
    assert report["order"] == "time"
    assert report["seconds"] >= SPAN_S / SPEED, "none was sent before its time"
    pace = report["pace"]
    assert (pace["mode"], pace["field"], pace["speed"]) == ("time", "at", SPEED)
    assert pace["planned_s"] == pytest.approx(SPAN_S / SPEED, abs=0.001)
    known = pace["recorded"]
    assert known["first"] == "2024-01-01T12:00:00.000Z"
    assert known["out_of_order"]["records"] > RECORDS / 2
    assert known["cut"] == {"gaps": 0, "s": 0.0}


def test_a_restarted_master_goes_on_with_the_same_times(tmp_path: Path, api: FakeApi) -> None:
    file, _ = recorded(tmp_path)
    with begin(tmp_path, api, file, workers=2, web=True, TRAFFIC_MAX_GAP="5s") as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8)["success"]
        cluster.until(lambda: api.count > RECORDS // 3, "some are sent")
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log("is resumed: ")
        report = cluster.await_state("completed")
    assert sorted(post.index for post in api.posts()) == list(range(RECORDS))
    assert report["counts"]["delivered"] == RECORDS
    assert report["pace"]["max_gap_s"] == 5.0


def test_dead_letters_are_sent_again_no_faster_than_the_catch_up_allows(tmp_path: Path, api: FakeApi) -> None:
    file, speed, last = tmp_path / "most_at_first.json", 10, 80
    file.write_text(json.dumps([{"at": 0.3 * n} for n in range(RECORDS - 1)] + [{"at": last}]))
    rejected = range(0, RECORDS - 1, 3)
    api.script({index: [Step(422)] for index in rejected})
    given = {"TRAFFIC_SPEED": speed, "TRAFFIC_LEASE": 2}
    again = ("--traffic-resume", "last", "--traffic-resend", "dead-letters")
    with begin(tmp_path, api, file, workers=1, **given) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
    sent = api.count
    with begin(tmp_path, api, file, workers=1, options=again, **given) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        counts, pace = cluster.report["counts"], cluster.report["pace"]
    assert sorted(post.index for post in api.posts(since=sent)) == list(rejected)
    assert (counts["delivered"], counts["rejected"]) == (RECORDS, 0)
    # The schedule goes on before its end, where nothing is planned. Each record is behind the one before by half of the
    # average distance at least; by the worker's own clock, so however slow the machine is.
    from_s, average_s = last / speed - AHEAD_S - LEAD_S, last / speed / RECORDS
    assert pace["sent_s"] >= from_s + (len(rejected) - 1) * average_s / CATCH_UP - SLACK_S, "all at once"


def test_a_file_without_times_is_refused_with_the_place_before_anything_is_sent(tmp_path: Path, api: FakeApi) -> None:
    file = tmp_path / "none.json"
    file.write_text('[{"at": 1704110400},\n {"when": 1}]')
    with begin(tmp_path, api, file, workers=1) as cluster:
        assert cluster.wait() == 4
        said = "line 2, column 2: record 1 (counted from 0) has no 'at'. Correct the record, or name another member"
        assert said in cluster.master.log
    with begin(tmp_path, api, file, workers=1, TRAFFIC_RATE="5/s") as cluster:
        assert cluster.wait() == 4
        assert "--traffic-rate and --traffic-time both say how fast the run goes" in cluster.master.log
    assert api.count == 0
