"""The dead letters of a run are sent again within it, by the keys that they had, and nothing else is."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Post, Step, fake_api
from support.mongod import free_port
from support.stub_process import StubProcess

pytestmark = pytest.mark.timeout(180)

RECORDS = 60
REJECTED, LOST = range(20), range(20, 30)
DEAD = [*REJECTED, *LOST]
AGAIN = {"traffic_resend": "dead-letters"}
LAST_AGAIN = ("--traffic-resume", "last", "--traffic-resend", "dead-letters")
AT_ONCE, SLOWLY = Step(), Step(delay=0.3)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API that rejects some records, and loses its answer to others, each the first time that it comes."""
    with fake_api() as api:
        refused = {index: [Step(422)] for index in REJECTED}
        api.script(refused | {index: [Step(act="close")] for index in LOST})
        yield api


def begin(folder: Path, url: str, **more: Any) -> Cluster:
    file = records_file(folder, RECORDS)
    given: dict[str, Any] = {"users": 4, "TRAFFIC_FILE": file, "TRAFFIC_MAX_ATTEMPTS": 1} | more
    return Cluster(folder, url, **given)


def run_with_dead_letters(cluster: Cluster) -> str:
    """A run by the web form that was completed, with dead letters; its id."""
    cluster.await_web(len(cluster.workers))
    assert cluster.swarm(4)["success"]
    run = await_end(cluster)
    assert cluster.report["counts"]["delivered"] == RECORDS - len(DEAD)
    return run


def await_end(cluster: Cluster) -> str:
    """Wait until the run is completed and Locust's test is over: until then a Start is an edit of it; its id."""
    status = cluster.await_state("completed")
    cluster.await_web(len(cluster.workers))
    return str(status["run"])


def row_of(cluster: Cluster, run: str) -> dict[str, Any]:
    rows = plain_http.get(f"{cluster.web}/traffic/runs").json()["runs"]
    return dict(next(row for row in rows if row["run"] == run))


def check_sent_again(posts: list[Post], run: str, indexes: list[int] = DEAD) -> None:
    """These records came once more, with the keys that they had, and no other did."""
    assert Counter(post.key for post in posts) == Counter(f"{run}-{index}" for index in indexes)


def check_all_delivered(report: dict[str, Any], run: str, *, resent: int) -> None:
    counts = report["counts"]
    assert (report["run"], report["state"]) == (run, "completed")
    assert counts["delivered"] == counts["records"] == RECORDS
    assert (counts["rejected"], counts["in_doubt"], counts["unsent"]) == (0, 0, 0)
    assert counts["resent"] + counts["maybe_resent"] == resent
    for kind in ("delivered", "rejected", "in_doubt"):
        assert sum(row[kind] for row in report["workers"]) == counts[kind]


def test_dead_letters_are_sent_again_from_the_form_and_the_report_is_made_anew(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api.url, web=True) as cluster:
        run = run_with_dead_letters(cluster)
        row = row_of(cluster, run)
        assert (row["state"], row["resumable"], row["resendable"]) == ("completed", False, len(DEAD))
        sent = api.count
        assert sent == RECORDS
        assert cluster.swarm(4, traffic_resume=run, **AGAIN)["success"]
        assert await_end(cluster) == run
        check_all_delivered(cluster.report, run, resent=len(DEAD))
        (resumed,) = cluster.report["resumed"]
        assert (resumed["settled"], resumed["resent_dead_letters"]) == (RECORDS - len(DEAD), len(DEAD))
        assert cluster.report["counts"]["attempts"] == RECORDS + len(DEAD)
        check_sent_again(api.posts(since=sent), run)
        assert cluster.dead_letters == []
        assert not list(cluster.state.glob("runs/*/journal*")), "a run that is delivered needs no journal"
        row = row_of(cluster, run)
        assert (row["resumable"], row["resendable"]) == (False, 0)
        # The fields are empty again: the next Start is a new run.
        assert cluster.swarm(4)["success"]
        assert await_end(cluster) != run


def test_a_store_that_honours_the_key_has_each_record_once(tmp_path: Path) -> None:
    port = free_port()
    store, env = f"sqlite:///{tmp_path}/store.sqlite", {"STUB_PORT": str(port), "STUB_SEED": "3"}
    stub = StubProcess(store, env | {"STUB_MISBEHAVE": "error=422@0.2, close-after@0.2"})
    stub.start()
    try:
        with begin(tmp_path, stub.url) as cluster:
            assert cluster.wait() == 3
            first = cluster.report
            rejected, in_doubt = first["counts"]["rejected"], first["counts"]["in_doubt"]
            assert rejected
            assert in_doubt
            stub.end(15)
            stub.env = env
            stub.start()
            cluster.restart_master(*LAST_AGAIN)
            cluster.add_workers(2)
            assert cluster.wait() == 0
            check_all_delivered(cluster.report, first["run"], resent=rejected + in_doubt)
            assert cluster.report["counts"]["maybe_resent"] == in_doubt, "the others had been answered"
            audit = plain_http.get(f"{stub.url}/audit?run={first['run']}").json()
            assert (audit["stored"], audit["indexes"]["missing_below_max"]) == (RECORDS, [])
            assert audit["replayed"] == in_doubt, "those had been stored, and the answer was lost"
            assert cluster.report["audit"]["agrees"]
    finally:
        stub.kill()


def test_headless_the_last_run_that_has_dead_letters_is_taken_up(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api.url) as cluster:
        assert cluster.wait() == 3
        run, sent = cluster.report["run"], api.count
        cluster.restart_master(*LAST_AGAIN)
        cluster.add_workers(2)
        assert cluster.wait() == 0
        check_all_delivered(cluster.report, run, resent=len(DEAD))
        assert f"{len(DEAD)} that were dead letters are sent again" in cluster.master.log
        assert f"{len(DEAD)} dead letters to be sent again" in cluster.master.log, "in the report, too"
        check_sent_again(api.posts(since=sent), run)
        cluster.restart_master(*LAST_AGAIN)
        cluster.add_workers(2)
        assert cluster.wait() == 4
        assert "has anything that can be sent again" in cluster.master.log


def test_a_master_that_is_killed_in_the_midst_goes_on_with_sending_them_again(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api.url, users=2) as cluster:
        assert cluster.wait() == 3
        run, sent = cluster.report["run"], api.count
        api.always(SLOWLY)
        cluster.restart_master(*LAST_AGAIN)
        cluster.add_workers(2)
        cluster.until(lambda: api.count >= sent + 4, "some are sent again")
        cluster.master.kill()
        assert api.count < sent + len(DEAD), "it was in the midst of it"
        cluster.restart_master()  # it is not told again, and knows
        cluster.await_log(f"run {run} is resumed")
        api.always(AT_ONCE)
        assert cluster.wait() == 0
        check_all_delivered(cluster.report, run, resent=len(DEAD))
        again, after_the_kill = cluster.report["resumed"]
        assert again["resent_dead_letters"] == len(DEAD)
        assert "resent_dead_letters" not in after_the_kill
        # The workers lived on: each attempt had its answer, and was booked by the new master.
        check_sent_again(api.posts(since=sent), run)


@pytest.mark.slow
def test_where_the_workers_died_too_only_what_was_in_their_hands_comes_a_third_time(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api.url, users=2) as cluster:
        assert cluster.wait() == 3
        run, sent = cluster.report["run"], api.count
        api.always(SLOWLY)
        cluster.restart_master(*LAST_AGAIN)
        cluster.add_workers(2)
        cluster.until(lambda: api.count >= sent + 8, "some are sent again")
        for process in (cluster.master, *cluster.workers):
            process.kill()
        killed = api.count
        assert killed < sent + len(DEAD), "it was in the midst of it"
        cluster.restart_master()
        cluster.add_workers(2)
        cluster.await_log(f"run {run} is resumed")
        api.always(AT_ONCE)
        assert cluster.wait() == 0
        assert cluster.report["counts"]["delivered"] == RECORDS
        times = Counter(post.key for post in api.posts(since=sent))
        assert set(times) == {f"{run}-{index}" for index in DEAD}
        settled = cluster.report["resumed"][1]["settled"] - (RECORDS - len(DEAD))
        assert sum(times.values()) <= len(DEAD) + killed - sent - settled


def test_a_run_that_is_stopped_before_they_are_sent_has_them_as_they_were(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api.url, web=True, workers=1) as cluster:
        run = run_with_dead_letters(cluster)
        before, sent = {one["index"]: one for one in cluster.dead_letters}, api.count
        api.always(SLOWLY)
        assert cluster.swarm(1, traffic_resume=run, **AGAIN)["success"]
        cluster.until(lambda: api.count >= sent + 3, "some are sent again")
        cluster.stop()
        cluster.await_state("stopped")
        counts, after = cluster.report["counts"], {one["index"]: one for one in cluster.dead_letters}
        assert counts["unsent"] == 0
        assert RECORDS - len(DEAD) < counts["delivered"] < RECORDS
        assert counts["delivered"] + len(after) == RECORDS
        came = {post.index for post in api.posts(since=sent)}
        assert {index: after[index] for index in DEAD if index not in came} == {
            index: before[index] for index in DEAD if index not in came
        }
        assert row_of(cluster, run)["resendable"] == len(after)
        api.always(AT_ONCE)
        cluster.await_web(1)
        assert cluster.swarm(4, traffic_resume="last", **AGAIN)["success"]
        await_end(cluster)
        assert cluster.report["counts"]["delivered"] == RECORDS
        assert [one["resent_dead_letters"] for one in cluster.report["resumed"]] == [len(DEAD), len(after)]


def test_at_most_once_what_is_in_doubt_is_never_sent_again(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api.url, TRAFFIC_POLICY="at-most-once") as cluster:
        assert cluster.wait() == 3
        run, sent = cluster.report["run"], api.count
        cluster.restart_master(*LAST_AGAIN)
        cluster.add_workers(2)
        assert cluster.wait() == 3
        counts = cluster.report["counts"]
        assert (counts["delivered"], counts["rejected"], counts["in_doubt"]) == (RECORDS - len(LOST), 0, len(LOST))
        assert [one["index"] for one in cluster.dead_letters] != []
        check_sent_again(api.posts(since=sent), run, list(REJECTED))
        sent = api.count
        cluster.restart_master("--traffic-resume", run, "--traffic-resend", "dead-letters")
        cluster.add_workers(2)
        assert cluster.wait() == 4
        assert f"nothing of run {run} can be sent again: {len(LOST)} records in doubt may have been" in (
            cluster.master.log
        )
        assert api.count == sent


def test_a_headless_master_that_is_killed_after_its_report_tells_of_dead_letters_once(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api.url) as cluster:
        cluster.until((cluster.state / "report.json").exists, "the report is written")
        cluster.master.kill()
        run = cluster.report["run"]
        cluster.restart_master()
        assert cluster.wait() == 3
        assert cluster.report["run"] == run
        assert api.count == RECORDS, "nothing was sent"
        cluster.restart_master()
        cluster.add_workers(2)
        assert cluster.wait() == 0
        assert cluster.report["run"] != run, "it had been told of, and the next start is another run"


def test_what_cannot_be_done_is_refused_with_a_remedy(tmp_path: Path, api: FakeApi) -> None:
    def refused(**form: str) -> str:
        answer = cluster.swarm(4, **form)
        assert not answer["success"]
        return str(answer["message"])

    with begin(tmp_path, api.url, web=True) as cluster:
        cluster.await_web(2)
        assert "no run in" in refused(traffic_resume="last", **AGAIN)
        run = run_with_dead_letters(cluster)
        assert (
            "must be dead-letters, a status such as 422, a group such as 422-0a1b2c3d, or empty, not 'all'"
            in refused(traffic_resume=run, traffic_resend="all")
        )
        assert "Resume names none" in refused(**AGAIN)
        assert "Resume names none" in refused(traffic_resume="no", **AGAIN)
        assert "sent again by Send again under Past runs" in refused(traffic_resume=run)
        assert "press Send again under Past runs" in refused(traffic_resume="last")
        assert "None can be" not in refused(traffic_resume="20991231-000000-abcd", **AGAIN)
        assert api.count == RECORDS
        assert cluster.swarm(4, traffic_resume=run, **AGAIN)["success"]
        assert await_end(cluster) == run
        assert f"nothing of run {run} can be sent again" in refused(traffic_resume=run, **AGAIN)
