"""Answers are read the same in whatever pieces they come, and as Python's own client reads them."""

import http.client
import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.http.http1 import UNTIL_CLOSE, BrokenAnswerError, ResponseHead
from traffic.http.response_reader import MOST_HEAD, ResponseReader

Seen = tuple[str, int, int, bool]

TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="latin-1", categories=("L", "N", "P")), max_size=12)
OTHERS = st.lists(st.tuples(TOKENS.map(lambda name: f"X-{name}"), VALUES), max_size=3)
STATUSES = st.sampled_from([200, 201, 204, 205, 302, 304, 400, 404, 409, 422, 429, 500, 503, 599])


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    pieces = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
    extension = draw(st.sampled_from([b"", b";a=b", b' ; q="x"']))
    trailer = draw(st.sampled_from([b"", b"Digest: x\r\n", b"A: b\r\nC:\r\n"]))
    return b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in pieces) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer as a server should send it, with 1xx before it at times."""
    status, framing = draw(STATUSES), draw(st.sampled_from(["length", "chunked"]))
    lines = [f"HTTP/1.1 {status} Any reason", *(f"{name}: {value}" for name, value in draw(OTHERS))]
    bodiless = status in (204, 304)
    body = draw(chunked()) if framing == "chunked" and not bodiless else draw(st.binary(max_size=60))
    if bodiless:
        body = b""
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append(f"Content-Length: {len(body)}")
    first = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" * 2])
    )
    return first + "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends) if start < end]


def read(parts: list[bytes], known: dict[bytes, ResponseHead] | None = None) -> Seen:
    """What came of an answer that came in parts, and then the end."""
    reader = ResponseReader({} if known is None else known)
    try:
        for at, part in enumerate(parts):
            head = reader.feed(part)
            if head is not None:
                return "whole", head.status, reader.body, reader.surplus or at + 1 < len(parts)
        head = reader.head if reader.head is not None and reader.head.length == UNTIL_CLOSE else None
    except BrokenAnswerError:
        return "broken", reader.head.status if reader.head else 0, 0, False
    return ("whole" if head else "cut"), reader.head.status if reader.head else 0, reader.body, False


@given(answers(), st.lists(st.integers(0, 500), max_size=12))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data: bytes, cuts: list[int]) -> None:
    whole = read([data])
    assert whole[0] == "whole"
    assert not whole[3]
    assert read(pieces(data, cuts)) == whole
    assert read([data[at : at + 1] for at in range(len(data))]) == whole


@given(answers(), st.lists(st.integers(0, 500), max_size=6))
def test_a_head_that_is_remembered_is_read_as_at_the_first_time(data: bytes, cuts: list[int]) -> None:
    known: dict[bytes, ResponseHead] = {}
    assert read([data], known) == read([data], known) == read(pieces(data, cuts), known)


@given(st.lists(st.tuples(answers(), st.lists(st.integers(0, 500), max_size=3)), max_size=5))
def test_answers_over_one_connection_are_each_read_as_if_it_were_alone(come: list[tuple[bytes, list[int]]]) -> None:
    reader = ResponseReader({})
    for data, cuts in [*come, *come]:  # the second time each head is remembered
        alone = read([data])
        heads = [head for part in pieces(data, cuts) if (head := reader.feed(part)) is not None]
        if alone[1] and reader.head is not None and reader.head.length == UNTIL_CLOSE:
            heads.append(reader.head)
        assert [head.status for head in heads] == [alone[1]]
        assert reader.body == alone[2]
        if reader.head is not None:
            reader.begin()


class _Heard:
    """A socket to http.client."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


@given(answers())
def test_an_answer_is_read_as_pythons_own_client_reads_it(data: bytes) -> None:
    final = data
    while final.startswith(b"HTTP/1.1 103"):  # of the interim answers, it skips only 100
        final = final.partition(b"\r\n\r\n")[2]
    other = http.client.HTTPResponse(_Heard(final), method="POST")  # type: ignore[arg-type]
    other.begin()
    assert read([data]) == ("whole", other.status, len(other.read()), False)


@given(answers(), st.integers(0, 500))
def test_an_answer_that_is_cut_off_is_never_whole(data: bytes, cut: int) -> None:
    assert read([data[: cut % len(data)]])[0] == "cut" if cut % len(data) else True


@given(answers(), st.binary(min_size=1, max_size=30))
def test_what_comes_behind_an_answer_is_surplus(data: bytes, more: bytes) -> None:
    kind, status, body, _ = read([data])
    assert read([data + more]) == (kind, status, body, True)


@given(answers(), st.data())
def test_bytes_that_are_damaged_are_broken_or_read_the_same_in_all_pieces(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 1))
    damaged = data[:at] + draw.draw(st.binary(max_size=3)) + data[at + draw.draw(st.integers(0, 3)) :]
    single = read([damaged[at : at + 1] for at in range(len(damaged))])
    assert read([damaged] if damaged else []) == single


@given(st.binary(max_size=200))
def test_no_bytes_at_all_do_more_than_break_the_answer(data: bytes) -> None:
    assert read([data] if data else [])[0] in ("broken", "cut")


def test_a_head_without_end_is_given_up() -> None:
    reader = ResponseReader({})
    reader.feed(b"HTTP/1.1 201 Created\r\nX: ".ljust(MOST_HEAD, b"x"))
    with pytest.raises(BrokenAnswerError, match="longer than"):
        reader.feed(b"x")


def test_what_does_not_begin_as_http_is_told_at_once() -> None:
    with pytest.raises(BrokenAnswerError, match="begins with"):
        ResponseReader({}).feed(b"<!doctype")
