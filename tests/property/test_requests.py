"""Whole requests: what was recorded is what an API reads from the wire, and never anything beside it."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from traffic.core.headers import FRAMING, HOP_BY_HOP, OURS
from traffic.core.protocol import RunConfig
from traffic.core.reading import REQUESTS, Reading
from traffic.core.request_record import split
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.from_requests.builder import RecordedRequest, RequestBuilder
from traffic.dataset.loader import DatasetLoader
from traffic.http.resolver import Target
from traffic.users.request_maker import RequestMaker
from unit.traffic_file import all_bodies, written

TOKEN = st.text(st.sampled_from("abcXYZ-_019"), min_size=1, max_size=8)
nasty = st.text(
    st.sampled_from(["a", "b", ":", " ", "\t", "\r", "\n", "\0", "ñ", "é", "\x85", "🐵", '"', "/", "?", "%"])
)
fields = st.lists(st.tuples(TOKEN | nasty, nasty), max_size=4)
bodies = st.binary(max_size=20) | st.sampled_from([b"", b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
RUN = RunConfig("run", "POST", "/", (0.0, 0.0), 1, "at-least-once", records=REQUESTS)


def parsed(wire):
    """A request as a strict server reads it (RFC 9112): method, target, fields by lower case, body; what is left."""
    head, end, rest = wire.partition(b"\r\n\r\n")
    assert end
    line, *lines = head.split(b"\r\n")
    method, target, version = line.split(b" ")
    assert version == b"HTTP/1.1"
    assert re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", method)
    assert re.fullmatch(rb"/[!-~]*", target)
    seen = []
    for one in lines:
        found = re.fullmatch(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", one)
        assert found, one
        seen.append((found[1].decode().lower(), found[2].decode("latin-1").strip(" \t")))
    assert "transfer-encoding" not in dict(seen)
    lengths = [value for name, value in seen if name == "content-length"]
    assert len(lengths) <= 1
    length = int(lengths[0]) if lengths else 0
    return method.decode(), target.decode(), seen, rest[:length], rest[length:]


@given(
    method=TOKEN | nasty,
    url=st.builds("/{}".format, nasty) | nasty,
    given_fields=fields,
    body=bodies,
    base=st.sampled_from(["", "/v1"]),
    told=st.lists(st.tuples(TOKEN.filter(lambda name: name.lower() not in OURS | FRAMING), TOKEN), max_size=2),
)
def test_a_request_on_the_wire_is_one_and_the_one_that_was_recorded(method, url, given_fields, body, base, told):
    try:
        record = RequestBuilder(Reading(records=REQUESTS)).record(
            RecordedRequest(method, url, tuple(given_fields), body)
        )
    except ValueError:
        return
    maker = RequestMaker(RUN, Target.of(f"http://api{base}"), "w", {}, told)
    said, target, seen, content, left = parsed(maker.request(5, record))
    assert left == b""
    assert said == method.upper()
    assert target.startswith(base + "/")
    assert content == body
    assert dict(seen)["idempotency-key"] == "run-5"
    assert [value for name, value in seen if name == "host"] == ["api"]
    replaced = {name.lower() for name, _ in told}
    own = [(name.strip().lower(), value.strip(" \t")) for name, value in given_fields]
    listed = {part.strip().lower() for name, value in own if name == "connection" for part in value.split(",")}
    for name, value in own:
        if name not in HOP_BY_HOP | FRAMING | OURS | replaced | listed and not name.startswith(":"):
            assert (name, value) in seen


@given(
    given_lines=st.lists(
        st.fixed_dictionaries(
            {"method": st.sampled_from(["GET", "POST", "PUT"]), "url": st.builds("/{}".format, TOKEN)},
            optional={
                "header": st.dictionaries(TOKEN, st.lists(TOKEN, min_size=1, max_size=2), max_size=2),
                "text": nasty,
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_lines_of_requests_are_read_as_they_were_written(tmp_path_factory, given_lines):
    folder = tmp_path_factory.mktemp("requests")
    path = written(folder, "\n".join(json.dumps(line) for line in given_lines), "requests.jsonl")
    try:
        dataset = DatasetLoader(path, Cache(folder / "cache"), reading=Reading(records=REQUESTS)).open()
    except DatasetError as error:
        raise AssertionError(given_lines) from error
    made = [split(record) for record in all_bodies(dataset)]
    dataset.close()
    assert [line.decode() for _, line, _, _ in made] == [f"{line['method']} {line['url']}" for line in given_lines]
    assert [body.decode() for _, _, _, body in made] == [line.get("text", "") for line in given_lines]


@given(
    data=st.binary(max_size=200) | st.text(max_size=80).map(str.encode),
    head=st.sampled_from(
        [
            b"",
            b'{"log": {"',
            b"1 ab 5\n",
            b"1 ab 5\nGET / HTTP/1.1\r\n",
            b'x - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5\n',
        ]
    ),
)
def test_any_bytes_are_read_as_requests_or_refused_and_nothing_else(tmp_path_factory, data, head):
    folder = tmp_path_factory.mktemp("any")
    path = written(folder, head + data, "any.log")
    try:
        dataset = DatasetLoader(path, Cache(folder / "cache"), reading=Reading(records=REQUESTS)).open()
    except DatasetError:
        return
    for index, record in enumerate(all_bodies(dataset)):
        assert parsed(RequestMaker(RUN, Target.of("http://api"), "w", {}).request(index, record))[4] == b""
    dataset.close()
