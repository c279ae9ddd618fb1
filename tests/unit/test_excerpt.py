"""What a dead letter keeps of an answer is small, is what came, and holds no secret; what answers have in common."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.answer_pattern import LONGEST, pattern_of
from traffic.core.excerpt import MOST_BODY, MOST_VALUE, Excerpt
from traffic.core.wire import ProtocolError

JSON = ("Content-Type", "application/json")
names = st.sampled_from(["Content-Type", "Set-Cookie", "X-Request-Id", "Location", "Content-Encoding", "Server"])
fields = st.lists(st.tuples(names, st.text(max_size=400)), max_size=8)


@given(fields, st.binary(max_size=2 * MOST_BODY), st.integers(0, 2**40))
def test_an_excerpt_is_small_goes_over_the_wire_and_can_be_shown(
    head: list[tuple[str, str]], body: bytes, more: int
) -> None:
    made = Excerpt.of(head, body, len(body) + more)
    assert len(made.body) <= MOST_BODY
    assert all(name in ("x-request-id", "location") and len(value) <= MOST_VALUE for name, value in made.fields)
    assert Excerpt.from_wire(made.to_wire()) == made
    shown = made.to_json()
    assert ("text" in shown) != ("base64" in shown)
    json.dumps(shown)
    assert len(pattern_of(made)) <= LONGEST


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=MOST_BODY))
def test_text_is_shown_as_it_came_also_if_it_is_cut_within_a_character(text: str) -> None:
    whole = text.encode()
    assert Excerpt.of([JSON], whole, len(whole)).text == text[: len(whole[:MOST_BODY].decode(errors="ignore"))]
    for cut in range(max(0, len(whole) - 4), len(whole)):
        assert Excerpt.of([JSON], whole[:cut], len(whole)).text == whole[:cut].decode(errors="ignore")[:MOST_BODY]


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", "ñandú".encode("latin-1"), "ñandú"),
        ('text/plain; Charset="UTF-16"', "ñandú".encode("utf-16"), "ñandú"),
        ("text/plain; charset=base64", b"no", None),
        ("text/plain; charset=unknown", b"no", None),
        ("application/octet-stream", b"\x00\x01", None),
        ("text/plain", b"\x1b[31mred", None),
        ("", b"a\tb\nc", "a\tb\nc"),
        ("text/plain", b"\xff\xfe", None),
    ],
)
def test_the_charset_of_the_content_type_counts_and_control_characters_are_no_text(
    content_type: str, body: bytes, text: str | None
) -> None:
    made = Excerpt.of([("content-type", content_type)], body, len(body))
    assert made.text == text
    assert ("base64" in made.to_json()) == (text is None)


def test_what_was_compressed_is_shown_decompressed_and_not_without_end() -> None:
    whole = gzip.compress(b'{"error": "no"}')
    head = [JSON, ("Content-Encoding", "gzip")]
    assert Excerpt.of(head, whole, len(whole)).text == '{"error": "no"}'
    assert len(Excerpt.of(head, gzip.compress(b"0" * 10**7)[:MOST_BODY], 10**4).body) == MOST_BODY
    assert Excerpt.of(head, b"not compressed", 14).text == "not compressed"


@pytest.mark.parametrize("wrong", [[], ["", [], b"", -1], ["", [["a"]], b"", 1], ["", [], "text", 1], 7])
def test_something_else_is_no_excerpt(wrong: object) -> None:
    with pytest.raises((ProtocolError, ValueError)):
        Excerpt.from_wire(wrong)
    assert Excerpt.from_wire(None) is None


def said(text: str, *more: tuple[str, str]) -> str:
    body = text.encode()
    return pattern_of(Excerpt.of([("content-type", "text/plain"), *more], body, len(body)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"error": "invalid email ana@x.org"}', '{"error": "invalid email leo.n+1@mail.example.com"}'),
        ("id 0b7e0e0a-8f3f-4b52-9d1b-0b7e0e0a8f3f", "id 11111111-2222-3333-4444-555555555555"),
        ("at 2026-01-02T03:04:05.678Z", "at 2025-12-31T23:59:59Z"),
        ("record 17 of 300", "record 9 of 12,345"),
        ("trace 9f86d081884c7d659a2feaa0c55ad015", "trace e3b0c44298fc1c149afbf4c8996fb924"),
        ("user63 is  unknown", "user1024 is unknown"),
    ],
)
def test_what_varies_is_left_out(one: str, other: str) -> None:
    assert said(one) == said(other)
    assert "…" in said(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("invalid email", "invalid name"), ("<h1>no</h1>", "<h2>no</h2>"), ("", "no"), ("deadbeef", "feedbeef")],
)
def test_what_is_said_in_words_is_told_apart(one: str, other: str) -> None:
    assert said(one) != said(other)


def test_where_to_go_instead_is_part_of_what_is_said_and_what_is_no_text_is_named() -> None:
    assert said("", ("Location", "https://api.example/v2/messages/17")) == "Location: https://api.example/v2/messages/…"
    assert pattern_of(Excerpt("image/png", (), b"\x89PNG\0", 5)) == "(image/png, no text)"
