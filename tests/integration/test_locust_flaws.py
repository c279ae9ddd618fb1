"""What Locust 2.47 does by itself when workers come and go, and that a run does not suffer from it.

Each flaw is shown on a plain locustfile, so that a release of Locust that mends it fails here, and what works around
it can go. `test_faults.py` has the cures that need a whole fault: there the last worker of a run is lost.
"""

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import plain_http
from support.cluster import ROOT, Cluster, Process, records_file
from support.deadlines import until
from support.fake_api import FakeApi, Step, fake_api
from support.mongod import free_port
from support.stranger import stranger

pytestmark = pytest.mark.timeout(180)

BEGINS = "a user begins"
PLAIN = """
from locust import User, constant, task

class Plain(User):
    wait_time = constant(0.1)

    def on_start(self):
        print("a user begins", flush=True)

    @task
    def nothing(self):
        pass
"""
OURS = """
from traffic import RecordUser, task

class Posting(RecordUser):
    def on_start(self):
        print("a user begins", flush=True)

    @task
    def post(self):
        self.deliver_next()
"""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.always(Step(delay=0.1))
        yield api


def await_users(cluster: Cluster, count: int) -> None:
    """Wait until so many users have begun. (Locust's log says so only if the workers' reports come in time.)"""
    cluster.until(lambda: sum(one.log.count(BEGINS) for one in cluster.workers) >= count, f"{count} users begin")


def passes(seconds: float) -> None:
    """Let time pass in which something is not to happen: that has no condition to wait for."""
    time.sleep(seconds)


def stays(cluster: Cluster, seconds: float) -> bool:
    """Return whether the master is still there after so many seconds."""
    passes(seconds)
    return cluster.master.alive


def all_once(cluster: Cluster, api: FakeApi, records: int) -> bool:
    """Whether the run ended by itself with every record delivered and sent once."""
    code = cluster.wait()
    sent = Counter(post.index for post in api.posts())
    return code == 0 and sent == dict.fromkeys(range(records), 1)


# Without --enable-rebalancing, only the first worker that joins makes Locust share its users out again.


@pytest.mark.slow
def test_a_later_worker_gets_no_users_from_plain_locust(tmp_path: Path) -> None:
    with Cluster(tmp_path, "http://127.0.0.1", plain=True, workers=1, users=6, locustfile=PLAIN) as cluster:
        await_users(cluster, 6)
        for joined in (2, 3):
            cluster.add_workers(1)
            cluster.await_log(f"{joined} workers connected")
            passes(2)
        assert BEGINS in cluster.workers[1].log
        assert BEGINS not in cluster.workers[2].log


def test_every_later_worker_gets_users_of_ours(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, 3000)
    with Cluster(tmp_path, api.url, workers=1, users=6, locustfile=OURS, TRAFFIC_FILE=file) as cluster:
        cluster.until(lambda: api.count, "records are sent")
        for _ in range(2):
            (joined,) = cluster.add_workers(1)
            cluster.until(partial(lambda worker: BEGINS in worker.log, joined), "it has users")
        assert set(cluster.await_ids()) >= {post.worker for post in api.posts()}
        api.always(Step())
        assert all_once(cluster, api, 3000)
        assert all(row["delivered"] for row in cluster.report["workers"]), cluster.report


# A minute after a worker was lost (shortened here), Locust starts all users again, from none, at the spawn rate.

PURGE_SOON = """
import locust.runners
locust.runners.HEARTBEAT_DEAD_INTERNAL = -2
"""
TWO_A_SECOND = ("--enable-rebalancing", "-r", "2")


def lose_one_of_two(cluster: Cluster, users: int) -> None:
    """Kill a worker once there are so many users, and wait until Locust knows."""
    await_users(cluster, users)
    cluster.workers[0].kill()
    cluster.await_log("setting state to missing")


def begun(cluster: Cluster) -> int:
    """How many users the healthy worker has begun."""
    return cluster.workers[1].log.count(BEGINS)


@pytest.mark.slow
def test_plain_locust_restarts_the_users_of_healthy_workers_and_hangs_without_a_worker(tmp_path: Path) -> None:
    users = 4
    with Cluster(
        tmp_path, "http://127.0.0.1", plain=True, users=users, locustfile=PURGE_SOON + PLAIN, options=TWO_A_SECOND
    ) as cluster:
        lose_one_of_two(cluster, users)
        cluster.until(lambda: begun(cluster) > users, "users of a healthy worker begin anew", 15)
        cluster.workers[1].kill()
        cluster.await_log("The last worker went missing, stopping test.")
        # Ours: test_a_run_that_nobody_serves_any_more_ends_with_a_report.
        assert stays(cluster, 4)


def test_users_of_healthy_workers_go_on_where_the_purge_is_out_of_reach(tmp_path: Path, api: FakeApi) -> None:
    users, file = 4, records_file(tmp_path, 1000)
    with Cluster(
        tmp_path, api.url, users=users, locustfile=PURGE_SOON + OURS, options=TWO_A_SECOND, TRAFFIC_FILE=file
    ) as cluster:
        lose_one_of_two(cluster, users)
        cluster.until(lambda: begun(cluster) == users, "the healthy worker has all users")
        passes(5)
        assert begun(cluster) == users
        api.always(Step())
        assert cluster.wait() == 0, cluster.master.log
        assert cluster.report["counts"]["delivered"] == 1000


# A worker's users, and what is sent to it, can come before its own `init` is over.

LATE_INIT = """
from gevent.event import Event
from locust import events
from locust.runners import WorkerRunner

all_there = Event()
events.spawning_complete.add_listener(lambda **_: all_there.set())

@events.init.add_listener
def _late(runner, **_):
    if isinstance(runner, WorkerRunner):
        assert all_there.wait(60), "the master says that the users have begun"
        print("init goes on", flush=True)
"""
DEALING = """
@events.init.add_listener
def _register(environment, runner, **_):
    def deal(**_):
        runner.send_message("deal", {"records": [1, 2, 3]})

    def on_deal(**_):
        print("dealt", flush=True)

    if isinstance(runner, WorkerRunner):
        runner.register_message("deal", on_deal)
    else:
        environment.events.test_start.add_listener(deal)
"""


@pytest.mark.slow
def test_plain_locust_drops_what_is_dealt_before_init(tmp_path: Path) -> None:
    text = LATE_INIT + DEALING + PLAIN
    with Cluster(tmp_path, "http://127.0.0.1", plain=True, workers=1, locustfile=text) as cluster:
        log = lambda: cluster.workers[0].log  # noqa: E731
        cluster.until(lambda: "init goes on" in log(), "the worker's init is over")
        assert "Unknown message type received: deal" in log()
        assert log().index(BEGINS) < log().index("init goes on")
        passes(2)
        assert "dealt" not in log()


def test_users_that_begin_before_init_wait_for_records(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, 100)
    with Cluster(tmp_path, api.url, locustfile=LATE_INIT + OURS, TRAFFIC_FILE=file) as cluster:
        assert all_once(cluster, api, 100), cluster.master.log
        for worker in cluster.workers:
            assert worker.log.index(BEGINS) < worker.log.index("init goes on")


# A test whose users have all ended by StopUser continues without any. Every headless run of ours ends so.

ENDING = """
from locust import User, task
from locust.exception import StopUser

class Ending(User):
    @task
    def end(self):
        print("a user ends", flush=True)
        raise StopUser
"""


@pytest.mark.slow
def test_plain_locust_does_not_end_when_every_user_has(tmp_path: Path) -> None:
    with Cluster(tmp_path, "http://127.0.0.1", plain=True, workers=1, users=4, locustfile=ENDING) as cluster:
        cluster.until(lambda: cluster.workers[0].log.count("a user ends") == 4, "every user has ended")
        assert stays(cluster, 5)


# With a stop timeout, workers are not ready for the next Start until it has passed once more.

STOP_TIMEOUT_S = 20
STOP_TIMEOUT = ("--stop-timeout", str(STOP_TIMEOUT_S))
# Longer than any test waits: whoever waits for it does not start.
NO_END = ("--stop-timeout", "86400")


@pytest.mark.slow
def test_plain_locust_starts_nothing_right_after_a_stop(tmp_path: Path) -> None:
    with Cluster(
        tmp_path, "http://127.0.0.1", plain=True, workers=1, web=True, locustfile=PLAIN, options=STOP_TIMEOUT
    ) as cluster:
        cluster.await_web(1)
        cluster.swarm(8)
        await_users(cluster, 8)
        cluster.stop()
        assert cluster.swarm()["success"], "it says that it starts"
        cluster.await_log("You can't start a distributed test before", STOP_TIMEOUT_S)


def test_ours_starts_right_after_the_end_and_after_a_stop(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, 40)
    with Cluster(tmp_path, api.url, web=True, locustfile=OURS, options=NO_END, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(2)
        runs = []
        for stop in (False, True, False):
            assert cluster.swarm(traffic_again="yes")["success"]
            if stop:
                cluster.until(partial(lambda before: api.count > before, api.count), "records are sent")
                cluster.stop()
            runs.append(cluster.await_state("stopped" if stop else "completed")["run"])
        assert len(set(runs)) == 3


def test_a_start_waits_for_workers_that_have_stopped_and_are_about_to_register_again(
    tmp_path: Path, api: FakeApi
) -> None:
    late: dict[str, object] = {"LOCUST_WORKER_ADDITIONAL_WAIT_BEFORE_READY_AFTER_STOP": 2}
    file = records_file(tmp_path, 40)
    with Cluster(tmp_path, api.url, web=True, locustfile=OURS, TRAFFIC_FILE=file, **late) as cluster:  # type: ignore[arg-type]
        cluster.await_web(2)
        assert cluster.swarm()["success"]
        cluster.await_state("completed")
        cluster.until(lambda: cluster.master.log.count("reported that it has stopped") == 2, "both have stopped")
        assert cluster.swarm()["success"]
        cluster.await_state("completed")
    assert api.count == 80


# A stop that a worker reads right behind its start is lost on it: its users begin in a test that is over, and it reads
# nothing more for the stop timeout. (The first test that a worker has is ended rightly.)

BOTH_AT_ONCE = """
import signal
import time
import gevent
from locust import events
from locust.rpc import Message

@events.init.add_listener
def _attend(environment, runner, **_):
    def read_both():
        start = {
            "timestamp": time.time(),
            "user_classes_count": dict.fromkeys(runner.user_classes_by_name, 4),
            "host": environment.host,
            "stop_timeout": 600,
            "parsed_options": dict(vars(environment.parsed_options)),
        }
        runner.handle_message(Message("spawn", start, runner.client_id))
        runner.handle_message(Message("stop", None, runner.client_id))
        print("both were read", flush=True)

    gevent.signal_handler(signal.SIGUSR1, read_both)
"""


def read_both(cluster: Cluster) -> None:
    """Have each worker read a start and the stop behind it."""
    for worker in cluster.workers:
        worker.send(signal.SIGUSR1)


def both_are_read(cluster: Cluster) -> int:
    """Return how many workers have handled the start and the stop behind it."""
    return sum("both were read" in worker.log for worker in cluster.workers)


@pytest.mark.slow
def test_plain_locust_begins_users_where_a_stop_follows_its_start_at_once(tmp_path: Path) -> None:
    with Cluster(tmp_path, "http://127.0.0.1", plain=True, web=True, locustfile=BOTH_AT_ONCE + PLAIN) as cluster:
        cluster.await_web(2)
        cluster.swarm(8)
        await_users(cluster, 8)
        cluster.stop()
        cluster.until(lambda: cluster.master.log.count("reported that it has stopped") == 2, "they have stopped")
        cluster.await_web(2)
        read_both(cluster)
        await_users(cluster, 16)
        passes(2)
        assert both_are_read(cluster) == 0, "they are deaf for ten minutes"


def test_ours_ends_a_start_that_a_stop_follows_at_once(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, 40)
    with Cluster(tmp_path, api.url, web=True, locustfile=BOTH_AT_ONCE + OURS, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(2)
        assert cluster.swarm()["success"]
        cluster.await_state("completed")
        cluster.await_startable()
        read_both(cluster)
        cluster.until(lambda: both_are_read(cluster) == 2, "both are read")
        gone = "reported that it has stopped"
        cluster.until(lambda: cluster.master.log.count(gone) == 4, "their users have ended once more")
        cluster.await_startable()
        cluster.await_web(2)
        assert cluster.swarm()["success"]
        assert all(row["delivered"] for row in cluster.await_state("completed")["workers"])
    assert api.count == 80


# When a worker comes or goes, Locust shares the users out again, and reads nothing for a second. And it
# counts a worker that registers again as one more, with a share of its own.

AGAIN = """
import signal
import gevent
from locust import __version__, events
from locust.rpc import Message

@events.init.add_listener
def _attend(runner, **_):
    def register_again():
        for _ in range(5):
            runner.client.send(Message("client_ready", __version__, runner.client_id))
        print("registered again", flush=True)

    gevent.signal_handler(signal.SIGUSR1, register_again)
"""


def shares(cluster: Cluster) -> list[int]:
    """How many users each worker has, the most first."""
    rows = plain_http.get(f"{cluster.web}/stats/requests").json()["workers"]
    return sorted((row["user_count"] for row in rows), reverse=True)


def register_again(cluster: Cluster) -> None:
    """Have the first worker say five times more that it is ready, once the users run, evenly shared."""
    cluster.until(lambda: shares(cluster) == [4, 4], "the users run")
    shared = cluster.master.log.count("Sending spawn jobs")
    cluster.workers[0].send(signal.SIGUSR1)
    cluster.until(lambda: "registered again" in cluster.workers[0].log, "it has registered again")
    cluster.until(lambda: cluster.master.log.count("Sending spawn jobs") > shared, "they are shared out anew")


@pytest.mark.slow
def test_plain_locust_is_deaf_where_a_worker_registers_again(tmp_path: Path) -> None:
    options = ("--enable-rebalancing",)
    with Cluster(
        tmp_path, "http://127.0.0.1", plain=True, web=True, locustfile=AGAIN + PLAIN, options=options
    ) as cluster:
        cluster.await_web(2)
        cluster.swarm(8)
        register_again(cluster)
        cluster.await_log("failed to send heartbeat, setting state to missing")


def test_ours_shares_users_evenly_where_a_worker_registers_again(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    file = records_file(tmp_path, 400)
    with Cluster(tmp_path, api.url, web=True, locustfile=AGAIN + OURS, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8)["success"]
        register_again(cluster)
        cluster.until(lambda: api.count > 100, "they go on")
        assert shares(cluster) == [4, 4]
        assert [worker.log.count(BEGINS) for worker in cluster.workers] == [4, 4], "nobody had to begin anew"
        api.always(Step())
        assert all(row["delivered"] for row in cluster.await_state("completed")["workers"])
        assert "setting state to missing" not in cluster.master.log
    assert api.count == 400


def test_many_workers_that_join_a_run_at_once_cost_nobody_a_lease(tmp_path: Path, api: FakeApi) -> None:
    records, joining = 6000, 6
    file = records_file(tmp_path, records)
    with Cluster(tmp_path, api.url, web=True, workers=1, locustfile=OURS, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(1)
        assert cluster.swarm(20)["success"]
        cluster.until(lambda: api.count > 50, "records are sent")
        cluster.add_workers(joining)
        cluster.until(lambda: len({post.worker for post in api.posts()}) == joining + 1, "all of them send")
        api.always(Step())
        counts = cluster.await_state("completed")["counts"]
        assert (counts["delivered"], counts["attempts"], counts["resent"]) == (records, records, 0)
        assert "reclaimed" not in cluster.master.log
        assert "setting state to missing" not in cluster.master.log
    assert api.count == records


# A host with a slash at its end makes FastHttpUser ask for "//": it sends nothing, and the statistics do not say so.

FAST = """
from locust import FastHttpUser, constant, task

class Fast(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def post(self):
        print("a user posts", flush=True)
        self.client.post("/", data=b"{}", headers={"Idempotency-Key": "plain-0"})
"""


@pytest.mark.slow
def test_plain_locust_sends_nothing_to_a_host_with_a_slash_at_its_end(tmp_path: Path, api: FakeApi) -> None:
    with Cluster(
        tmp_path, f"{api.url}/", plain=True, workers=1, web=True, locustfile=FAST, options=("--autostart", "-u", "4")
    ) as cluster:
        cluster.until(lambda: cluster.workers[0].log.count("a user posts") > 20, "users have tried")
        with contextlib.suppress(httpx.TransportError):
            assert plain_http.get(f"{cluster.web}/stats/requests").json()["stats"][0]["num_requests"] == 0
        assert api.count == 0


@pytest.mark.parametrize("asked", ["option", "form"])
def test_ours_sends_to_a_host_with_a_slash_at_its_end(asked: str, tmp_path: Path, api: FakeApi) -> None:
    file, host = records_file(tmp_path, 40), f"{api.url}/"
    with Cluster(tmp_path, host, web=True, workers=1, locustfile=OURS, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(1)
        form: dict[str, Any] = {"host": host} if asked == "form" else {}
        assert cluster.swarm(**form)["success"]
        report = cluster.until(lambda: cluster.status["ended"] and cluster.status, "the run ends")
    assert report["counts"]["delivered"] == api.count == 40


def test_a_worker_without_a_master_says_so_where_plain_locust_is_silent(tmp_path: Path) -> None:
    port = str(free_port())
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "locust"), "PYTHONUNBUFFERED": "1"}
    started = []
    for name, text in {"plain": PLAIN, "ours": OURS}.items():
        (tmp_path / f"{name}.py").write_text(text)
        command = ["-f", f"{name}.py", "--worker", "--master-port", port]
        started.append(Process(name, command, env, tmp_path))
    plain, ours = started
    try:
        until(lambda: "no master has answered this worker at 127.0.0.1:" in ours.log, "it says so", 30)
        assert f"{port} for 3 s: it cannot be reached (Connection refused); start the master, or check" in ours.log
        assert "connect" not in plain.log
    finally:
        for one in started:
            one.kill()


# One frame that is no message of Locust's ends the master's receive loop.


@pytest.mark.slow
def test_one_odd_frame_ends_plain_locusts_receive_loop(tmp_path: Path) -> None:
    with Cluster(tmp_path, "http://127.0.0.1", plain=True, workers=0, expect=1, locustfile=PLAIN) as cluster:
        with stranger(cluster.port, b"stranger", secret="") as socket:
            socket.send(b"\xc1")
            # Ours: test_no_frame_ends_the_masters_receive_loop.
            cluster.await_log("Unhandled exception in greenlet")
        assert "client_listener" in cluster.master.log
