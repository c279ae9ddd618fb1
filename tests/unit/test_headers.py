"""What a header may be, which of a recorded request's are sent again, and which are secrets."""

import pytest

from traffic.core.headers import fault, is_secret, masked, merged, read_lines, recorded


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("X-A", "b", ""),
        ("X-A", "tab\there, ñ", ""),
        ("X A", "b", "'X A' cannot be the name of a header"),
        ("", "b", "'' cannot be the name of a header"),
        ("X-A", "b\r\nY: c", "the header X-A holds a line break, which cannot be sent"),
        ("X-A", "b\nY: c", "the header X-A holds a line break, which cannot be sent"),
        ("X-A", "b\0", "the header X-A holds NUL, which cannot be sent"),
        ("X-A", "🐵", "the header X-A holds '🐵', which cannot be sent"),
    ],
)
def test_what_could_end_a_header_early_is_refused(name, value, why):
    assert fault(name, value) == why


def test_of_a_recorded_request_what_belongs_to_its_connection_is_left_out():
    fields = [
        *((":authority", "shop.example"), ("Host", "shop.example"), ("Connection", "keep-alive, X-Hop")),
        *(("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Transfer-Encoding", "chunked")),
        *(("Content-Length", "3"), ("Expect", "100-continue"), ("Traffic-Worker", "w"), ("Upgrade", "h2c")),
        *(("Idempotency-Key", "theirs"), ("Cookie", "a=b"), ("Accept", "*/*"), ("accept", "x")),
    ]
    assert recorded(fields) == [
        *(("Recorded-Idempotency-Key", "theirs"), ("Cookie", "a=b"), ("Accept", "*/*"), ("accept", "x")),
    ]
    assert ("Host", "shop.example") in recorded(fields, keep_host=True)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "X-Auth-Token", "API-KEY", "Client-Secret"])
def test_credentials_are_known_by_their_names_and_masked(name):
    assert is_secret(name)
    assert "s3cret" not in masked(name, "Bearer s3cret")


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "Author", "X-Tenant", "User-Agent"])
def test_other_headers_are_shown_as_they_are(name):
    assert masked(name, "a b") == "a b"


def test_of_authorization_the_scheme_is_shown():
    assert masked("Authorization", "Bearer s3cret") == "Bearer •••"
    assert masked("Authorization", "s3cret") == "•••"


def test_lines_of_headers_are_read():
    assert read_lines("# for staging\r\nX-Tenant: 7\n\n Authorization :Bearer a:b \n") == (
        *(("X-Tenant", "7"), ("Authorization", "Bearer a:b")),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("X-A: 1\nnonsense", "line 2 is no header: it has no colon between a name and a value"),
        ("X A: 1", "line 1: 'X A' cannot be the name of a header"),
        ("Host: x", "line 1: Host is set by the run itself"),
        ("idempotency-key: x", "line 1: idempotency-key is set by the run itself"),
        ("Content-Length: 3", "line 1: Content-Length is set by the run itself"),
        ("Token: s3cret\0", "line 1: the header Token holds NUL, which cannot be sent"),
    ],
)
def test_a_line_that_is_no_header_is_refused_without_its_value(text, why):
    with pytest.raises(ValueError, match="line") as caught:
        read_lines(text)
    assert str(caught.value) == why


def test_of_several_lists_the_later_ones_take_the_place_of_all_of_a_name():
    first = [("A", "1"), ("B", "2"), ("a", "3")]
    assert merged(first, [("b", "4"), ("C", "5"), ("C", "6")], []) == [
        *(("A", "1"), ("a", "3"), ("b", "4"), ("C", "5"), ("C", "6")),
    ]
