"""Several stubs behind a proxy: `docker compose --profile lb up --scale worker=4 --scale api=3`."""

import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.judge import assert_locked_down, judged
from compose.stack import RECORDS, Stack, docker, running, until
from support.deadlines import stretched

pytestmark = pytest.mark.timeout(900)  # the first start builds three images


@pytest.fixture(scope="module")
def balanced(engine: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    made = Stack(f"test-{uuid.uuid4().hex[:8]}", profile="lb")
    with running(made, "--scale", "worker=4", "--scale", "api=3") as up:
        before = request.session.testsfailed
        yield up
        if request.session.testsfailed > before:
            sys.stderr.write(up.logs())


def servers(stack: Stack) -> set[str]:
    """The stubs' names: each is the host name of its container."""
    return {one["ID"] for one in stack.containers() if one["Service"] == "api" and one["State"] == "running"}


def asked(stack: Stack, times: int) -> Counter[str]:
    """Which stubs answer at the port for people, one request after another."""
    with httpx.Client(base_url=stack.api, timeout=stretched(10)) as client:
        return Counter(client.get("/healthz").raise_for_status().json()["server"] for _ in range(times))


def seen(stack: Stack) -> set[str]:
    """Those that answer, also while some do not."""
    try:
        return set(asked(stack, 9))
    except httpx.HTTPStatusError:
        return set()


def audit(stack: Stack, run: str) -> dict[str, Any]:
    return dict(httpx.get(f"{stack.api}/audit", params={"run": run}, timeout=stretched(10)).raise_for_status().json())


def started(stack: Stack, **fields: str) -> str | None:
    """Press Start; returns the run before."""
    last = stack.master("/traffic/status").get("run")
    stack.ready(4)
    assert stack.start(**fields)["success"]
    return str(last)


def under_way(stack: Stack, last: str | None) -> str:
    """Wait until a fifth is delivered; returns the run."""

    def run() -> str | None:
        now = stack.master("/traffic/status")
        return now["run"] if now["run"] != last and now["counts"]["delivered"] > RECORDS // 5 else None

    return until("a fifth is delivered", 60, run)


def test_the_command_brings_up_three_stubs_a_proxy_and_four_workers(balanced: Stack) -> None:
    def states() -> Counter[tuple[str, str, str]]:
        return Counter((one["Service"], one["State"], one["Health"]) for one in balanced.containers())

    wanted = {
        ("secrets", "exited", ""): 1,
        ("mongo", "running", "healthy"): 1,
        ("api", "running", "healthy"): 3,
        ("front", "running", "healthy"): 1,
        ("lb", "running", "healthy"): 1,
        ("master", "running", "healthy"): 1,
        ("worker", "running", "healthy"): 4,
    }
    until("all are healthy, also after another test", 60, lambda: states() == wanted)


def test_the_proxy_is_locked_down_as_all_are(balanced: Stack) -> None:
    assert_locked_down(balanced, "lb")


def test_a_run_through_the_proxy_delivers_each_record_once_and_every_stub_has_a_share(balanced: Stack) -> None:
    last = balanced.master("/traffic/status").get("run")
    balanced.ready(4)
    assert balanced.start(traffic_wait="0.1-0.3")["host"] == "http://lb:4000"
    status = balanced.ended(after=last)
    found = audit(balanced, status["run"])
    assert status["state"] == "completed"
    assert (found["stored"], found["posts"], found["replayed"], found["conflicts"]) == (RECORDS, RECORDS, 0, 0)
    assert found["indexes"] == {"max": RECORDS - 1, "missing": 0, "missing_below_max": []}
    assert len(balanced.mongo(f'db.messages.distinct("key", {{run: "{status["run"]}"}})')) == RECORDS
    assert set(found["by_server"]) == servers(balanced)
    # The proxy takes turns, but the users read messages in between: so the shares of what they write differ a little.
    assert min(found["by_server"].values()) > RECORDS // 10


def test_people_find_the_proxy_at_the_apis_port_and_see_who_took_how_many(balanced: Stack) -> None:
    assert set(asked(balanced, 9)) == servers(balanced)
    with httpx.Client(base_url=balanced.api, timeout=stretched(10)) as client:
        for _ in range(9):
            client.post("/", json={"name": "a", "msg": "b"}).raise_for_status()
        page = client.get("/", headers={"accept": "text/html"})
    assert page.headers["served-by"].startswith("api-")
    assert all(f">{server}</span>" in page.text for server in servers(balanced))


def test_a_body_behind_an_upgrade_is_read_as_one_and_never_as_the_next_request(balanced: Stack) -> None:
    upgrade = {"connection": "upgrade", "upgrade": "h2c"}
    with httpx.Client(base_url=balanced.api, timeout=stretched(10)) as client:
        assert client.post("/", json={"name": "a", "msg": "b"}, headers=upgrade).status_code == 201
        inner = b"GET /audit?run=inner HTTP/1.1\r\nhost: x\r\n\r\n"
        said = client.post("/", content=inner, headers={**upgrade, "content-type": "application/json"})
        assert (said.status_code, "not JSON" in said.text) == (400, True)
        assert client.get("/healthz", headers={"connection": "close"}).json()["status"] == "ok"


def test_one_key_at_all_stubs_at_once_is_stored_once(balanced: Stack) -> None:
    run = f"one-{uuid.uuid4().hex[:8]}"
    with httpx.Client(base_url=balanced.api, timeout=stretched(10)) as client:
        sent = [
            client.post("/", json={"name": "a", "msg": "b"}, headers={"idempotency-key": f"{run}-0"}) for _ in range(9)
        ]
    assert {answer.status_code for answer in sent} == {201}
    assert len({answer.content for answer in sent}) == 1
    assert len({answer.headers["served-by"] for answer in sent}) == 3
    assert (audit(balanced, run)["stored"], audit(balanced, run)["replayed"]) == (1, 8)


def test_a_stub_that_is_killed_in_mid_run_loses_and_doubles_nothing_and_is_used_again_when_back(
    balanced: Stack, tmp_path: Path
) -> None:
    three = servers(balanced)
    last = started(balanced, traffic_wait="0.5-1.0")
    run = under_way(balanced, last)
    killed = sorted(three)[0]
    docker("kill", killed)
    try:
        status = balanced.ended(after=last)
    finally:
        docker("start", killed)
    verdict = judged(balanced, run, tmp_path)
    assert verdict.good, str(verdict)
    assert status["counts"]["delivered"] == audit(balanced, run)["stored"] == RECORDS
    until("it is used again", 60, lambda: seen(balanced) == three)


@pytest.mark.slow
def test_stubs_come_and_go_in_mid_run_and_nothing_is_lost(balanced: Stack, tmp_path: Path) -> None:
    last = started(balanced, traffic_wait="1.0-2.0")
    run = under_way(balanced, last)
    balanced.compose("up", "-d", "--no-recreate", "--scale", "worker=4", "--scale", "api=2", timeout=120)
    status = balanced.ended(after=last)
    verdict = judged(balanced, run, tmp_path)
    assert verdict.good, str(verdict)
    assert status["counts"]["delivered"] == audit(balanced, run)["stored"] == RECORDS
    assert set(asked(balanced, 9)) == servers(balanced)
    balanced.compose("up", "-d", "--no-recreate", "--scale", "worker=4", "--scale", "api=3", timeout=120)
    until("all three are used", 60, lambda: len(seen(balanced)) == 3)


def test_where_no_stub_is_left_the_proxy_says_so_and_when_to_come_back(balanced: Stack) -> None:
    three = servers(balanced)
    balanced.compose("stop", "api")
    try:
        answer = until("the proxy has noticed", 30, lambda: refusal(balanced))
    finally:
        balanced.compose("start", "api")
        until("all are back", 60, lambda: seen(balanced) == three)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["status"] == 503


def refusal(stack: Stack) -> httpx.Response | None:
    answer = httpx.post(stack.api, json={"name": "a", "msg": "b"}, timeout=stretched(30))
    return answer if answer.status_code == 503 and "proxy" in answer.text else None
