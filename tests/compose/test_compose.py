"""The whole stack in containers, with the real MongoDB: `docker compose up --scale worker=4`."""

import re
from collections import Counter

import httpx
import pytest

from compose.judge import assert_locked_down
from compose.stack import MONGO, RECORDS, Stack, docker, running, until
from support.deadlines import stretched

pytestmark = pytest.mark.timeout(900)  # the first start builds two images


def test_all_is_healthy_and_the_password_maker_is_done(stack):
    expected = {
        ("secrets", "exited", ""): 1,
        ("mongo", "running", "healthy"): 1,
        ("api", "running", "healthy"): 1,
        ("front", "running", "healthy"): 1,
        ("master", "running", "healthy"): 1,
        ("worker", "running", "healthy"): 4,
    }

    def all_healthy() -> bool:  # one that another test has started again may be on its way
        return Counter((one["Service"], one["State"], one["Health"]) for one in stack.containers()) == expected

    until("all is healthy", 60, all_healthy)


def test_the_workers_port_and_the_database_are_not_published(stack):
    published = {
        (one["Service"], port["URL"], port["TargetPort"])
        for one in stack.containers()
        for port in one["Publishers"] or []
        if port["PublishedPort"]
    }
    assert published == {("front", "127.0.0.1", 4000), ("master", "127.0.0.1", 8089)}


@pytest.mark.parametrize("service", ["mongo", "api", "front", "master", "worker"])
def test_no_process_has_root_a_capability_or_a_root_file_system_to_write_to(stack, service):
    assert_locked_down(stack, service)


def test_the_image_holds_the_program_and_nothing_that_lay_beside_it(stack):
    assert set(stack.run("worker", "ls", "-A", "/app").split()) == {"channel", "data", "locust", "secrets", "state"}
    assert stack.run("worker", "ls", "-A", "/app/data") == ""
    # Mounted, into workers alone, and nobody writes there.
    assert "Read-only file system" in stack.run("worker", "sh", "-c", "touch secrets/x 2>&1 || true")
    assert stack.run("master", "sh", "-c", "ls -A secrets 2>/dev/null || true") == ""


def test_the_master_keeps_its_state_in_a_volume_that_it_can_write_to_and_data_that_it_cannot(stack):
    stack.run("master", "sh", "-c", "touch state/.probe && rm state/.probe")
    assert "Read-only file system" in stack.run("master", "sh", "-c", "touch data/x 2>&1 || true")


def test_the_database_asks_for_the_password_that_was_made_at_the_start(stack):
    refused = stack.run(
        "mongo",
        *("mongosh", "--quiet", "--norc", MONGO, "--eval"),
        "try { db.messages.findOne(); print('open') } catch (e) { print(e.codeName) }",
    )
    assert refused == "Unauthorized"
    password = stack.run("mongo", "cat", "/data/configdb/password")
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", password)
    assert password not in stack.logs()


def test_the_workers_cannot_reach_the_database(stack):
    script = "import socket; socket.create_connection(('mongo', 27017), 3)"
    assert stack.compose("exec", "-T", "worker", "python", "-c", script, check=False).returncode != 0


def test_another_password_than_the_databases_own_is_refused_with_the_remedy(stack):
    other = Stack(stack.project, {**stack.env, "MONGO_PASSWORD": "another"})
    done = other.compose("run", "--rm", "--no-deps", "secrets", check=False)
    assert done.returncode == 1
    assert "docker compose down -v" in done.stderr + done.stdout
    same = Stack(stack.project, {**stack.env, "MONGO_PASSWORD": stack.run("mongo", "cat", "/data/configdb/password")})
    same.compose("run", "--rm", "--no-deps", "secrets")


def test_start_delivers_every_record_once_and_again_under_a_new_run_id(stack, check_delivered):
    last = stack.master("/traffic/status").get("run")
    stack.ready(4)
    for _ in range(2):
        assert stack.start()["success"]
        status = stack.ended(after=last)
        assert status["run"] != last
        last = status["run"]
        check_delivered(status)


@pytest.mark.parametrize("host", ["http://localhost:4000", "http://127.0.0.1:4000", "http://[::1]:4000"])
def test_localhost_is_refused_at_once_with_what_to_write(stack, host):
    said = stack.start(host=host)
    assert said["success"] is False
    assert "http://api:4000 for the API stub" in said["message"]
    assert "http://host.docker.internal:4000" in said["message"]


def test_while_the_api_is_away_the_run_waits_and_no_attempt_counts_against_a_record(stack):
    last = stack.master("/traffic/status").get("run")
    stack.ready(4)
    stack.compose("stop", "api")
    try:
        assert stack.start(traffic_wait="0")["host"] == "http://api:4000"
        away = until("it says so", 60, lambda: pause_of(stack, last))
    finally:
        stack.compose("start", "api")
    assert away.startswith("the API cannot be reached")
    status = stack.ended(after=last)
    assert (status["state"], status["counts"]["delivered"]) == ("completed", RECORDS)


def pause_of(stack: Stack, last: str | None) -> str:
    """Why the run after `last` is paused; empty if it is not."""
    now = stack.master("/traffic/status")
    return str(now["reason"]) if now.get("run") != last and now["state"] == "paused" else ""


def healthy_workers(stack: Stack) -> int:
    return sum(one["Service"] == "worker" and one["Health"] == "healthy" for one in stack.containers())


def test_a_worker_that_is_stopped_in_mid_run_hands_in_its_acks_so_that_nothing_is_sent_twice(stack):
    last = stack.master("/traffic/status").get("run")
    stack.ready(4)
    stack.start(traffic_wait="0.8-1.2")

    def well_under_way() -> bool:
        now = stack.master("/traffic/status")
        return now["run"] != last and now["counts"]["delivered"] > RECORDS // 3

    until("a third is delivered", 60, well_under_way)
    worker = stack.compose("ps", "-q", "worker").stdout.split()[0]
    try:
        docker("stop", "--time", "30", worker)
        status = stack.ended(after=last)
    finally:
        docker("start", worker)
    assert status["counts"]["delivered"] == RECORDS
    audit = httpx.get(f"{stack.api}/audit", params={"run": status["run"]}, timeout=stretched(10)).json()
    assert (audit["stored"], audit["posts"]) == (RECORDS, RECORDS)
    until("it is back", 60, lambda: healthy_workers(stack) == 4)


def test_a_worker_whose_process_dies_comes_back_by_itself(stack):
    until("four workers are healthy", 60, lambda: healthy_workers(stack) == 4)
    kill = "import os, signal; [os.kill(int(p), signal.SIGKILL) for p in os.listdir('/proc') if p.isdigit() and"
    stack.run("worker", "python", "-c", f"{kill} int(p) not in (1, os.getpid())]", index=2, check=False)
    until("the killed worker is seen to be gone", 30, lambda: healthy_workers(stack) < 4)
    until("it is back and the master has answered it", 60, lambda: healthy_workers(stack) == 4)


@pytest.mark.slow
def test_two_stacks_stand_side_by_side_and_a_password_may_hold_anything(stack, project):
    other = Stack(project, {"MONGO_PASSWORD": "p@ss:/?#[] %41ñ'\"$1"})
    with running(other):
        assert other.mongo("db.messages.countDocuments({})") == 0, "its database is its own"
        posted = httpx.post(other.api, json={"name": "Leonel", "msg": "¡Hola!"}, timeout=stretched(10))
        assert posted.status_code == 201
        assert other.mongo("db.messages.countDocuments({})") == 1
        assert stack.mongo('db.messages.countDocuments({name: "Leonel"})') == 0


def test_with_another_target_neither_stub_nor_database_is_started(engine, project):
    with running(Stack(project, {"TARGET_HOST": "http://host.docker.internal:9", "STUB": "0"})) as bare:
        assert {one["Service"] for one in bare.containers()} == {"master", "worker"}
