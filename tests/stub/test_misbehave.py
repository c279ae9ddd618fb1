"""Each fault as a sender sees it over a real connection, and as the audit counts it."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from support import plain_http
from support.stub_process import StubProcess, running_stub, until

HELLO = {"name": "Ana", "msg": "¡hola!"}


@pytest.fixture
def stub(sqlite_url: str) -> Iterator[StubProcess]:
    with running_stub(sqlite_url) as stub:
        yield stub


def send(stub: StubProcess, words: str, key: str = "run-0") -> socket.socket:
    """POST over a bare socket, so that the end of the connection is visible."""
    body = json.dumps(HELLO).encode()
    head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    host, port = stub.url.removeprefix("http://").split(":")
    s = socket.create_connection((host, int(port)), 30)
    s.sendall(f"{head}idempotency-key: {key}\r\nstub-misbehave: {words}\r\n\r\n".encode() + body)
    return s


def read_all(s: socket.socket) -> bytes:
    with s:
        return b"".join(iter(lambda: s.recv(65536), b""))


def post(url: str, words: str | None = None, key: str = "run-0") -> httpx.Response:
    headers = {"idempotency-key": key} | ({"stub-misbehave": words} if words else {})
    return plain_http.post(url, json=HELLO, headers=headers)


def stored(stub: StubProcess) -> int:
    return int(plain_http.get(f"{stub.url}/audit?run=run").json()["stored"])


@pytest.mark.parametrize(("words", "left"), [("close", 0), ("close-after", 1)])
def test_a_close_ends_the_connection_without_a_byte(stub: StubProcess, words: str, left: int) -> None:
    assert read_all(send(stub, words)) == b""
    assert stored(stub) == left


@pytest.mark.parametrize(("words", "left"), [("reset", 0), ("reset-after", 1)])
def test_a_reset_is_a_reset(stub: StubProcess, words: str, left: int) -> None:
    with pytest.raises(ConnectionResetError):
        read_all(send(stub, words))
    assert stored(stub) == left


def test_a_cut_answer_is_stored_and_ends_in_its_middle(stub: StubProcess) -> None:
    head, _, body = read_all(send(stub, "cut")).partition(b"\r\n\r\n")
    (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    assert head.startswith(b"HTTP/1.1 201 ")
    assert 0 < len(body) == length // 2
    assert stored(stub) == 1


@pytest.mark.parametrize(("words", "left"), [("hang", 0), ("hang-after", 1)])
def test_who_hangs_is_let_go_when_the_stub_stops(sqlite_url: str, words: str, left: int) -> None:
    with running_stub(sqlite_url) as stub:
        waiting = send(stub, words)
        hung = f'stub_misbehaved_total{{fault="{words}"}} 1'
        for _ in until():
            if hung in plain_http.get(f"{stub.url}/metrics").text:
                break
        assert stored(stub) == left
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(stub.end, signal.SIGTERM)
            assert read_all(waiting) == b""
            assert stopping.result() == 0


def test_an_error_is_not_stored_and_says_when_to_come_back(stub: StubProcess) -> None:
    answer = post(stub.url, "error=429, retry-after=7")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored(stub) == 0


def test_an_error_after_storing_is_settled_by_a_retry(stub: StubProcess) -> None:
    assert post(stub.url, "error-after=599").status_code == 599
    again = post(stub.url)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert stored(stub) == 1


def test_a_refused_request_is_refused_also_when_hurt_after_storing(stub: StubProcess) -> None:
    headers = {"stub-misbehave": "close-after"}
    assert plain_http.post(stub.url, json=[], headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("words", "complaint"),
    [("explode", "'explode' is no misbehaviour"), ("cut" + "," * 1000, "1 to 1000 printable ASCII characters")],
)
def test_words_that_make_no_sense_are_a_bad_request(stub: StubProcess, words: str, complaint: str) -> None:
    answer = post(stub.url, words)
    assert answer.status_code == 400
    assert "Stub-Misbehave: " in answer.json()["detail"]
    assert complaint in answer.json()["detail"]


def test_the_setting_holds_for_all_and_the_header_instead_of_it(sqlite_url: str) -> None:
    with running_stub(sqlite_url, STUB_MISBEHAVE="error=500") as stub:
        assert post(stub.url).status_code == 500
        assert post(stub.url, "error=502").status_code == 502
        assert post(stub.url, "none").status_code == 201


def test_the_header_can_be_switched_off(sqlite_url: str) -> None:
    with running_stub(sqlite_url, STUB_MISBEHAVE_HEADER="off") as stub:
        assert post(stub.url, "error=500").status_code == 201


def test_the_same_seed_and_keys_meet_the_same_faults_in_any_order(sqlite_url: str) -> None:
    def met(seed: str, turn: int) -> list[int]:
        env = {"STUB_MISBEHAVE": "error=503@0.3, error=429@0.2, latency=0-0.002", "STUB_SEED": seed}
        with running_stub(sqlite_url, **env) as stub, plain_http.client() as client, ThreadPoolExecutor(8) as pool:
            order = list(range(100))[::turn]

            def status(index: int) -> int:
                headers = {"idempotency-key": f"run-{index}"}
                return client.post(stub.url, json=HELLO, headers=headers).status_code

            return [s for _, s in sorted(zip(order, pool.map(status, order), strict=True))]

    assert met("1", 1) == met("1", -1) != met("2", 1)


def test_a_run_of_retries_ends_with_each_message_once(store_url: str) -> None:
    words = "error=503@0.1, error-after=500@0.1, reset@0.1, reset-after@0.1, close@0.1, close-after@0.1, cut@0.1"

    def deliver(url: str, index: int) -> int:
        with plain_http.client() as client:
            for attempt in range(1, 10):
                try:
                    headers = {"idempotency-key": f"run-{index}"}
                    if client.post(url, json=HELLO, headers=headers).status_code == 201:
                        return attempt
                except httpx.TransportError:
                    continue
        raise AssertionError(index)

    with running_stub(store_url, STUB_MISBEHAVE=f"{words}, attempts=3") as stub:
        with ThreadPoolExecutor(8) as pool:
            attempts = sum(pool.map(partial(deliver, stub.url), range(100)))
        found = plain_http.get(f"{stub.url}/audit?run=run").json()
        hurt = [line for line in plain_http.get(f"{stub.url}/metrics").text.splitlines() if "misbehaved_total{" in line]
    assert found["stored"] == 100
    assert found["indexes"] == {"max": 99, "missing": 0, "missing_below_max": []}
    assert found["posts"] <= attempts
    assert found["replayed"] == found["posts"] - 100 > 0
    assert sum(float(line.split()[-1]) for line in hurt) == attempts - 100
