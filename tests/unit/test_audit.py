"""The target's audit is compared with the ledger; the target is a real server, honest, odd or broken."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest

from traffic.core.audit_source import AuditSource, AuditSourceError
from traffic.master import audit as reconcile
from traffic.master.audit import AuditError, agrees, count_at, fetch_audit

RUN = "20260102-030405-abcd"
AUDIT = {"run": RUN, "stored": 100, "posts": 101, "replayed": 1, "conflicts": 0}


class Target:
    """An HTTP server that answers every GET with the bytes given."""

    def __init__(self) -> None:
        self.status, self.body, self.raw, self.location = 200, b"", b"", ""
        self.asked: list[tuple[str, str | None]] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target.asked.append((self.path, self.headers["Accept"]))
                if target.raw:
                    self.wfile.write(target.raw)
                    return
                self.send_response(target.status)
                if target.location:
                    self.send_header("Location", target.location)
                self.send_header("Content-Length", str(len(target.body)))
                self.end_headers()
                self.wfile.write(target.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def said(target, caplog) -> Callable[..., tuple[object, str]]:
    """Return what fetch_audit makes of an answer, and what the log says."""

    def ask(status: int = 200, body: bytes | object = b"", raw: bytes = b"") -> tuple[object, str]:
        target.status, target.raw = status, raw
        target.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        with caplog.at_level(logging.INFO):
            return fetch_audit(target.host, RUN), caplog.text

    return ask


def test_an_audit_is_read_as_the_target_says_it(target, said):
    assert said(body=AUDIT)[0] == AUDIT
    assert target.asked == [(f"/audit?run={RUN}", "application/json")]


def test_a_host_with_a_path_and_a_slash_is_asked_below_it(target):
    target.body = json.dumps(AUDIT).encode()
    assert fetch_audit(target.host + "/base/", RUN) == AUDIT
    assert target.asked[0][0] == f"/base/audit?run={RUN}"


@pytest.mark.parametrize("status", [400, 401, 404, 405, 500, 503])
def test_a_target_without_an_audit_offers_none(said, status):
    audit, log = said(status, b"nothing here")
    assert audit is None
    assert f"answered {status}" in log


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Hello</html>", b"\xff\xfe", b'{"run": ', b"[" * 100_000, b'{"a": "' + b"x" * (2 << 20) + b'"}'],
)
def test_an_answer_that_is_no_json_offers_none(said, body):
    audit, log = said(body=body)
    assert audit is None
    assert "the target's audit could not be read" in log


@pytest.mark.parametrize(
    "body",
    [
        *[[], "100", 100, None, {}, {"stored": 100}],
        {**AUDIT, "run": "another"},
        {"run": RUN},
        {**AUDIT, "stored": "100"},
        {**AUDIT, "stored": None},
        {**AUDIT, "stored": True},
        {**AUDIT, "stored": 1.5},
        {**AUDIT, "stored": -1},
    ],
)
def test_an_answer_about_something_else_offers_none(said, body):
    audit, log = said(body=body)
    assert audit is None
    assert "answered something else" in log


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-x\r\n", b"\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"]
)
def test_a_target_that_speaks_no_proper_http_offers_none(said, raw):
    audit, log = said(raw=raw)
    assert audit is None
    assert "the target's audit could not be read" in log


def test_a_target_that_hangs_up_offers_none(caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"http://127.0.0.1:{server.getsockname()[1]}"

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert fetch_audit(host, RUN) is None
        thread.join()
    assert "the target's audit could not be read" in caplog.text


@pytest.fixture
def over_unix(tmp_path) -> Iterator[tuple[Target, str]]:
    """Start a target at a Unix socket; yield its host."""
    made, path = Target(), str(tmp_path / "api.sock")
    made.server.socket.close()
    made.server.socket = socket.socket(socket.AF_UNIX)
    made.server.socket.bind(path)
    made.server.socket.listen()
    made.server.get_request = lambda: (made.server.socket.accept()[0], ("unix", 0))  # type: ignore[method-assign] # who asks has no address
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made, f"http+unix://{quote(path, safe='')}"
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_target_at_a_unix_socket_is_asked_there(over_unix):
    target, host = over_unix
    target.body = json.dumps(AUDIT).encode()
    assert fetch_audit(host, RUN) == AUDIT
    assert fetch_audit(f"{host}/base/", RUN) == AUDIT
    assert [path for path, _ in target.asked] == [f"/audit?run={RUN}", f"/base/audit?run={RUN}"]


def test_a_target_at_a_unix_socket_without_an_audit_offers_none(over_unix, caplog):
    target, host = over_unix
    target.status = 404
    with caplog.at_level(logging.INFO):
        assert fetch_audit(host, RUN) is None
    assert "answered 404" in caplog.text


def test_a_unix_socket_that_is_not_there_offers_none(caplog):
    assert fetch_audit("http+unix://%2Fnowhere%2Fapi.sock", RUN) is None
    assert "could not be read" in caplog.text


def test_a_target_that_is_not_there_offers_none(caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert fetch_audit(f"http://127.0.0.1:{port}", RUN) is None
    assert "the target's audit could not be read" in caplog.text


def test_a_target_that_never_answers_is_not_waited_for(monkeypatch, caplog):
    monkeypatch.setattr(reconcile, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert fetch_audit(f"http://127.0.0.1:{server.getsockname()[1]}", RUN) is None
    assert "timed out" in caplog.text


@pytest.mark.parametrize("host", ["", "api", "ftp://127.0.0.1", "file:///etc", "127.0.0.1:80"])
def test_what_is_no_http_host_is_not_asked(host, caplog):
    assert fetch_audit(host, RUN) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    "host", ["http://", "http://[", "http://a b", "http://ñandú.invalid:x", "http://127.0.0.1:99999999"]
)
def test_a_host_that_is_no_address_offers_none(host):
    assert fetch_audit(host, RUN) is None


def test_a_redirect_to_a_file_is_not_followed(target, tmp_path, said):
    path = tmp_path / "audit"
    path.write_text(json.dumps(AUDIT))
    target.location = path.as_uri()
    assert said(302)[0] is None


def test_a_proxy_is_passed_by_as_it_was_for_the_records(target, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    target.body = json.dumps(AUDIT).encode()
    assert fetch_audit(target.host, RUN) == AUDIT


@pytest.mark.parametrize(
    ("stored", "delivered", "rejected", "in_doubt", "possible"),
    [
        (100, 100, 0, 0, True),
        (99, 100, 0, 0, False),  # a delivered record is not there
        (101, 100, 0, 0, False),  # one is there that nobody sent
        (98, 98, 0, 2, True),  # neither in doubt was stored
        (100, 98, 0, 2, True),  # both were
        (99, 98, 1, 1, True),
        (101, 98, 1, 1, False),
        (0, 0, 0, 0, True),
        (1, 0, 0, 0, False),
    ],
)
def test_a_report_is_possible_where_all_delivered_are_stored_and_no_more_than_was_sent(
    stored, delivered, rejected, in_doubt, possible
):
    counts = {"delivered": delivered, "rejected": rejected, "in_doubt": in_doubt}
    assert agrees({"stored": stored}, counts) == possible


COUNTS = {"delivered": 100, "rejected": 0, "in_doubt": 0}


def answers(monkeypatch: pytest.MonkeyPatch, *stored: int | None) -> list[str]:
    """Have the audit report these numbers in turn, then the last for ever (None: no audit); return who was asked."""
    asked: list[str] = []
    left = list(stored)

    def fetch(host: str, run: str) -> dict[str, object] | None:
        asked.append(host)
        said = left.pop(0) if len(left) > 1 else left[0]
        return None if said is None else {**AUDIT, "stored": said}

    monkeypatch.setattr(reconcile, "fetch_audit", fetch)
    monkeypatch.setattr(reconcile, "ASK_AGAIN_S", 0.001)
    return asked


def test_an_audit_that_lags_is_asked_again_until_it_has_what_was_delivered(monkeypatch):
    asked = answers(monkeypatch, 5, 60, None, 100)
    assert reconcile.reconcile("http://api", RUN, COUNTS) == {**AUDIT, "stored": 100, "agrees": True}
    assert asked == ["http://api"] * 4


def test_an_audit_that_stays_short_disagrees_after_a_while(monkeypatch, caplog):
    asked = answers(monkeypatch, 5)
    monkeypatch.setattr(reconcile, "CATCH_UP_S", 0.05)
    with caplog.at_level(logging.INFO):
        assert reconcile.reconcile("http://api", RUN, COUNTS) == {**AUDIT, "stored": 5, "agrees": False}
    assert len(asked) > 1
    assert caplog.text.count("fewer records than were delivered") == 1


@pytest.mark.parametrize(("stored", "made"), [(100, True), (101, False), (None, None)])
def test_an_audit_that_is_not_short_is_asked_once(monkeypatch, stored, made):
    asked = answers(monkeypatch, stored)
    audit = reconcile.reconcile("http://api", RUN, COUNTS)
    assert (audit and audit["agrees"]) == made
    assert len(asked) == 1


@pytest.mark.parametrize(("stored", "agreed"), [(39, False), (40, True), (100, True), (101, False)])
def test_a_target_that_a_run_moved_to_need_not_have_what_was_settled_before(monkeypatch, stored, agreed):
    answers(monkeypatch, stored)
    monkeypatch.setattr(reconcile, "CATCH_UP_S", 0.01)
    audit = reconcile.reconcile("http://api", RUN, COUNTS, elsewhere=60)
    assert audit == {**AUDIT, "stored": stored, "elsewhere": 60, "agrees": agreed}


@pytest.mark.parametrize("said", [60, "x"])
def test_how_many_records_a_target_need_not_have_is_not_its_own_to_say(monkeypatch, said):
    monkeypatch.setattr(reconcile, "fetch_audit", lambda *_: {**AUDIT, "stored": 40, "elsewhere": said})
    monkeypatch.setattr(reconcile, "ASK_AGAIN_S", 0.001)
    monkeypatch.setattr(reconcile, "CATCH_UP_S", 0.01)
    assert reconcile.reconcile("http://api", RUN, COUNTS) == {**AUDIT, "stored": 40, "agrees": False}


# How many records the API has, where a person says.

TOTAL = AuditSource.read("/messages/count /total")


def test_the_number_is_asked_for_where_a_person_said_with_the_headers_of_the_options(target):
    target.body = b'{"total": 7, "items": [{"n": "12"}]}'
    assert count_at(target.host, TOTAL, [("Authorization", "Bearer x")]) == 7
    assert target.asked == [("/messages/count", "application/json")]
    assert count_at(target.host, AuditSource.read("/a?b=c /items/0/n")) == 12
    target.body = b"9"
    assert count_at(f"{target.host}/", AuditSource.read("/count")) == 9


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b'{"total": -1}', 200, "at /total of its answer stands -1, and no whole number"),
        (b'{"total": true}', 200, "stands true"),
        (b'{"all": 1}', 200, "stands null"),
        (b"<html>", 200, "GET http://.*/messages/count: "),
        (b"{}", 401, "was answered 401"),
    ],
)
def test_what_is_no_number_is_refused_with_the_reason(target, body, status, why):
    target.body, target.status = body, status
    with pytest.raises(AuditError, match=why):
        count_at(target.host, TOTAL)


@pytest.mark.parametrize(
    ("after", "counts", "good"),
    [
        (110, (10, 0, 0), True),
        (112, (10, 1, 1), True),
        (109, (10, 0, 0), False),
        (113, (10, 1, 1), False),
        (95, (10, 0, 0), False),
    ],
)
def test_what_the_api_has_more_is_held_against_the_report(target, monkeypatch, after, counts, good):
    monkeypatch.setattr(reconcile, "CATCH_UP_S", 0.01)
    target.body = json.dumps({"total": after}).encode()
    named = dict(zip(("delivered", "rejected", "in_doubt"), counts, strict=True))
    audit = reconcile.reconcile_growth(target.host, TOTAL, 100, named, 0)
    assert audit == {
        "source": "/messages/count /total",
        "before": 100,
        "after": after,
        "stored": after - 100,
        "agrees": good,
    }


def test_an_api_that_does_not_say_afterwards_does_not_agree(target, caplog):
    target.status = 500
    audit = reconcile.reconcile_growth(target.host, TOTAL, 100, {"delivered": 1, "rejected": 0, "in_doubt": 0}, 0)
    assert (audit["agrees"], audit["after"]) == (False, None)
    assert "was answered 500" in audit["error"]
    assert "cannot be read" in caplog.text


def test_what_an_api_said_before_it_failed_is_kept(monkeypatch):
    said = iter([105])

    def count(*_: object) -> int:
        for told in said:
            return told
        raise AuditError("/messages/count was answered 500")

    monkeypatch.setattr(reconcile, "ASK_AGAIN_S", 0)
    monkeypatch.setattr(reconcile, "count_at", count)
    audit = reconcile.reconcile_growth("http://api", TOTAL, 100, {"delivered": 10, "rejected": 0, "in_doubt": 0}, 3)
    assert (audit["after"], audit["stored"], audit["elsewhere"], audit["agrees"]) == (105, 5, 3, False)
    assert audit["error"] == "/messages/count was answered 500"


@pytest.mark.parametrize("bad", ["", "count", "/count total", "/a b /c", "http://x/count /total"])
def test_what_names_no_place_is_refused(bad):
    with pytest.raises(AuditSourceError, match="a path and a JSON Pointer"):
        AuditSource.read(bad)
