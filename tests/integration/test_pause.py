"""A person pauses a run and lets it go on: nothing is sent meanwhile, nothing is lost, each record is POSTed once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import LOCUSTFILE, Cluster, records_file, slow_but
from support.deadlines import tries
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

# Both acts by HTTP, and how many acks have come from each worker.
PRESSABLE = """
from collections import Counter

from locust import events
from traffic import master_of
from traffic.errors import ActRefusedError

@events.init.add_listener
def _pressable(environment, runner, **_):
    master = master_of(environment)
    if master is None or environment.web_ui is None:
        return
    acks = Counter()
    take, concurrent = runner.custom_messages["traffic.ack"]

    def count(msg, **more):
        acks[msg.node_id] += 1
        take(msg=msg, **more)

    def view(act):
        def answer():
            try:
                act()
            except ActRefusedError as error:
                return str(error), 409
            return "", 204
        return answer

    runner.custom_messages["traffic.ack"] = (count, concurrent)
    add = environment.web_ui.app.add_url_rule
    add("/test/acks", "test_acks", lambda: dict(acks))
    add("/test/pause", "test_pause", view(master.pause), methods=["POST"])
    add("/test/go-on", "test_go_on", view(master.unpause), methods=["POST"])
"""
RECORDS, USERS_IN_ALL = 400, 9
# In so many acks, four a second while something is held, leases would lapse if they were not renewed: after 5 s.
LAPSE_ACKS = 24
SLOWLY, AT_ONCE = Step(delay=0.1), Step()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.always(SLOWLY)
        yield api


def begin(folder: Path, api: FakeApi, locustfile: str = LOCUSTFILE, **more: Any) -> Cluster:
    file = records_file(folder, RECORDS)
    return Cluster(folder, api.url, workers=3, web=True, locustfile=PRESSABLE + locustfile, TRAFFIC_FILE=file, **more)


def run_under_way(cluster: Cluster, api: FakeApi) -> str:
    """Start a run by the web form, and let it go on for a while; its id."""
    cluster.await_web(len(cluster.workers))
    assert cluster.swarm(USERS_IN_ALL)["success"]
    everyone = set(cluster.await_ids())
    cluster.until(lambda: everyone <= {post.worker for post in api.posts()}, "every worker sends")
    cluster.until(lambda: cluster.status["counts"]["leased"] > 2 * USERS_IN_ALL, "the workers hold more than they send")
    return str(cluster.status["run"])


def press(cluster: Cluster, what: str) -> str:
    """Return why it was refused; empty if it was not."""
    answer = plain_http.post(f"{cluster.web}/test/{what}")
    assert answer.status_code in (204, 409)
    return str(answer.text)


def await_acks(cluster: Cluster, each: int) -> None:
    """Wait until every worker that lives has acked so many times more."""
    cluster.await_ids()
    acks = lambda: dict(plain_http.get(f"{cluster.web}/test/acks").json())  # noqa: E731
    alive = [worker.id for worker in cluster.workers if worker.alive]
    before = acks()
    cluster.until(
        lambda: all(acks().get(name, 0) >= before.get(name, 0) + each for name in alive), f"{each} acks of each worker"
    )


def pause(cluster: Cluster, api: FakeApi) -> int:
    """Press pause; wait until every worker knows of it and has reported all outcomes. Return how many POSTs came."""
    assert press(cluster, "pause") == ""
    await_acks(cluster, 2)
    cluster.until(lambda: all(post.done for post in api.posts()), "what was in flight is answered")
    sent = api.count
    cluster.until(lambda: cluster.status["counts"]["delivered"] == sent, "all that was sent is booked")
    assert cluster.status["state"] == "paused"
    return sent


def pause_holding(cluster: Cluster, api: FakeApi) -> int:
    """As `pause`, at a moment when every worker holds records: on a busy machine one may have used up its lease."""
    for _ in tries():
        sent = pause(cluster, api)
        if all(row["leased"] for row in cluster.status["workers"]):
            return sent
        unpause(cluster, api)
    raise TimeoutError("at every pause a worker held nothing")


def unpause(cluster: Cluster, api: FakeApi) -> None:
    """Press "go on", and wait until records are sent again."""
    sent = api.count
    assert press(cluster, "go-on") == ""
    cluster.until(lambda: api.count > sent, "records are sent again")


def check_once(cluster: Cluster, api: FakeApi, run: str) -> None:
    """The run is completed, and each record was POSTed once."""
    report = cluster.await_state("completed")
    assert Counter(post.key for post in api.posts()) == {f"{run}-{index}": 1 for index in range(RECORDS)}
    assert (report["run"], report["counts"]["delivered"]) == (run, RECORDS)
    assert report["paused_by_person"] is False


@pytest.mark.parametrize("locustfile", slow_but("RecordUser"))
def test_nothing_is_sent_in_a_pause_leases_stay_and_each_record_is_posted_once(
    locustfile: str, tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api, locustfile) as cluster:
        run = run_under_way(cluster, api)
        sent = pause_holding(cluster, api)
        leased = cluster.status["counts"]["leased"]
        assert 0 < sent < RECORDS
        await_acks(cluster, LAPSE_ACKS)
        assert api.count == sent
        status = cluster.until(lambda: cluster.status["rate"] == 0 and cluster.status, "its rate falls to nothing")
        assert (status["counts"]["leased"], status["counts"]["delivered"]) == (leased, sent)
        assert (status["reason"], status["paused_by_person"], status["eta_s"]) == ("paused by a person", True, None)
        for _ in range(3):
            unpause(cluster, api)
            pause(cluster, api)
        api.always(AT_ONCE)
        assert press(cluster, "go-on") == ""
        check_once(cluster, api, run)
        counts, log = cluster.report["counts"], cluster.master.log
    assert (counts["attempts"], counts["resent"]) == (RECORDS, 0)
    assert "reclaimed" not in log
    assert "pending again" not in log
    assert log.count(f"run {run} is paused by a person") == log.count(f"run {run} goes on, as a person wants it") >= 4


def test_what_a_worker_held_that_is_killed_in_a_pause_goes_to_others_after_it(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api) as cluster:
        run = run_under_way(cluster, api)
        sent = pause_holding(cluster, api)
        victim = cluster.workers[0]
        victim.kill()
        cluster.await_log(f"reclaimed from {victim.id}")
        (newcomer,) = cluster.add_workers(1)
        await_acks(cluster, 8)
        assert api.count == sent
        assert cluster.status["paused_by_person"]
        assert press(cluster, "go-on") == ""
        cluster.until(lambda: newcomer.id in {post.worker for post in api.posts()}, "the newcomer takes part")
        api.always(AT_ONCE)
        # All that was sent had its answer before: what the victim held was still to be sent.
        check_once(cluster, api, run)


def test_a_run_stays_paused_over_a_kill_of_its_master_until_a_person_lets_it_go_on(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api) as cluster:
        run = run_under_way(cluster, api)
        sent = pause(cluster, api)
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log(f"run {run} is still paused by a person")
        cluster.await_log(f"run {run} waits, paused, with its users")
        cluster.until(lambda: cluster.status["reason"] == "paused by a person", "its workers are back")
        await_acks(cluster, LAPSE_ACKS)
        status = cluster.status
        assert (status["run"], status["state"], status["paused_by_person"]) == (run, "paused", True)
        assert status["resumed"][0]["settled"] == sent == api.count
        assert press(cluster, "go-on") == ""
        api.always(AT_ONCE)
        check_once(cluster, api, run)


def test_a_headless_master_lets_a_paused_run_go_on(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api) as cluster:
        run = run_under_way(cluster, api)
        pause(cluster, api)
        cluster.master.kill()
        api.always(AT_ONCE)
        cluster.restart_master("--headless", "-u", "9", "-r", "100")
        cluster.await_log(f"run {run} had been paused by a person; it goes on")
        assert cluster.wait() == 0
        report = cluster.report
    assert (report["run"], report["counts"]["delivered"]) == (run, RECORDS)
    assert Counter(Counter(post.index for post in api.posts()).values()) == {1: RECORDS}


def test_stop_ends_a_paused_run_and_hands_everything_back(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api) as cluster:
        run_under_way(cluster, api)
        sent = pause(cluster, api)
        cluster.stop()
        report = cluster.await_state("stopped")
        counts = report["counts"]
        assert (counts["delivered"], counts["unsent"], counts["in_doubt"]) == (sent, RECORDS - sent, 0)
        assert (report["paused_by_person"], api.count) == (False, sent)
        # It is resumed as a run that goes on: the pause ended with it.
        api.always(AT_ONCE)
        assert cluster.swarm(9, traffic_resume="last")["success"]
        check_once(cluster, api, report["run"])


def test_a_paused_run_without_workers_is_not_given_up_goes_on_with_others_and_can_be_stopped(
    tmp_path: Path, api: FakeApi
) -> None:
    with begin(tmp_path, api, TRAFFIC_GIVE_UP=2) as cluster:
        run_under_way(cluster, api)
        sent = pause(cluster, api)
        for worker in cluster.workers:
            worker.kill()
        both = "paused by a person; no worker is there"
        cluster.until(lambda: cluster.status["reason"] == both, "the workers are missed")
        told = cluster.master.log.count("progress: ")
        cluster.until(lambda: cluster.master.log.count("progress: ") > told + 1, "more than five seconds pass")
        assert (cluster.status["state"], cluster.status["reason"]) == ("paused", both)
        cluster.add_workers(2)
        cluster.until(lambda: cluster.status["reason"] == "paused by a person", "others come")
        await_acks(cluster, 4)
        assert api.count == sent
        unpause(cluster, api)
        sent = pause(cluster, api)
        for worker in cluster.workers:
            if worker.alive:
                worker.kill()
        cluster.until(lambda: cluster.status["reason"] == both, "these are missed, too")
        cluster.stop()
        counts = cluster.await_state("stopped")["counts"]
    assert counts["delivered"] == sent == api.count
    assert max(Counter(post.index for post in api.posts()).values()) == 1


def test_what_cannot_be_done_is_refused(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api) as cluster:
        cluster.await_web(3)
        assert press(cluster, "pause") == "There is no run to pause."
        run = run_under_way(cluster, api)
        assert press(cluster, "go-on") == f"Run {run} is not paused by a person."
        assert press(cluster, "pause") == ""
        assert press(cluster, "pause") == f"Run {run} is paused already."
        assert press(cluster, "go-on") == ""
        api.always(AT_ONCE)
        check_once(cluster, api, run)
        assert press(cluster, "go-on") == "There is no run to let go on."
