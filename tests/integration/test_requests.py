"""Whole requests through a real master and workers: on the wire they are what was recorded, each once."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster
from support.golden import ALB, APACHE, CLOUDFRONT, http, message
from support.nginx import running_nginx
from support.plain_http import get
from support.raw_api import OK, RawApi, RawRequest, raw_api
from traffic.dataset.from_requests.gor import SEPARATOR

REPLAY = """
from traffic import ReplayUser

class Replay(ReplayUser):
    pass
"""
RECORD = """
from traffic import RecordUser, task

class Posting(RecordUser):
    @task
    def post(self):
        self.deliver_next()
"""
WAYS = {"ReplayUser": REPLAY, "RecordUser": RECORD}
SOME_WAYS = [pytest.param(REPLAY, id="ReplayUser"), pytest.param(RECORD, id="RecordUser", marks=pytest.mark.slow)]


@pytest.fixture
def api() -> Iterator[RawApi]:
    with raw_api() as made:
        yield made


def replayed(folder: Path, api: RawApi, file: Path, locustfile: str = REPLAY, **more: Any) -> dict[str, Any]:
    """Replay a file, headless; return the report."""
    with Cluster(folder, api.url, locustfile=locustfile, TRAFFIC_FILE=file, **more) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        return cluster.report


def lines(path: Path, *given: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(one) for one in given))
    return path


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def mixed(count: int) -> list[dict[str, Any]]:
    """Requests of all methods, with and without bodies, whose order can be told from their paths."""
    made: list[dict[str, Any]] = []
    for at in range(count):
        method = METHODS[at % len(METHODS)]
        one: dict[str, Any] = {"method": method, "url": f"/m/{at}?q={at}%20x", "header": {"X-At": [str(at), "é"]}}
        if method in ("POST", "PUT", "PATCH"):
            body = bytes([at % 256, 0, 13, 10, 13, 10])
            one |= {"body": base64.b64encode(body).decode()} if at % 2 else {"json": {"at": at}}
        made.append(one)
    return made


@pytest.mark.parametrize("locustfile", WAYS.values(), ids=WAYS)
def test_method_path_fields_and_body_are_those_of_the_file(tmp_path: Path, api: RawApi, locustfile: str) -> None:
    given = mixed(140)
    # What follows the head of the answer to a HEAD is the next answer, whatever the head says.
    api.answer = lambda request: OK[:-2] if request.line.startswith("HEAD") else OK
    more = {"TRAFFIC_RECORDS": "requests"}
    report = replayed(tmp_path, api, lines(tmp_path / "r.jsonl", *given), locustfile, **more)
    assert report["counts"]["delivered"] == report["counts"]["attempts"] == len(given)
    assert (report["target"]["method"], report["target"]["path"]) == ("", "")
    run, by_key = report["run"], {request.get("idempotency-key"): request for request in api.requests}
    assert len(by_key) == len(api.requests) == len(given)
    for at, one in enumerate(given):
        seen = by_key[f"{run}-{at}"]
        assert seen.line == f"{one['method']} {one['url']} HTTP/1.1"
        wanted = (
            base64.b64decode(one["body"])
            if "body" in one
            else json.dumps(one["json"]).encode()
            if "json" in one
            else b""
        )
        assert seen.body == wanted
        if locustfile is REPLAY:
            assert seen.fields[0][0] == "Host"
            json_type = [("Content-Type", "application/json")] if "json" in one else []
            own = [("X-At", str(at)), ("X-At", "é".encode("latin-1").decode("latin-1"))]
            assert seen.recorded() == [*own, *json_type, ("User-Agent", "traffic-replayer")]
        else:
            assert seen.get("X-At") == f"{at}, é"


def test_statistics_and_dead_letters_say_which_request_it_was_and_mask_its_secrets(tmp_path: Path, api: RawApi) -> None:
    refused = b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"
    api.answer = lambda request: refused if "/orders/3" in request.line else OK
    given = [
        {"method": "PUT", "url": f"/orders/{at}", "json": {"n": at}, "header": {"Authorization": ["Bearer s3cret"]}}
        for at in range(5)
    ]
    file = lines(tmp_path / "r.jsonl", *given)
    with Cluster(tmp_path, api.url, locustfile=REPLAY, TRAFFIC_FILE=file, TRAFFIC_RECORDS="requests") as cluster:
        assert cluster.wait() == 3
        report, log = cluster.report, cluster.master.log
        letters = (cluster.state / "runs" / report["run"] / "dead-letters.jsonl").read_text()
    (letter,) = [json.loads(line) for line in letters.splitlines()]
    assert (letter["index"], letter["status"], letter["record"]) == (3, 422, '{"n": 3}')
    assert letter["request"]["method"] == "PUT"
    assert letter["request"]["url"] == "/orders/3"
    assert letter["request"]["header"]["Authorization"] == ["Bearer •••"]
    assert "s3cret" not in letters
    assert {request.get("authorization") for request in api.requests} == {"Bearer s3cret"}
    assert "/orders/{id}" in log, "Locust's table has the template of the path"
    assert "whole requests to http://127.0.0.1" in log


@pytest.mark.parametrize("locustfile", WAYS.values(), ids=WAYS)
def test_path_method_headers_and_time_come_from_options_and_records(
    tmp_path: Path, api: RawApi, locustfile: str
) -> None:
    file = tmp_path / "bodies.json"
    file.write_text(json.dumps([{"id": f"ñ{at}", "lang": "es", "n": at} for at in range(30)]))
    more: dict[str, Any] = {
        "TRAFFIC_PATH": "/users/{id}/messages{?lang}",
        "TRAFFIC_METHOD": "PUT",
        "TRAFFIC_HEADER": "X-Tenant: 7\nX-Own: a, b",
        "TRAFFIC_STAMP": "sent_at=ms",
    }
    report = replayed(tmp_path, api, file, locustfile, **more)
    assert report["counts"]["delivered"] == 30
    assert report["target"]["path"] == "/users/{id}/messages{?lang}"
    seen = {request.line for request in api.requests}
    assert seen == {f"PUT /users/%C3%B1{at}/messages?lang=es HTTP/1.1" for at in range(30)}
    for request in api.requests:
        assert (request.get("X-Tenant"), request.get("X-Own")) == ("7", "a, b")
        assert request.get("Content-Type") == "application/json"
        body = json.loads(request.body)
        assert list(body) == ["id", "lang", "n", "sent_at"]
        assert body["sent_at"] > 1_700_000_000_000


def test_the_time_of_a_record_is_the_same_at_every_attempt_and_after_a_kill_of_everything(
    tmp_path: Path, api: RawApi
) -> None:
    seen: Counter[str] = Counter()

    def fail_at_first(request: RawRequest) -> bytes:
        key = request.get("Idempotency-Key") or ""
        seen[key] += 1
        return b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n" if seen[key] == 1 else OK

    api.answer = fail_at_first
    file = tmp_path / "bodies.json"
    file.write_text(json.dumps([{"n": at} for at in range(60)]))
    with Cluster(tmp_path, api.url, TRAFFIC_FILE=file, TRAFFIC_STAMP="at", TRAFFIC_LEASE=1) as cluster:
        cluster.until(lambda: len(api.requests) > 20, "some are sent")
        for process in (cluster.master, *cluster.workers):
            process.kill()
        cluster.restart_master()
        cluster.add_workers(2)
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        assert cluster.report["counts"]["delivered"] == 60
    bodies: dict[str, set[bytes]] = {}
    for request in api.requests:
        bodies.setdefault(request.get("Idempotency-Key") or "", set()).add(request.body)
    assert len(bodies) == 60
    assert {len(one) for one in bodies.values()} == {1}, "one key, one body"
    assert max(seen.values()) > 1


@pytest.mark.parametrize("locustfile", SOME_WAYS)
def test_a_token_that_expires_in_mid_run_is_replaced_in_its_file_and_no_record_is_lost(
    tmp_path: Path, api: RawApi, locustfile: str
) -> None:
    secret, valid = tmp_path / "headers", "Bearer s3cret-1"
    secret.write_text("Authorization: Bearer s3cret-1\n")

    def by_token(request: RawRequest) -> bytes:
        fine = request.get("Authorization") == valid
        return OK if fine else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"

    api.answer = by_token
    file = tmp_path / "bodies.json"
    file.write_text(json.dumps([{"n": at} for at in range(300)]))
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_HEADER_FILE": secret, "TRAFFIC_MAX_ATTEMPTS": 1}
    with Cluster(tmp_path, api.url, locustfile=locustfile, web=True, TRAFFIC_RATE="60/s", **more) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8)["success"]
        cluster.until(lambda: len(api.requests) > 60, "some are sent")
        valid = "Bearer s3cret-2"
        status = cluster.await_state("paused")
        assert "the API refuses the credentials (401): renew the header file" in status["reason"]
        refused = len(api.requests)
        secret.write_text("Authorization: Bearer s3cret-2\n")
        report = cluster.await_state("completed")
        said = get(f"{cluster.web}/traffic/status").text + get(f"{cluster.web}/traffic/options").text
        logs = "".join(process.log for process in (cluster.master, *cluster.workers))
    assert (report["counts"]["delivered"], report["counts"]["rejected"]) == (300, 0)
    fine = [request for request in api.requests if request.get("Authorization") == "Bearer s3cret-2"]
    assert len({request.get("Idempotency-Key") for request in api.requests}) == 300
    assert fine
    assert len(api.requests) - 300 < refused, "while nobody renews the token, the API is only tried"
    state = b"".join(path.read_bytes() for path in cluster.state.rglob("*") if path.is_file())
    assert not any("s3cret" in text for text in (said, logs, state.decode("latin-1")))


@pytest.mark.parametrize("locustfile", SOME_WAYS)
def test_a_worker_without_its_header_file_sends_nothing_says_so_and_goes_on_when_it_is_there(
    tmp_path: Path, api: RawApi, locustfile: str
) -> None:
    secret, file = tmp_path / "headers", tmp_path / "bodies.json"
    file.write_text(json.dumps([{"n": at} for at in range(20)]))
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_HEADER_FILE": secret, "TRAFFIC_MAX_ATTEMPTS": 1}
    with Cluster(tmp_path, api.url, workers=1, locustfile=locustfile, web=True, **more) as cluster:
        cluster.await_web(1)
        assert cluster.swarm(2)["success"]
        status = cluster.await_state("paused")
        assert f"the header file {secret} cannot be read (No such file or directory)" in status["reason"]
        assert (status["counts"]["attempts"], api.requests) == (0, [])
        secret.write_text("X-Tenant: 7\n")
        report = cluster.await_state("completed")
    assert (report["counts"]["delivered"], report["counts"]["attempts"]) == (20, 20)
    assert {request.get("X-Tenant") for request in api.requests} == {"7"}


def test_an_nginx_log_is_replayed_as_it_was_made(tmp_path: Path, api: RawApi) -> None:
    asked = ["/", "/a%20b?x=%22y%22", "/ca%C3%B1a?q=1&r=2", "/missing/7"]
    served = "location / { return 200 'x'; } location /missing { return 404; }"
    log = tmp_path / "access.log"
    combined = f"access_log {log} combined; {served}"
    with running_nginx(tmp_path / "nginx", combined) as nginx:
        for path in asked:
            get(f"{nginx.url}{path}", headers={"User-Agent": 'me "x"', "Referer": "http://a.example/"})
    report = replayed(tmp_path / "run", api, log, TRAFFIC_RECORDS="requests")
    assert report["counts"]["delivered"] == len(asked)
    assert sorted(request.line for request in api.requests) == sorted(f"GET {path} HTTP/1.1" for path in asked)
    assert {request.get("User-Agent") for request in api.requests} == {'me "x"'}
    assert {request.get("Referer") for request in api.requests} == {"http://a.example/"}


TWO = SEPARATOR + b"1 ab 5\nGET /smuggled HTTP/1.1\r\n\r\n" + SEPARATOR
UA = ("User-Agent", "traffic-replayer")
# Of each format: a file, and for each request its line, fields and body on the wire, in the order of the lines.
GOLDEN: dict[str, tuple[bytes, list[tuple[str, list[tuple[str, str]], bytes]]]] = {
    "capture.gor": (
        message(http("PUT /a?b=c HTTP/1.1", TWO, Host="shop.example", Content_Length=len(TWO), Cookie="id=7"))
        + message(http(Host="x", Transfer_Encoding="chunked", body=b"3\r\nabc\r\n0\r\n\r\n"))
        + message(b"HTTP/1.1 200 OK\r\n\r\n", kind=2),
        [("POST /a", [UA], b"abc"), ("PUT /a?b=c", [("Cookie", "id=7"), UA], TWO)],
    ),
    "alb.log": (ALB.encode(), [("GET /a/7?b=c", [("User-Agent", "curl/7.46.0")], b"")]),
    "cloudfront.log": (
        CLOUDFRONT.encode(),
        [("GET /index%20x.html?a=b%20c", [("User-Agent", "Mozilla/5.0 (X11)"), ("Cookie", "zip=98101")], b"")],
    ),
    "apache.log": (
        APACHE.strip().encode(),
        [
            ('GET /a"b\\c?q="x"', [UA], b""),
            ("GET /caf%C3%A9%20x", [("User-Agent", "curl/8")], b""),
            ("GET /index?q=1&y=%C3%B1", [("Referer", "http://a/\xe9"), ("User-Agent", 'me "it" \\ x')], b""),
        ],
    ),
}


SLOW = ("alb.log", "cloudfront.log")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in GOLDEN]
)
def test_what_each_tool_recorded_is_on_the_wire_byte_for_byte(tmp_path: Path, api: RawApi, name: str) -> None:
    data, wanted = GOLDEN[name]
    (tmp_path / name).write_bytes(data)
    report = replayed(tmp_path, api, tmp_path / name, TRAFFIC_RECORDS="requests", workers=1)
    assert report["counts"]["delivered"] == report["counts"]["attempts"] == len(wanted)
    seen = sorted(api.requests, key=lambda request: request.line)
    assert [(request.line, request.recorded(), request.body) for request in seen] == [
        (f"{line} HTTP/1.1", fields, body) for line, fields, body in wanted
    ]


def test_recorded_times_of_requests_are_followed(tmp_path: Path, api: RawApi) -> None:
    given = [
        {"method": "GET", "url": f"/{at}", "time": f"2026-11-22T10:00:{at / 10:06.3f}Z"} for at in (12, 3, 0, 9, 6)
    ]
    more = {"TRAFFIC_RECORDS": "requests", "TRAFFIC_TIME": "time", "TRAFFIC_WAIT": "0"}
    report = replayed(tmp_path, api, lines(tmp_path / "r.jsonl", *given), **more)
    assert [request.line.split()[1] for request in api.requests] == ["/0", "/3", "/6", "/9", "/12"]
    assert report["pace"]["planned_s"] == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize(("stub", "gets"), [("", False), ("{url}", True), ("*", True)])
def test_an_api_of_ones_own_gets_nothing_but_the_records(tmp_path: Path, api: RawApi, stub: str, gets: bool) -> None:
    shipped = (Path(__file__).parents[2] / "locust" / "locustfile.py").read_text()
    file = tmp_path / "bodies.json"
    file.write_text(json.dumps([{"n": at} for at in range(40)]))
    report = replayed(tmp_path, api, file, shipped, TRAFFIC_STUB=stub.format(url=api.url), workers=1)
    assert report["counts"]["delivered"] == 40
    methods = Counter(request.line.split()[0] for request in api.requests)
    assert methods["POST"] == 40
    assert ("GET" in methods) is gets
