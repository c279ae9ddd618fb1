"""The bytes of a request, and what the head of an answer means (RFC 9112)."""

import pytest

from traffic.http.http1 import CHUNKED, UNTIL_CLOSE, BrokenAnswerError, read_head, request_bytes, request_prefix


def head(*lines: str, end: str = "\r\n"):
    return read_head((end.join([*lines, "", ""])).encode("latin-1"))


@pytest.mark.parametrize(
    ("lines", "length", "keep_alive"),
    [
        (["HTTP/1.1 201 Created", "Content-Length: 7"], 7, True),
        (["HTTP/1.1 201 Created", "content-LENGTH:7"], 7, True),
        (["HTTP/1.1 201 Created", "Content-Length: 7", "Content-Length: 7"], 7, True),
        (["HTTP/1.1 201 Created", "Content-Length: 7, 7"], 7, True),
        (["HTTP/1.1 201 Created", "Transfer-Encoding: chunked"], CHUNKED, True),
        (["HTTP/1.1 201 Created", "Transfer-Encoding: gzip, Chunked"], CHUNKED, True),
        (["HTTP/1.1 201 Created", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"], CHUNKED, True),
        (["HTTP/1.1 201 Created", "Transfer-Encoding: chunked", "Content-Length: 7"], CHUNKED, False),
        (["HTTP/1.1 201 Created", "Transfer-Encoding: gzip"], UNTIL_CLOSE, False),
        (["HTTP/1.1 201 Created"], UNTIL_CLOSE, False),
        (["HTTP/1.1 201"], UNTIL_CLOSE, False),
        (["HTTP/1.1 204 No Content", "Content-Length: 7"], 0, True),
        (["HTTP/1.1 304 Not Modified", "Transfer-Encoding: chunked"], 0, True),
        (["HTTP/1.1 100 Continue"], 0, True),
        (["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"], 0, False),
        (["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: te, Close"], 0, False),
        (["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: keep-alive"], 0, True),
        (["HTTP/1.0 200 OK", "Content-Length: 0"], 0, False),
        (["HTTP/1.0 200 OK", "Content-Length: 0", "Connection: Keep-Alive"], 0, True),
        (["HTTP/1.0 200 OK", "Transfer-Encoding: chunked", "Connection: keep-alive"], CHUNKED, False),
        (["HTTP/1.1 200 OK", "X-Folded: a", "\tb", "Content-Length: 3"], 3, True),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["CR LF", "LF"])
def test_a_head_says_how_its_body_ends_and_whether_the_connection_goes_on(lines, length, keep_alive, end):
    read = head(*lines, end=end)
    assert (read.length, read.keep_alive) == (length, keep_alive)


@pytest.mark.parametrize(
    "lines",
    [
        ["HTTP/2 200 OK"],
        ["HTTP/1.1  200 OK"],
        ["HTTP/1.1 20 OK"],
        ["HTTP/1.1 2000 OK"],
        ["HTTP/1.1 099 OK"],
        ["ICY 200 OK"],
        [" HTTP/1.1 200 OK"],
        ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket"],
        ["HTTP/1.1 200 OK", "Content-Length: 7", "Content-Length: 8"],
        ["HTTP/1.1 200 OK", "Content-Length: -1"],
        ["HTTP/1.1 200 OK", "Content-Length: +1"],
        ["HTTP/1.1 200 OK", "Content-Length: 1_0"],
        ["HTTP/1.1 200 OK", "Content-Length: 0x10"],
        ["HTTP/1.1 200 OK", "Content-Length:"],
        ["HTTP/1.1 200 OK", "Content-Length: 99999999999999999999"],
        ["HTTP/1.1 200 OK", "Content-Length : 7"],
        ["HTTP/1.1 200 OK", "no colon"],
        ["HTTP/1.1 200 OK", ": no name"],
        ["HTTP/1.1 200 OK", "A: b\rC: d"],
        ["HTTP/1.1 200 OK", "A: b\0"],
    ],
)
def test_what_is_no_head_is_broken(lines):
    with pytest.raises(BrokenAnswerError):
        head(*lines)


def test_a_field_is_found_whatever_its_case():
    assert head("HTTP/1.1 503 Busy", "RETRY-after:  2 ", "Retry-After: 3").get("retry-after") == "2"


def test_a_request_is_its_head_and_the_record_as_it_stands():
    headers = {"Content-Type": "application/json", "Idempotency-Key": "run-1-"}
    prefix = request_prefix("POST", "/messages", "api:4000", headers.items())
    body = '{"name": "é"}'.encode()
    assert request_bytes(prefix, 42, body) == (
        b"POST /messages HTTP/1.1\r\nHost: api:4000\r\nContent-Type: application/json\r\n"
        b"Idempotency-Key: run-1-42\r\nContent-Length: 14\r\n\r\n" + body
    )


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("PO ST", "/", {}),
        ("POST", "/a b", {}),
        ("POST", "/é", {}),
        ("POST", "/\r\nX: y", {}),
        ("POST", "/", {"X": "a\r\nY: b"}),
        ("POST", "/", {"X y": "a"}),
    ],
)
def test_what_cannot_stand_in_a_head_is_refused(method, path, headers):
    with pytest.raises(ValueError, match="cannot"):
        request_prefix(method, path, "api", headers.items())
