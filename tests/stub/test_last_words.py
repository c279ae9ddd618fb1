"""Each request gets one answer, in order, that its sender can read, whatever it asks for and however it is framed."""

import contextlib
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from support import plain_http
from support.stub_process import StubProcess, running_stub, until

JSON = b"content-type: application/json\r\n"
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n" + JSON
RECORD = b'{"name":"a","msg":"b"}'
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
LARGE = 20_000_000
UPGRADES = [
    b"connection: Upgrade\r\nupgrade: h2c\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: WebSocket, foo\r\n",
]


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    with running_stub(f"sqlite:///{tmp_path_factory.mktemp('stub') / 'stub.sqlite'}") as stub:
        yield stub


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    short = {"STUB_LINGER_TIMEOUT": "0.1", "STUB_BODY_TIMEOUT": "0.1", "STUB_HEAD_TIMEOUT": "0.1"}
    with running_stub(f"sqlite:///{tmp_path_factory.mktemp('stub') / 'stub.sqlite'}", **short) as stub:
        yield stub


def connect(stub: StubProcess) -> socket.socket:
    host, port = stub.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 30)


def ask(stub: StubProcess, *parts: bytes) -> bytes:
    """Send all parts, then read until the stub ends its half. A reset raises ConnectionError."""
    with connect(stub) as s:
        for part in parts:
            s.sendall(part)
        return read_all(s)


def read_all(s: socket.socket) -> bytes:
    return b"".join(iter(lambda: s.recv(65536), b""))


def statuses(answers: bytes) -> list[int]:
    return [int(one[:3]) for one in answers.split(b"HTTP/1.1 ")[1:]]


def sized(body: bytes) -> bytes:
    return b"content-length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    return b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("framed", [sized, chunked])
def test_an_upgrade_is_ignored_and_the_body_is_read(stub: StubProcess, upgrade: bytes, framed: object) -> None:
    assert callable(framed)
    answers = ask(stub, HEAD + upgrade + framed(RECORD), LAST)
    assert statuses(answers) == [201, 200]
    assert b'"payload":' + RECORD in answers


@pytest.mark.parametrize("framed", [sized, chunked])
def test_a_body_behind_an_upgrade_is_never_a_request(stub: StubProcess, framed: object) -> None:
    assert callable(framed)
    body = framed(GET)
    head = HEAD + UPGRADES[0]
    whole = ask(stub, head + body + LAST)
    assert statuses(whole) == [400, 200]
    with connect(stub) as s:
        s.sendall(head + body[: body.index(b"\r\n\r\n") + 4])
        assert plain_http.get(f"{stub.url}/healthz").status_code == 200  # so the head has been read alone
        s.sendall(body[body.index(b"\r\n\r\n") + 4 :] + LAST)
        assert statuses(read_all(s)) == [400, 200]


def test_an_upgrade_without_a_body_and_an_old_one_are_ignored_too(stub: StubProcess) -> None:
    upgraded = GET[:-2] + UPGRADES[0] + b"\r\n"
    assert statuses(ask(stub, upgraded + upgraded + LAST)) == [200, 200, 200]
    assert statuses(ask(stub, upgraded.replace(b"1.1", b"1.0"))) == [200]
    assert statuses(ask(stub, HEAD + b"connection: close, upgrade\r\nupgrade: h2c\r\n" + sized(RECORD))) == [201]


def test_a_body_behind_an_upgrade_has_the_bounds_of_all(stub: StubProcess) -> None:
    head = HEAD + UPGRADES[0] + b"content-length: %d\r\n\r\n" % LARGE
    assert statuses(ask(stub, head, b" " * LARGE, LAST)) == [413, 200]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_curl_that_offers_http_2_is_answered_by_http_1(stub: StubProcess) -> None:
    shown = ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]
    asked = ["--http2", "-H", "content-type: application/json", "-d", RECORD.decode(), stub.url]
    done = subprocess.run(["curl", *shown, *asked], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "201 1.1"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD, 413),
        (HEAD.replace(b"1.1", b"1.0"), 413),
        (HEAD.replace(b"/json", b"/xml"), 415),
        (HEAD + b"idempotency-key: \r\n", 400),
        (HEAD.replace(b"POST /", b"POST /nothing"), 404),
        (HEAD.replace(b"POST /", b"PUT /"), 405),
        (HEAD.replace(b"POST /", b"GET /healthz"), 200),
    ],
)
def test_who_asks_for_a_close_is_answered_while_still_sending(stub: StubProcess, sent: bytes, status: int) -> None:
    length = b"connection: close\r\ncontent-length: %d\r\n\r\n" % LARGE
    assert statuses(ask(stub, sent + length, b" " * LARGE)) == [status]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"x-more: " + b"x" * 1_000_000 + b"\r\n\r\n", 431),
        (HEAD + b"x-more: 1\r\n" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
        (b"no request\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n", 501),
        (b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!", 400),
        (HEAD + b"content-length: -1\r\n\r\n", 400),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nno size\r\n", 400),
        (HEAD + b"x-folded: a\r\n b\r\n" + sized(RECORD), 400),
    ],
)
def test_what_is_no_request_is_told_so_while_its_sender_goes_on(stub: StubProcess, sent: bytes, status: int) -> None:
    answers = ask(stub, sent, b" " * LARGE)
    assert statuses(answers) == [status]
    assert b"\r\ncontent-type: application/problem+json\r\n" in answers
    assert b"\r\nconnection: close\r\n" in answers


def test_a_head_past_the_limit_is_refused_though_it_came_at_once(stub: StubProcess) -> None:
    more = b"x-more: %b\r\n" % (b"x" * 100_000)
    assert statuses(ask(stub, HEAD + more + sized(RECORD))) == [431]
    assert statuses(ask(stub, HEAD + sized(b"{" + b" " * 100_000 + RECORD[1:]), LAST)) == [201, 200]


@pytest.mark.parametrize("bad", [b"no request\r\n\r\n", b"GET / HTTP/1.1\r\nx-more: " + b"x" * 100_000])
def test_a_refusal_waits_for_the_answers_before_it(stub: StubProcess, bad: bytes) -> None:
    slow = HEAD + b"stub-misbehave: latency=0.3\r\n" + sized(RECORD)
    answers = ask(stub, slow + slow + bad, b" " * LARGE)
    assert statuses(answers)[:2] == [201, 201]
    assert statuses(answers)[2:] in ([400], [431])


def test_a_body_that_breaks_its_framing_behind_another_request_leaves_that_ones_answer(stub: StubProcess) -> None:
    slow = HEAD + b"stub-misbehave: latency=0.3\r\n" + sized(RECORD)
    assert statuses(ask(stub, slow + HEAD + b"transfer-encoding: chunked\r\n\r\nno size\r\n")) == [201, 400]


def test_a_refused_body_that_breaks_its_framing_has_no_second_answer(stub: StubProcess) -> None:
    with connect(stub) as s:
        s.sendall(HEAD.replace(b"/json", b"/xml") + b"transfer-encoding: chunked\r\n\r\n")
        answer = s.recv(65536)
        s.sendall(b"no size\r\n")
        assert statuses(answer + read_all(s)) == [415]


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\n", HEAD + b"content-length: 100\r\n\r\n"])
def test_a_timeout_behind_another_request_leaves_that_ones_answer(impatient: StubProcess, begun: bytes) -> None:
    slow = HEAD + b"stub-misbehave: latency=2\r\n" + sized(RECORD)
    assert statuses(ask(impatient, slow + begun)) == [201, 408]


def test_who_goes_on_and_on_is_cut_off(impatient: StubProcess) -> None:
    with connect(impatient) as s:
        s.sendall(b"no request\r\n\r\n")
        assert statuses(read_all(s)) == [400]
        with contextlib.suppress(ConnectionError):
            for _ in until():
                s.sendall(b" ")


def test_a_stop_does_not_wait_for_who_was_told_the_last(sqlite_url: str) -> None:
    with running_stub(sqlite_url, STUB_LINGER_TIMEOUT="3600", STUB_STOP_TIMEOUT="3600") as stub, connect(stub) as s:
        s.sendall(b"no request\r\n\r\n")
        select.select([s], [], [], 30)
        assert stub.stop() == 0
        assert statuses(read_all(s)) == [400]
