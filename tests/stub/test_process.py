"""Stubs as real processes: starts, stops, crashes, and a store that stops answering."""

import contextlib
import json
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from support import plain_http
from support.mongod import Mongod, free_port, running_mongod
from support.stub_process import StubProcess, running_stub, until

HELLO = {"name": "Ana", "msg": "¡hola!"}


def post(url: str, key: str, record: object = HELLO) -> httpx.Response:
    return plain_http.post(url, json=record, headers={"idempotency-key": key})


def test_it_says_where_it_is_and_stores_what_it_is_sent(store_url: str) -> None:
    with running_stub(store_url, STUB_SERVER_NAME="one") as stub:
        assert stub.ready_line == f"api stub on {stub.url} ({store_url})\n"
        assert post(stub.url, "run-0").json()["server"] == "one"
        assert stub.stop() == 0


def test_the_password_is_in_no_output(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret")
    port = free_port()
    url = f"mongodb://user@127.0.0.1:{port}/t"
    env = {"MONGO_PASSWORD_FILE": str(password), "STUB_STORE_TIMEOUT": "0.2", "STUB_PORT": str(free_port())}
    stub = StubProcess(url, env)
    stub.start(wait=False)
    try:
        answer = when_listening(f"http://127.0.0.1:{env['STUB_PORT']}/healthz")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert post(f"http://127.0.0.1:{env['STUB_PORT']}", "run-0").status_code == 503
        assert stub.stop() == 0
        assert "store does not answer" in stub.errors
        assert "s3cret" not in stub.errors + answer.text
    finally:
        stub.kill()


def test_a_wrong_setting_refuses_the_start_with_exit_code_4() -> None:
    stub = StubProcess("sqlite:///x", {"STUB_PORT": "none"})
    stub.start(wait=False)
    assert stub.await_end() == 4
    assert "STUB_PORT must be a whole number" in stub.errors


def test_a_file_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    stub = StubProcess(f"sqlite:///{tmp_path}/no/such/folder/x.sqlite")
    stub.start(wait=False)
    assert stub.await_end() == 4
    assert "must name a file in a folder that can be written to" in stub.errors


def test_kill_9_loses_no_answered_message(store_url: str) -> None:
    with running_stub(store_url) as stub:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: post(stub.url, f"run-{i}"), range(100)))
        stub.kill()
    assert {a.status_code for a in answers} == {201}
    with running_stub(store_url) as stub:
        found = plain_http.get(f"{stub.url}/audit?run=run").json()
        again = post(stub.url, "run-7")
    assert (found["stored"], found["posts"]) == (100, 100)
    assert again.content == answers[7].content
    assert again.headers["idempotency-replayed"] == "true"


def test_sigterm_answers_the_request_that_it_has(store_url: str) -> None:
    body = json.dumps(HELLO).encode()
    head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with running_stub(store_url) as stub, connect(stub) as half_sent:
        half_sent.sendall(head.encode() + body[:-1])
        assert plain_http.get(f"{stub.url}/healthz").status_code == 200  # so the first half has arrived, too
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(stub.stop)
            wait_until_refused(stub.url)
            half_sent.sendall(body[-1:])
            assert half_sent.recv(65536).startswith(b"HTTP/1.1 201 ")
            assert stopping.result() == 0


def test_two_stubs_on_one_store_share_the_keys_and_the_audit(store_url: str) -> None:
    with (
        running_stub(store_url, STUB_SERVER_NAME="a") as a,
        running_stub(store_url, STUB_SERVER_NAME="b") as b,
    ):
        with ThreadPoolExecutor(16) as pool:
            jobs = [pool.submit(post, stub.url, f"run-{i}") for i in range(200) for stub in (a, b)]
            answers = [job.result() for job in jobs]
        found = plain_http.get(f"{b.url}/audit?run=run").json()
    assert {answer.status_code for answer in answers} == {201}
    assert (found["stored"], found["posts"], found["replayed"]) == (200, 400, 200)
    assert sum(found["by_server"].values()) == 200
    assert found["indexes"] == {"max": 199, "missing": 0, "missing_below_max": []}


def test_while_mongod_is_away_it_answers_503_and_is_back_by_itself(mongod: Mongod, tmp_path: Path) -> None:
    own_data = running_mongod(tmp_path / "data")
    with own_data as own, running_stub(f"{own.url}/t", STUB_STORE_TIMEOUT="0.5") as stub:
        first = post(stub.url, "run-0")
        own.kill()
        for answer in (post(stub.url, "run-1"), plain_http.get(f"{stub.url}/healthz"), plain_http.get(stub.url)):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == "application/problem+json"
        own.start()
        assert await_status(stub.url, "run-1", 201).json()["index"] == 1
        assert post(stub.url, "run-0").content == first.content
        found = plain_http.get(f"{stub.url}/audit?run=run").json()
    assert (found["stored"], found["indexes"]["missing"]) == (2, 0)


def test_while_mongod_does_not_answer_it_says_503_and_the_write_is_settled_by_a_retry(
    mongod: Mongod, tmp_path: Path
) -> None:
    own_data = running_mongod(tmp_path / "data")
    with own_data as own, running_stub(f"{own.url}/t", STUB_STORE_TIMEOUT="0.5") as stub:
        post(stub.url, "run-0")
        with own.frozen():
            assert post(stub.url, "run-1").status_code == 503
        assert await_status(stub.url, "run-1", 201).json()["index"] == 1
        found = plain_http.get(f"{stub.url}/audit?run=run").json()
        stub.stop()  # so that all its output is here
    logged = [json.loads(line) for line in stub.errors.splitlines()]
    said = [one["message"] for one in logged]
    assert any(text.startswith("store is down") for text in said)
    assert any(text.startswith("store is back") for text in said)
    assert (found["stored"], found["indexes"]["missing"]) == (2, 0)


def test_past_its_bound_the_queue_is_told_so_and_what_waits_is_written(mongod: Mongod, tmp_path: Path) -> None:
    own_data = running_mongod(tmp_path / "data")
    env = {"STUB_MAX_WAITING": "1", "STUB_STORE_TIMEOUT": "20"}
    with own_data as own, running_stub(f"{own.url}/t", **env) as stub, ThreadPoolExecutor(4) as pool:
        post(stub.url, "run-0")
        with own.frozen():  # one is written, one waits at most
            sent = {f"run-{i}": pool.submit(post, stub.url, f"run-{i}") for i in range(1, 5)}
            for _ in until():
                if sum(one.done() for one in sent.values()) >= 2:
                    break
        answers = {key: one.result() for key, one in sent.items()}
        refused = {key: answer for key, answer in answers.items() if answer.status_code == 503}
        assert {answer.status_code for answer in answers.values()} == {201, 503}
        assert all(answer.headers["retry-after"] == "1" for answer in refused.values())
        assert all(answer.json()["detail"].startswith("not stored: ") for answer in refused.values())
        for key in answers:
            found = plain_http.get(f"{stub.url}/messages", params={"key": key}).status_code
            assert found == (404 if key in refused else 200)


def test_metrics_count_posts_by_status_replays_and_how_long_they_took(store_url: str) -> None:
    with running_stub(store_url) as stub:
        for record in (HELLO, HELLO, {**HELLO, "msg": "other"}):
            post(stub.url, "run-0", record)
        said = plain_http.get(f"{stub.url}/metrics")
    assert said.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(said.text)
        for sample in family.samples
    }
    assert found["stub_posts_total", "201"] == 2
    assert found["stub_posts_total", "422"] == 1
    assert (found["stub_replayed_total",], found["stub_waiting",], found["stub_store_up",]) == (1, 0, 1)
    for name, count in (("stub_post_seconds", 3), ("stub_write_seconds", 3), ("stub_batch_messages", 3)):
        assert found[f"{name}_count",] == found[f"{name}_bucket", "+Inf"] == count
        buckets = [value for key, value in found.items() if key[0] == f"{name}_bucket"]
        assert buckets == sorted(buckets)


def test_it_logs_in_with_the_password_from_a_file(mongod: Mongod, tmp_path: Path) -> None:
    password = "p@ss/w:rd%ñ"
    (tmp_path / "password").write_text(f"{password}\n", encoding="utf-8")
    with running_mongod(tmp_path / "data") as own:
        with MongoClient[dict[str, object]](own.url) as client:
            durable = {"w": 1, "j": True}
            client.admin.command("createUser", "traffic", pwd=password, roles=["root"], writeConcern=durable)
        own.kill()
        own.options = ("--auth",)
        own.start()
        url = f"mongodb://traffic@127.0.0.1:{own.port}/traffic?authSource=admin"
        with running_stub(url, STORE_PASSWORD_FILE=str(tmp_path / "password")) as stub:
            assert post(stub.url, "run-0").status_code == 201
            assert stub.ready_line.endswith(f"({url})\n")


def test_the_database_file_is_no_ones_but_the_owners_to_write(sqlite_url: str) -> None:
    with running_stub(sqlite_url):
        mode = Path(sqlite_url.removeprefix("sqlite:///")).stat().st_mode
    assert not mode & stat.S_IWOTH


def connect(stub: StubProcess) -> socket.socket:
    host, port = stub.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 30)


def when_listening(url: str) -> httpx.Response:
    for _ in until():
        with contextlib.suppress(httpx.ConnectError):
            return plain_http.get(url)
    raise AssertionError


def wait_until_refused(url: str) -> None:
    for _ in until():
        try:
            plain_http.get(f"{url}/healthz")
        except httpx.TransportError:
            return


def await_status(url: str, key: str, status: int) -> httpx.Response:
    for _ in until():
        answer = post(url, key)
        if answer.status_code == status:
            return answer
    raise AssertionError
