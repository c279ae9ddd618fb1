"""Senders that are slow, greedy or many: each gets its answer, and memory stays bounded."""

import contextlib
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from support import plain_http
from support.stub_process import StubProcess, running_stub, until

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
MUCH = 2**28
MEGABYTE = 2**20


@pytest.fixture
def stub(sqlite_url: str) -> Iterator[StubProcess]:
    with running_stub(sqlite_url) as stub:
        yield stub


@pytest.fixture
def impatient(sqlite_url: str) -> Iterator[StubProcess]:
    short = {"STUB_HEAD_TIMEOUT": "0.1", "STUB_BODY_TIMEOUT": "0.1", "STUB_IDLE_TIMEOUT": "0.1"}
    with running_stub(sqlite_url, **short) as stub:
        yield stub


def connect(stub: StubProcess) -> socket.socket:
    host, port = stub.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 30)


def read_all(s: socket.socket) -> bytes:
    return b"".join(iter(lambda: s.recv(65536), b""))


def memory(stub: StubProcess) -> int:
    """Return the stub's resident memory, in bytes."""
    lines = plain_http.get(f"{stub.url}/metrics").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("process_resident_memory_bytes "))


def test_a_head_that_does_not_end_is_timed_out(impatient: StubProcess) -> None:
    with connect(impatient) as s:
        s.sendall(HEAD)
        assert read_all(s).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("begun", [HEAD + b"x-drop: ", HEAD + b"content-length: 1000000\r\n\r\n"])
def test_who_sends_drop_by_drop_gets_no_more_time_than_others(impatient: StubProcess, begun: bytes) -> None:
    with connect(impatient) as s:
        s.sendall(begun)
        for _ in until():
            if select.select([s], [], [], 0)[0]:
                break
            s.sendall(b"x")
        assert s.recv(65536).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("begun", [b"", b"{"])
def test_a_body_that_does_not_end_is_timed_out(impatient: StubProcess, begun: bytes) -> None:
    with connect(impatient) as s:
        s.sendall(HEAD + b"content-length: 100\r\n\r\n" + begun)
        answer = read_all(s)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_an_idle_connection_is_closed(impatient: StubProcess, sent: bytes) -> None:
    with connect(impatient) as s:
        s.sendall(sent)
        assert not (read_all(s) and not sent.strip())


def test_a_head_of_any_size_is_refused_while_it_arrives_and_takes_no_memory(stub: StubProcess) -> None:
    before = memory(stub)
    with connect(stub) as s:
        s.sendall(HEAD)
        for _ in range(1000):
            s.sendall(b"x-more: " + b"x" * 64 * 1024 + b"\r\n")
        assert read_all(s).startswith(b"HTTP/1.1 431 ")
    assert memory(stub) - before < 8 * MEGABYTE
    assert plain_http.get(f"{stub.url}/healthz").status_code == 200


def test_a_head_past_the_limit_is_told_so(stub: StubProcess) -> None:
    with connect(stub) as s:
        s.sendall(HEAD + b"x-more: " + b"x" * 64 * 1024)
        assert read_all(s).startswith(b"HTTP/1.1 431 ")


def test_a_quarter_of_a_gigabyte_is_refused_and_takes_no_memory(stub: StubProcess) -> None:
    before = memory(stub)
    with connect(stub) as s:
        s.sendall(HEAD + f"content-length: {MUCH}\r\n\r\n".encode())
        part = b" " * MEGABYTE
        for _ in range(MUCH // MEGABYTE):
            s.sendall(part)
        s.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answers = read_all(s)
    assert answers.startswith(b"HTTP/1.1 413 ")
    assert b"HTTP/1.1 200 " in answers
    assert memory(stub) - before < 8 * MEGABYTE


def test_a_quarter_of_a_gigabyte_in_parts_is_refused_and_takes_no_memory(stub: StubProcess) -> None:
    before = memory(stub)
    with connect(stub) as s:
        s.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        part = b"100000\r\n" + b" " * MEGABYTE + b"\r\n"
        for _ in range(MUCH // MEGABYTE):
            s.sendall(part)
        s.sendall(b"0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answers = read_all(s)
    assert answers.startswith(b"HTTP/1.1 413 ")
    assert b"HTTP/1.1 200 " in answers
    assert memory(stub) - before < 8 * MEGABYTE


def test_many_incomplete_bodies_take_no_more_than_their_share_of_memory(stub: StubProcess) -> None:
    before = memory(stub)
    with ExitStack() as stack:
        senders = [stack.enter_context(connect(stub)) for _ in range(400)]
        for s in senders:
            s.sendall(HEAD + f"content-length: {MEGABYTE}\r\n\r\n".encode() + b" " * (MEGABYTE - 1))
        assert plain_http.post(stub.url, json={"name": "a", "msg": "b"}).status_code == 201
        for _ in until():
            if len(select.select(senders, [], [], 0)[0]) > 300:  # these were answered 503
                break
        assert memory(stub) - before < 192 * MEGABYTE  # bytearrays grow in steps


def test_ten_thousand_idle_connections_leave_room_for_work(stub: StubProcess) -> None:
    count = 10_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        pytest.skip(f"this machine allows a process {hard} open files")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    before = memory(stub)
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(connect(stub))
        stored = plain_http.post(stub.url, json={"name": "a", "msg": "b"})
        assert stored.status_code == 201
        assert memory(stub) - before < count * 16 * 1024


def test_past_the_limit_a_connection_is_refused_and_those_before_it_are_served(sqlite_url: str) -> None:
    with running_stub(sqlite_url, STUB_MAX_CONNECTIONS="5") as stub, ExitStack() as stack:
        taken = [stack.enter_context(connect(stub)) for _ in range(5)]
        with connect(stub) as s:
            answer = read_all(s)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1\r\n" in answer
        for s in taken:
            s.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert read_all(s).startswith(b"HTTP/1.1 200 ")
        for _ in until():
            with contextlib.suppress(httpx.TransportError):
                if plain_http.get(f"{stub.url}/healthz").status_code == 200:
                    return


def test_a_slow_reader_takes_no_more_than_its_buffer(stub: StubProcess) -> None:
    for _ in range(40):
        plain_http.post(stub.url, json={"name": "a", "msg": "x" * 2000}).raise_for_status()
    before = memory(stub)
    with ExitStack() as stack:
        for _ in range(50):
            s = stack.enter_context(connect(stub))
            s.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
        assert plain_http.get(f"{stub.url}/healthz").status_code == 200
        assert memory(stub) - before < 64 * MEGABYTE


@pytest.mark.parametrize("depth", [500, 5_000, 400_000])
def test_deep_json_is_stored_or_refused_and_never_a_fault(stub: StubProcess, depth: int) -> None:
    body = b'{"name":"a","msg":"b","deep":' + b"[" * depth + b"]" * depth + b"}"
    answer = plain_http.post(stub.url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (201, 400)
    assert plain_http.get(f"{stub.url}/healthz").status_code == 200
