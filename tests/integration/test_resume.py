"""A master that is killed is started again and resumes the run (P6): nothing known is sent again."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Post, Step, fake_api

pytestmark = pytest.mark.timeout(180)

SLOWLY, AT_ONCE = Step(delay=0.1), Step()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.always(SLOWLY)
        yield api


def begin(folder: Path, api: FakeApi, *, records: int = 800, workers: int = 3, **more: Any) -> Cluster:
    return Cluster(folder, api.url, workers=workers, users=9, TRAFFIC_FILE=records_file(folder, records), **more)


def await_posts(cluster: Cluster, api: FakeApi, count: int) -> None:
    cluster.until(lambda: api.count >= count, f"{count} POSTs")


def run_under_way(cluster: Cluster, api: FakeApi, posts: int = 60) -> str:
    """Start a run by the web form, and let it go on for a while; its id."""
    cluster.await_web(len(cluster.workers))
    assert cluster.swarm(9)["success"]
    await_posts(cluster, api, posts)
    return str(cluster.status["run"])


def check_once(posts: list[Post], records: int, *, again: int = 0) -> None:
    """Each record was sent, at most `again` of them twice; what was sent twice had no answer the first time."""
    sent = Counter(post.index for post in posts)
    assert sorted(sent) == list(range(records))
    twice = [index for index, times in sent.items() if times > 1]
    assert len(twice) <= again
    assert all(post.key.endswith(f"-{post.index}") for post in posts)


def check_completed(report: dict[str, Any], run: str, records: int) -> None:
    counts = report["counts"]
    assert (report["run"], report["state"]) == (run, "completed")
    assert counts["delivered"] == counts["records"] == records
    assert sum(row["delivered"] for row in report["workers"]) == records


def test_a_killed_master_goes_on_with_its_run_and_its_workers_hand_in_what_they_know(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api, web=True) as cluster:
        run = run_under_way(cluster, api)
        seed = cluster.status["seed"]
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log(f"run {run} is resumed")
        cluster.await_log(f"run {run} goes on")
        status = cluster.await_state("running")
        assert (status["run"], status["seed"]) == (run, seed)
        (resumed,) = status["resumed"]
        assert 0 < resumed["settled"] <= status["counts"]["delivered"]
        before = {post.key for post in api.posts()}
        everyone = set(cluster.await_ids())
        cluster.until(
            lambda: everyone <= {post.worker for post in api.posts() if post.key not in before}, "every worker goes on"
        )
        api.always(AT_ONCE)
        cluster.await_state("completed")
        check_completed(cluster.report, run, 800)
        assert cluster.report["resumed"] == [resumed]
        assert not list(cluster.state.glob("runs/*/journal*")), "a completed run needs no journal"
    # Every worker lived on: each attempt had its answer, and was booked by the new master.
    check_once(api.posts(), 800)


def test_a_headless_run_ends_by_itself_though_its_master_was_killed_twice(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api) as cluster:
        await_posts(cluster, api, 60)
        cluster.master.kill()
        cluster.restart_master()
        await_posts(cluster, api, 250)
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log("is resumed")
        api.always(AT_ONCE)
        assert cluster.wait() == 0
        report = cluster.report
        check_completed(report, report["run"], 800)
        first, second = (one["settled"] for one in report["resumed"])
        assert 0 < first < second
        assert report["timings"]["attempts"] == report["counts"]["attempts"] == 800, "over three masters"
        delivered = [row[report["timeline"]["columns"].index("delivered")] for row in report["timeline"]["rows"]]
        assert (delivered[0], delivered[-1]) == (0, 800), "from the first master's first sample on"
        assert delivered == sorted(delivered)
        assert report["rate"] == pytest.approx(800 / report["seconds"], abs=0.1)
    check_once(api.posts(), 800)


def test_where_the_workers_died_too_only_what_was_in_their_hands_is_sent_again(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api) as cluster:
        await_posts(cluster, api, 60)
        for process in (cluster.master, *cluster.workers):
            process.kill()
        sent = api.count
        cluster.restart_master()
        cluster.add_workers(3)
        cluster.await_log("is resumed")
        api.always(AT_ONCE)
        assert cluster.wait() == 0
        report = cluster.report
        check_completed(report, report["run"], 800)
        unknown = sent - report["resumed"][0]["settled"]
    check_once(api.posts(), 800, again=unknown)


def test_a_headless_run_goes_on_with_the_workers_that_are_left(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, workers=2) as cluster:
        await_posts(cluster, api, 60)
        cluster.workers[0].kill()
        cluster.master.kill()
        cluster.restart_master()  # which waits for two workers, by its options
        cluster.await_log("is resumed")
        api.always(AT_ONCE)
        assert cluster.wait() == 0
        check_completed(cluster.report, cluster.report["run"], 800)


def test_a_headless_master_that_is_killed_after_its_report_sends_nothing_again(tmp_path: Path, api: FakeApi) -> None:
    api.always(AT_ONCE)
    with begin(tmp_path, api) as cluster:
        cluster.until((cluster.state / "report.json").exists, "the report is written")
        cluster.master.kill()
        run = cluster.report["run"]
        cluster.restart_master()
        assert cluster.wait() == 0
        check_completed(cluster.report, run, 800)
        assert not list(cluster.state.glob("runs/*/journal*")), "now it could say so"
    check_once(api.posts(), 800)


def test_at_most_once_nothing_is_sent_again_and_what_was_in_hand_is_in_doubt(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, TRAFFIC_POLICY="at-most-once") as cluster:
        await_posts(cluster, api, 60)
        for process in (cluster.master, *cluster.workers):
            process.kill()
        cluster.restart_master()
        cluster.add_workers(3)
        cluster.await_log("is resumed")
        api.always(AT_ONCE)
        assert cluster.wait() == 3
        counts, letters = cluster.report["counts"], cluster.dead_letters
    sent = Counter(post.index for post in api.posts())
    assert max(sent.values()) == 1
    assert counts["delivered"] + counts["in_doubt"] == 800
    assert {letter["index"] for letter in letters} >= set(range(800)) - set(sent)
    assert {letter["outcome"] for letter in letters} == {"in_doubt"}
    assert all("the master was restarted" in letter["reason"] for letter in letters)


def stopped_run(cluster: Cluster, api: FakeApi) -> str:
    """A run that a person has stopped; its id."""
    run = run_under_way(cluster, api)
    cluster.stop()
    cluster.await_state("stopped")
    return run


def test_a_stopped_run_is_taken_up_from_the_form_and_only_what_was_unsent_is_sent(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, web=True) as cluster:
        run = stopped_run(cluster, api)
        first = cluster.report["counts"]
        assert first["unsent"] > 0
        assert cluster.status["target"] == {"host": api.url, "path": "/", "method": "POST"}
        # Neither the file anew, nor the run to another host, without a word; and nothing is sent by it.
        anew = cluster.swarm(9)
        assert (anew["success"], anew["again"]["run"]) == (False, run)
        assert anew["again"]["counts"]["left"] == first["unsent"]
        assert "press Start anew" in anew["message"]
        elsewhere = cluster.swarm(9, traffic_resume="last", host="http://127.0.0.1:9")
        assert not elsewhere["success"]
        assert elsewhere["other_host"] == {"run": run, "before": api.url, "asked": "http://127.0.0.1:9"}
        assert cluster.status["state"] == "stopped"
        assert cluster.swarm(9, traffic_resume="last")["success"]
        astray = cluster.swarm(9, host="http://127.0.0.1:9")
        assert (astray["success"], "A live run sends to one host" in astray["message"]) == (False, True)
        api.always(AT_ONCE)
        cluster.await_state("completed")
        check_completed(cluster.report, run, 800)
        assert cluster.report["resumed"][0]["settled"] == first["delivered"]
        check_once(api.posts(), 800)
        # The field is empty again: the next Start is a new run.
        api.forget()
        assert cluster.swarm(9)["success"]
        cluster.until(lambda: a_run_that_ended(cluster, besides=[run]), "another run ends")
    check_once(api.posts(), 800)


def test_a_stopped_run_is_left_alone_by_a_new_master_unless_it_is_told(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, web=True) as cluster:
        run = stopped_run(cluster, api)
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_web(3)
        assert cluster.status["state"] == "ready"
        (row,) = runs(cluster)
        assert (row["run"], row["state"], row["resumable"]) == (run, "stopped", True)
        cluster.master.kill()
        api.always(AT_ONCE)
        cluster.restart_master("--traffic-resume", run)
        cluster.await_log(f"run {run} is resumed")
        cluster.await_state("completed")
        check_completed(cluster.report, run, 800)
    check_once(api.posts(), 800)


def test_a_new_run_can_be_begun_instead_and_the_workers_of_the_old_one_serve_it(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, web=True) as cluster:
        old = run_under_way(cluster, api)
        cluster.master.kill()
        api.always(AT_ONCE)
        cluster.restart_master(TRAFFIC_RESUME="no")
        cluster.until(lambda: "reported as ready. 3 workers" in cluster.master.log, "the workers are back")
        api.forget()
        answer = cluster.swarm(9, traffic_resume="")
        assert not answer["success"]
        assert f"run {old} was cut off" in answer["message"]
        assert cluster.swarm(9, traffic_resume="no")["success"]
        report = cluster.await_state("completed")
        assert report["run"] != old
        assert [(row["run"] == old, row["state"]) for row in runs(cluster)] == [(False, "completed"), (True, "stopped")]
    check_once(api.posts(), 800)


def runs(cluster: Cluster) -> list[dict[str, Any]]:
    rows = plain_http.get(f"{cluster.web}/traffic/runs").json()["runs"]
    assert [row["run"] for row in rows] == sorted((row["run"] for row in rows), reverse=True)
    return list(rows)


def a_run_that_ended(cluster: Cluster, besides: list[str]) -> str:
    status = cluster.status
    return str(status["run"]) if status["ended"] and status["run"] not in besides else ""


def test_past_runs_are_listed_and_so_many_are_kept(tmp_path: Path, api: FakeApi) -> None:
    api.always(AT_ONCE)
    with begin(tmp_path, api, records=20, workers=1, web=True, TRAFFIC_KEEP_RUNS=2) as cluster:
        cluster.await_web(1)
        made: list[str] = []
        for _ in range(3):
            assert cluster.swarm(2)["success"]
            made.append(cluster.until(lambda: a_run_that_ended(cluster, besides=made), "it ends"))
        rows = runs(cluster)
        assert [row["run"] for row in rows] == sorted(made[1:], reverse=True)
        assert {row["state"] for row in rows} == {"completed"}
        assert {row["counts"]["delivered"] for row in rows} == {20}
        assert not any(row["resumable"] for row in rows)
        report = plain_http.get(f"{cluster.web}/traffic/report", params={"run": made[1]}).json()
        assert report["run"] == made[1]
        assert plain_http.get(f"{cluster.web}/traffic/report", params={"run": made[0]}).status_code == 404
    assert json.loads((cluster.state / "report.json").read_text())["run"] == made[-1]
