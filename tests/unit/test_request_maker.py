"""One list of headers for both kinds of user, and a record that is a whole request on the wire."""

import re

import pytest

from traffic.core.protocol import RunConfig
from traffic.core.reading import BODIES, REQUESTS
from traffic.core.request_record import fields_of, pack
from traffic.core.trace import OF_A_TRACE, trace_id
from traffic.http.resolver import Target
from traffic.users.at_stub import is_stub, only_at_stub, tasks_for
from traffic.users.request_maker import RequestMaker


def maker(records=BODIES, host="http://u:p@api:4000/v1", own=None, told=(), *, trace=False):
    run = RunConfig("run", "PUT", "/in", (0.0, 0.0), 1, "at-least-once", records=records, trace=trace)
    return RequestMaker(run, Target.of(host), "w", own or {}, told)


def test_a_body_goes_to_the_runs_path_with_the_headers_of_all_in_their_order():
    made = maker(own={"X-A": "own", "user-agent": "me"}, told=[("X-A", "told"), ("Content-Type", "text/xml")])
    assert made.request(7, b"{}").decode().split("\r\n") == [
        *("PUT /v1/in HTTP/1.1", "Host: api:4000", "Authorization: Basic dTpw", "user-agent: me", "X-A: told"),
        *("Content-Type: text/xml", "Traffic-Worker: w", "Idempotency-Key: run-7", "Content-Length: 2", "", "{}"),
    ]
    parts = made.parts(7, b"{}")
    assert (parts.method, parts.path, parts.body, parts.name) == ("PUT", "/in", b"{}", "/in")
    assert parts.headers["X-A"] == "told"
    assert parts.headers["Idempotency-Key"] == "run-7"
    assert made.counted_as(b"{}") == ("/in", "PUT")


WHOLE = pack("/orders/{id}", "PATCH", "/orders/7?x=1", [("X-A", "rec"), ("X-A", "ord"), ("Cookie", "c")], b"a\r\n\r\nb")


def test_a_whole_request_is_sent_as_it_is_with_what_only_the_run_knows():
    assert maker(REQUESTS, "http://api").request(3, WHOLE).decode().split("\r\n") == [
        *("PATCH /orders/7?x=1 HTTP/1.1", "Host: api", "X-A: rec", "X-A: ord", "Cookie: c", "Traffic-Worker: w"),
        *("Idempotency-Key: run-3", "Content-Length: 6", "", "a", "", "b"),
    ]
    parts = maker(REQUESTS, "http://api").parts(3, WHOLE)
    assert (parts.method, parts.path, parts.body, parts.name) == (
        *("PATCH", "/orders/7?x=1", b"a\r\n\r\nb", "/orders/{id}"),
    )
    assert parts.headers["X-A"] == "rec, ord"
    assert maker(REQUESTS).counted_as(WHOLE) == ("/orders/{id}", "PATCH")


def test_the_options_take_the_place_of_a_requests_own_headers():
    made = maker(REQUESTS, told=[("x-a", "told")]).request(3, WHOLE).decode()
    assert "rec" not in made
    assert "x-a: told\r\n" in made
    assert made.startswith("PATCH /v1/orders/7?x=1 HTTP/1.1\r\nHost: api:4000\r\nCookie: c\r\n")


def test_the_host_that_was_recorded_goes_first_if_it_is_there():
    record = pack("/", "GET", "/", [("Host", "shop.example"), ("A", "b")], b"")
    made = maker(REQUESTS, "http://api").request(0, record)
    assert made.startswith(b"GET / HTTP/1.1\r\nHost: shop.example\r\nA: b\r\n")
    assert made.count(b"Host:") == 1


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", b"", None),
        ("HEAD", b"", None),
        ("DELETE", b"", None),
        ("POST", b"", 0),
        ("PUT", b"", 0),
        ("GET", b"x", 1),
    ],
)
def test_a_request_without_a_body_says_so_where_one_is_usual(method, body, length):
    made = maker(REQUESTS).request(0, pack("n", method, "/", [], body))
    assert (b"Content-Length: " in made) == (length is not None)
    if length is not None:
        assert b"Content-Length: %d\r\n\r\n" % length in made


@pytest.mark.parametrize("name", ["Host", "content-length", "Idempotency-Key", "Traffic-Worker", "Transfer-Encoding"])
def test_what_is_the_runs_own_is_not_set_by_a_class(name):
    with pytest.raises(ValueError, match="leave it out of default_headers"):
        maker(own={name: "x"})


def test_a_header_that_ends_the_head_is_refused():
    with pytest.raises(ValueError, match="cannot stand in the head"):
        maker(own={"A": "b\r\nC: d"})


@pytest.mark.parametrize(
    ("stub", "host", "there"),
    [
        ("", "http://127.0.0.1:4000", False),
        ("http://api:4000,http://balancer:4000", "http://api:4000/", True),
        ("http://api:4000,http://balancer:4000", "http://mine.example", False),
        ("*", "http://mine.example", True),
    ],
)
def test_tasks_for_the_stub_are_done_there_alone(monkeypatch, stub, host, there):
    def post():
        pass

    @only_at_stub
    def read():
        pass

    monkeypatch.setenv("TRAFFIC_STUB", stub)
    assert is_stub(host) is there
    assert tasks_for([post, read, read], host) == ([post, read, read] if there else [post])


TRACED = pack("/", "GET", "/", [("Traceparent", "00-old"), ("tracestate", "old=1"), ("A", "b")], b"")


def traces(made: bytes) -> list[str]:
    return [value for name, value in fields_of(made.partition(b"\r\n\r\n")[0]) if name.lower() in OF_A_TRACE]


@pytest.mark.parametrize(
    ("records", "record"), [(BODIES, b"{}"), (REQUESTS, WHOLE), (REQUESTS, TRACED)], ids=["body", "request", "traced"]
)
def test_a_traced_request_is_in_its_records_trace_with_a_span_of_its_own(records, record):
    made = maker(records, told=[("TraceParent", "00-mine"), ("A", "c")], trace=True)
    seen = [*traces(made.request(7, record)), *traces(made.request(7, record))]
    seen += [value for name, value in made.parts(7, record).headers.items() if name.lower() in OF_A_TRACE]
    assert len(seen) == 3, "each request has one, and none that was recorded or told"
    ids = [re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", one) for one in seen]
    assert {one and one[1] for one in ids} == {trace_id("run-7")}
    assert len({one and one[2] for one in ids}) == 3
    given = [*traces(made.request(7, record, 10)), made.parts(7, record, 2**64 - 1).headers["traceparent"]]
    assert given == [f"00-{trace_id('run-7')}-{span}-01" for span in ("000000000000000a", "f" * 16)]
    assert trace_id("run-7") != trace_id("run-8")


def test_a_run_that_is_not_traced_sends_the_trace_that_was_recorded():
    assert traces(maker(REQUESTS).request(7, TRACED)) == ["00-old", "old=1"]
