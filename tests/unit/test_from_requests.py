"""Recorded requests: what of each format is sent again, what is left out and counted, and what is refused."""

import base64
import gzip
import json

import numpy as np
import pytest

from support.golden import ALB, APACHE, CLOUDFRONT, http, message
from traffic.core.reading import Reading
from traffic.core.request_record import fields_of, split
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.from_requests.gor import SEPARATOR
from traffic.dataset.loader import DatasetLoader
from unit.traffic_file import all_bodies, loaded, window, written

UA = ("User-Agent", "traffic-replayer")


def opened(tmp_path, data, name="requests.jsonl", **reading):
    """What a file is read as: for each request its name, line, fields and body; the label; the notes; the times."""
    with loaded(tmp_path, data, name, Reading(records="requests", **reading)) as (dataset, notes):
        parts = [split(record) for record in all_bodies(dataset)]
        times = None if dataset.times is None else dataset.times.tolist()
        made = [(name.decode(), line.decode(), fields_of(fields), body) for name, line, fields, body in parts]
        return made, dataset.label, [note.removeprefix(f"{dataset.file}: ") for note in notes], times


def requests(tmp_path, data, name="requests.jsonl", **reading):
    return opened(tmp_path, data, name, **reading)[0]


def refused(tmp_path, data, name="requests.jsonl", **reading):
    with pytest.raises(DatasetError) as caught:
        opened(tmp_path, data, name, **reading)
    return caught.value


# Lines of requests.

VEGETA = {
    "method": "POST",
    "url": "http://shop.example/orders/7?x=1#top",
    "header": {"X-A": ["b", "c"]},
    "body": "AAEC",
}
LINES = [
    VEGETA,
    {"method": "patch", "url": "/orders/8", "json": {"n": 1}, "time": "2026-11-22T17:22:28.375Z", "name": "order"},
    {"method": "PUT", "url": "/ñ?q=é", "text": "¡Hola!", "header": {"Content-Type": "text/plain"}},
    {"method": "GET", "url": "/"},
]


def lines(*given):
    return "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in given)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_of_requests_are_vegetas_targets_and_more(tmp_path, pack):
    made, label, notes, times = opened(tmp_path, pack(lines(*LINES).encode()))
    assert made == [
        ("/orders/{id}", "POST /orders/7?x=1", [("X-A", "b"), ("X-A", "c"), UA], b"\0\1\2"),
        ("order", "PATCH /orders/8", [("Content-Type", "application/json"), UA], b'{"n": 1}'),
        ("/%C3%B1", "PUT /%C3%B1?q=%C3%A9", [("Content-Type", "text/plain"), UA], "¡Hola!".encode()),
        ("/", "GET /", [UA], b""),
    ]
    assert (label.removesuffix(", gzip"), notes) == ("lines of requests", [])
    assert times is not None
    assert times[1] == 1_795_368_148_375_000_000
    assert set(times[:1] + times[2:]) == {-(2**63)}


def test_a_member_that_is_null_is_not_there_except_json(tmp_path):
    nothing = {"header": None, "body": None, "text": None, "time": None, "name": None}
    assert requests(
        tmp_path, lines({"method": "GET", "url": "/a", **nothing}, {"method": "PUT", "url": "/b", "json": None})
    ) == [
        ("/a", "GET /a", [UA], b""),
        ("/b", "PUT /b", [("Content-Type", "application/json"), UA], b"null"),
    ]


def test_the_bytes_of_json_are_those_of_the_file(tmp_path):
    assert requests(tmp_path, '{"method":"PUT","url":"/","json": {"a" : 1.50, "b":"\\u00e9"} }')[0][3] == (
        b'{"a" : 1.50, "b":"\\u00e9"}'
    )


BAD = {
    "a member too many": (
        '{"method":"GET","url":"/","headers":{}}',
        "has the member 'headers', which requests do not have",
    ),
    "no url": ('{"method":"GET"}', "has no 'url', which every request has"),
    "two bodies": ('{"method":"PUT","url":"/","text":"a","json":1}', "has 'text' and 'json': a request has one body"),
    "no base64": ('{"method":"PUT","url":"/","body":"a$"}', "has a 'body' that is no base64"),
    "an array": ("[]", "is an array, not a JSON object"),
    "broken": ('{"method"', "is no JSON"),
    "two on a line": ('{"method":"GET","url":"/"} {}', "is followed by an object on the same line"),
    "a number": ('{"method":1,"url":"/"}', "has something else than a text as 'method'"),
    "a header": ('{"method":"GET","url":"/","header":{"A":[1]}}', "has something else than texts as the header 'A'"),
    "a break in a header": (
        '{"method":"GET","url":"/","header":{"A":["b\\r\\nC: d"]}}',
        "cannot be sent: the header A holds a line break",
    ),
    "a break in a name": (
        '{"method":"GET","url":"/","header":{"A\\r\\nB":["b"]}}',
        "cannot be sent: 'A\\r\\nB' cannot be",
    ),
    "a break in the url": ('{"method":"GET","url":"/\\r\\nX: y"}', "has a line break or NUL in its URL"),
    "a break in the method": (
        '{"method":"GET / HTTP/1.1\\r\\n","url":"/"}',
        "has the method 'GET / HTTP/1.1\\r\\n', which",
    ),
    "another scheme": ('{"method":"GET","url":"ftp://x/"}', "has the URL 'ftp://x/': it must begin with /"),
    "a relative url": ('{"method":"GET","url":"orders"}', "has the URL 'orders': it must begin with /"),
    "no time": ('{"method":"GET","url":"/","time":"noon"}', "has the time 'noon', which is not ISO 8601"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_is_no_request_is_refused_with_its_place(tmp_path, name):
    text, what = BAD[name]
    error = refused(tmp_path, lines(LINES[3], "", text, LINES[3]))
    assert error.what.startswith(what)
    assert (error.record, error.line) == (1, 3)


FAR = {
    "lines.jsonl": lines({"method": "GET", "url": "/", "time": "9999-01-01T00:00:00Z"}),
    "capture.gor": "1 ab 9999999999999999999\nGET / HTTP/1.1\r\n\r\n" + SEPARATOR.decode(),
    "access.log": '1.1.1.1 - - [01/Jan/9999:00:00:00 +0000] "GET / HTTP/1.1" 200 1',
}


@pytest.mark.parametrize("name", FAR)
def test_a_time_beyond_what_can_be_kept_is_refused_with_its_place(tmp_path, name):
    error = refused(tmp_path, FAR[name], name)
    assert error.what == "has a time that is more than 292 years from 1970"
    assert (error.record, error.line) == (0, 1)


def test_methods_can_be_chosen_and_those_that_nobody_sends_again_are_left_out(tmp_path):
    given = [{"method": method, "url": "/"} for method in ("GET", "CONNECT", "TRACE", "PURGE", "GET", "DELETE")]
    made, _, notes, _ = opened(tmp_path, lines(*given))
    assert [line for _, line, _, _ in made] == ["GET /", "PURGE /", "GET /", "DELETE /"]
    assert sorted(notes) == ["1 request is CONNECT, and left out", "1 request is TRACE, and left out"]
    made, _, notes, _ = opened(tmp_path, lines(*given), methods=("DELETE",))
    assert [line for _, line, _, _ in made] == ["DELETE /"]
    assert "2 requests are GET, and left out" in notes
    error = refused(tmp_path, lines(*given), methods=("HEAD",))
    assert error.what.startswith("the file has no request that is sent: 2 requests are GET, and left out")


def test_the_recorded_host_is_sent_only_if_a_person_wants_it(tmp_path):
    given = lines({"method": "GET", "url": "http://a.example/", "header": {"X": ["1"], "host": ["a.example"]}})
    assert requests(tmp_path, given)[0][2] == [("X", "1"), UA]
    assert requests(tmp_path, given, keep_host=True)[0][2] == [("Host", "a.example"), ("X", "1"), UA]


# HAR.


def entry(method="GET", url="https://shop.example/", started="2026-11-22T10:00:00.000Z", **request):
    return {
        "startedDateTime": started,
        "request": {"method": method, "url": url, "headers": [], **request},
        "response": {},
    }


def har(*entries):
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "x"}, "entries": entries}})


def test_a_har_is_sent_in_the_order_of_its_times(tmp_path):
    pseudo = [{"name": ":method", "value": "GET"}, {"name": "Cookie", "value": "a=b"}, ["X-Pair", "é"]]
    made, label, notes, times = opened(
        tmp_path,
        har(
            entry(url="https://shop.example/b", started="2026-11-22T10:00:02.000+01:00"),
            entry(url="https://shop.example/a", started="2026-11-22T09:00:01.5Z", headers=pseudo),
        ),
        "session.har",
    )
    assert [line for _, line, _, _ in made] == ["GET /a", "GET /b"]
    assert made[0][2] == [("Cookie", "a=b"), ("X-Pair", "é".encode().decode("latin-1")), UA]
    assert (label, notes) == ("a HAR", [])
    assert times == [1_795_338_001_500_000_000, 1_795_338_002_000_000_000]


def test_of_a_har_forms_are_encoded_again_and_what_it_has_no_bytes_of_is_left_out(tmp_path):
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a b", "value": "é&"}, {"name": "c"}]}
    parts = {"mimeType": "multipart/form-data; boundary=x", "params": [{"name": "f", "fileName": "a.png"}]}
    coded = {"mimeType": "image/png", "text": base64.b64encode(b"\x89PNG").decode(), "encoding": "base64"}
    made, _, notes, _ = opened(
        tmp_path,
        har(
            entry("POST", postData=form),
            entry("POST", postData=parts),
            entry("POST", postData={"mimeType": "application/json", "text": '{"a": "ñ"}'}),
            entry("PUT", postData=coded),
            entry("GET", "data:text/plain,x"),
            entry("GET", "wss://shop.example/live"),
        ),
    )
    assert [body for _, _, _, body in made] == [b"a+b=%C3%A9%26&c=", '{"a": "ñ"}'.encode(), b"\x89PNG"]
    assert [fields[0] for _, _, fields, _ in made] == [
        *(("Content-Type", "application/x-www-form-urlencoded"), ("Content-Type", "application/json")),
        ("Content-Type", "image/png"),
    ]
    assert notes == [
        "2 requests were in the browser itself or over a WebSocket, and left out",
        "1 request is a form of several parts whose bytes the file does not have, and left out",
    ]


def test_a_broken_har_is_refused(tmp_path):
    assert refused(tmp_path, '{"log": {"entries": [').what.startswith("the file begins like a HAR, and is none")
    error = refused(tmp_path, har(entry(), {"request": {"method": "GET"}}))
    assert error.what.startswith("is no entry of a HAR")
    assert (error.record, error.line) == (1, None)


# GoReplay.


def test_goreplays_requests_are_read_and_its_answers_skipped(tmp_path):
    data = b"".join(
        [
            message(http(Host="x", Content_Length=5, body=b"hello")),
            message(b"HTTP/1.1 200 OK\r\n\r\n", kind=2),
            message(http("GET /caf\xe9 HTTP/1.1", Accept="*/*"), at=1_795_338_002_000_000_000),
        ]
    )
    made, label, _, times = opened(tmp_path, data, "requests.gor")
    assert made == [
        ("/a", "POST /a", [UA], b"hello"),
        ("/caf%E9", "GET /caf%E9", [("Accept", "*/*"), UA], b""),
    ]
    assert (label, times) == ("a file of GoReplay", [1_795_338_001_500_000_000, 1_795_338_002_000_000_000])


@pytest.mark.parametrize("piece", [7, 64, 1 << 20])
def test_the_line_between_two_messages_may_stand_in_a_body(tmp_path, monkeypatch, piece):
    monkeypatch.setattr("traffic.dataset.from_requests.gor._PIECE", piece)
    body = b"a" + SEPARATOR + b"1 ab 5\nGET /smuggled HTTP/1.1\r\n\r\n" + SEPARATOR + b"b"
    data = message(http(Content_Length=len(body), body=body)) * 2 + message(http("GET /b HTTP/1.1"))
    made = requests(tmp_path, data, "requests.gor")
    assert [(line, body) for _, line, _, body in made] == [("POST /a", body)] * 2 + [("GET /b", b"")]


def test_chunked_bodies_are_put_together_and_what_was_cut_off_is_left_out(tmp_path):
    data = b"".join(
        [
            message(http(Transfer_Encoding="chunked", body=b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")),
            message(http(Transfer_Encoding="chunked", body=b"5\r\nabc")),
            message(http(Content_Length=9, body=b"abc")),
            message(b"POST / HTTP/1.1\r\nHost: x"),
        ]
    )
    made, _, notes, _ = opened(tmp_path, data, "requests.gor")
    assert [(fields, body) for _, _, fields, body in made] == [([UA], b"abcde")]
    assert notes == ["3 requests were cut off as they were recorded, and left out"]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"nonsense\r\n\r\n", "has 'nonsense' as its first line, which is none of HTTP"),
        (http(Content_Length="5, 6", body=b"hello"), "has several lengths, or one that is no number"),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", "has 'no colon' among its headers"),
        (b"POST / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", "cannot be sent: the header A holds a line break"),
        (http(Transfer_Encoding="chunked", body=b"x\r\n"), "has a chunk without a size in its body"),
    ],
)
def test_a_message_that_is_no_request_is_refused_with_its_line(tmp_path, raw, what):
    error = refused(tmp_path, message(http("GET / HTTP/1.1")) + message(raw), "requests.gor")
    assert error.what.startswith(what)
    assert (error.record, error.line) == (1, 6)


# Access logs.

COMBINED = r"""
127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2 "http://a.example/" "Mozilla/4 [en]"
::1 - - [10/Oct/2000:13:55:37 -0700] "POST /orders HTTP/1.1" 201 5 "-" "curl/8"
::1 - - [10/Oct/2000:13:55:37 -0700] "HEAD /a\xC3\xB1b?x=\"1\" HTTP/2.0" 200 0 "-" "say \"hi\"" rt=0.250
::1 - - [10/Oct/2000:13:55:38 -0700] "-" 408 0 "-" "-"
::1 - - [10/Oct/2000:13:55:38 -0700] "\x16\x03\x01" 400 166 "-" "-"
1.2.3.4 - - [10/Oct/2000:13:55:39 +0000] "GET / HTTP/1.1" 304 -
"""
AT = 971_211_336_000_000_000


def test_a_combined_log_is_sent_as_gets_and_heads_and_the_rest_is_counted(tmp_path):
    made, label, notes, times = opened(tmp_path, COMBINED.strip(), "access.log")
    assert made == [
        (
            *("/apache_pb.gif", "GET /apache_pb.gif"),
            *([("Referer", "http://a.example/"), ("User-Agent", "Mozilla/4 [en]")], b""),
        ),
        ("/a%C3%B1b", 'HEAD /a%C3%B1b?x="1"', [("User-Agent", 'say "hi"')], b""),
        ("/", "GET /", [UA], b""),
    ]
    assert (label, notes) == (
        "an access log",
        [
            "2 lines have no request (a broken or a late one), and are left out",
            "1 request is POST (a log has no bodies), and left out",
        ],
    )
    assert times == [AT, AT + 750_000_000, AT - 7 * 3_600_000_000_000 + 3_000_000_000]


def test_what_apache_escapes_is_sent_as_it_was(tmp_path):
    made, _, notes, _ = opened(tmp_path, APACHE.strip(), "access.log")
    assert [(line, fields) for _, line, fields, _ in made] == [
        ('GET /a"b\\c?q="x"', [UA]),
        (
            "GET /index?q=1&y=%C3%B1",
            [("Referer", "http://a/\xe9"), ("User-Agent", 'me "it" \\ x')],
        ),
        ("GET /caf%C3%A9%20x", [("User-Agent", "curl/8")]),
    ]
    assert len(notes) == 2


def test_other_methods_of_a_log_are_sent_if_a_person_names_them(tmp_path):
    made = requests(tmp_path, COMBINED.strip(), "access.log", methods=("POST",))
    assert [line for _, line, _, _ in made] == ["POST /orders"]


BROKEN_ALB = ALB.replace('"GET https://www.example.com:443/a/7?b=c HTTP/1.1"', '"- http://my-loadbalancer:80- -"')


def test_a_load_balancers_log_has_the_time_at_which_the_request_was_made(tmp_path):
    made, label, notes, times = opened(tmp_path, f"{ALB}\n{BROKEN_ALB}\n", "alb.log")
    assert made == [("/a/{id}", "GET /a/7?b=c", [("User-Agent", "curl/7.46.0")], b"")]
    assert (label, len(notes)) == ("a log of a load balancer", 1)
    assert times == [1_530_570_168_364_000_000]


def test_cloudfronts_values_are_encoded_once_more_and_its_time_is_the_end(tmp_path):
    made, label, notes, times = opened(tmp_path, CLOUDFRONT, "cf.log")
    assert made == [
        (
            *("/index%20x.html", "GET /index%20x.html?a=b%20c"),
            *([("User-Agent", "Mozilla/5.0 (X11)"), ("Cookie", "zip=98101")], b""),
        )
    ]
    assert (label, times) == ("a log of CloudFront", [1_575_493_350_500_000_000])
    assert notes == ["1 request is POST (a log has no bodies), and left out"]


def test_a_line_that_is_none_of_the_log_is_refused(tmp_path):
    error = refused(tmp_path, COMBINED.strip() + "\nnonsense\n", "access.log")
    assert error.what.startswith("is no line of an access log: 'nonsense'")
    assert error.line == 7


# What leads to them.


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (har(entry()), "a HAR"),
        (message(http("GET / HTTP/1.1")), "a file of GoReplay"),
        (COMBINED.strip(), "an access log"),
        (ALB, "a log of a load balancer"),
        (CLOUDFRONT, "a log of CloudFront"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_recorded_requests_are_recognized_among_bodies_and_the_option_is_named(tmp_path, data, label, pack):
    path = written(tmp_path, pack(data.encode() if isinstance(data, str) else data), "file")
    with pytest.raises(DatasetError) as caught:
        DatasetLoader(path, Cache(tmp_path / "cache")).open()
    assert caught.value.what == f"the file is {label}, whose records are whole requests"
    assert "--traffic-records requests" in caught.value.remedy


def test_a_body_that_looks_like_a_request_stays_a_body(tmp_path):
    path = written(tmp_path, lines(*LINES), "bodies.jsonl")
    dataset = DatasetLoader(path, Cache(tmp_path / "cache")).open()
    assert all_bodies(dataset)[0] == json.dumps(VEGETA).encode()
    dataset.close()


def test_requests_are_known_again_with_their_times(tmp_path):
    for _ in range(2):
        made, _, _, times = opened(tmp_path, COMBINED.strip(), "access.log")
        assert (len(made), len(times or [])) == (3, 3)


@pytest.mark.parametrize("size", [64, 1 << 20])
def test_a_template_makes_whole_requests_of_bodies(tmp_path, size):
    text = '[{"id": 1.50, "lang": "es", "a": {"b": "é"}},\n {"id": "x/y", "lang": "en", "a": {"b": 9007199254740993}}]'
    path = written(tmp_path, text, "bodies.json")
    reading = Reading(path="/users/{id}/{a/b}{?lang}", method="PUT")
    with window(size):
        dataset = DatasetLoader(path, Cache(tmp_path / "cache"), reading=reading).open()
    parts = [split(record) for record in all_bodies(dataset)]
    assert [line for _, line, _, _ in parts] == [
        b"PUT /users/1.50/%C3%A9?lang=es",
        b"PUT /users/x%2Fy/9007199254740993?lang=en",
    ]
    assert {name for name, _, _, _ in parts} == {b"/users/{id}/{a/b}{?lang}"}
    assert dataset.contents(np.array([1], np.uint64)) == [text[text.index("\n") + 2 : -1].encode()]
    dataset.close()


def test_a_record_that_lacks_what_its_path_needs_is_refused_with_its_place(tmp_path):
    path = written(tmp_path, '[{"id": 1},\n {"id": null},\n {}]', "bodies.json")
    with pytest.raises(DatasetError) as caught:
        DatasetLoader(path, Cache(tmp_path / "cache"), reading=Reading(path="/u/{id}", method="PUT")).open()
    error = caught.value
    assert (error.what, error.record, error.line, error.column) == ("has no member 'id', which its path needs", 1, 2, 2)
    assert isinstance(error, ManyFaultsError)
    assert error.count == 2


@pytest.mark.parametrize(
    ("data", "reading", "what"),
    [
        ('[{"a":1},{"at":2}]', Reading(stamp="at"), "has a member 'at' already"),
        ('{"method":"GET","url":"/"}', Reading(records="requests", stamp="at"), "has no JSON object as its body"),
        ('{"method":"PUT","url":"/","json":[{}]}', Reading(records="requests", stamp="at"), "has no JSON object as"),
        ('{"method":"PUT","url":"/","text":"x}"}', Reading(records="requests", stamp="at"), "has no JSON object as"),
        ('[{"a":"\\ud800"},{"\\ud800":1,"at":2}]', Reading(stamp="at"), "has a member 'at' already"),
    ],
)
def test_a_record_that_cannot_have_a_time_put_into_it_is_refused(tmp_path, data, reading, what):
    path = written(tmp_path, data, "f.jsonl" if data.startswith("{") else "f.json")
    with pytest.raises(DatasetError) as caught:
        DatasetLoader(path, Cache(tmp_path / "cache"), reading=reading).open()
    assert caught.value.what.startswith(what)
