"""A record that is a whole request: its bytes, its name, and what cannot be one."""

import pytest

from traffic.core.request_record import OTHER, Names, body_of, fields_of, pack, split, template_of


def test_a_record_has_name_line_fields_and_body():
    body = b"a\r\n\r\nb\0"
    record = pack("/orders/{id}", "POST", "/orders/7?x=1", [("A", "b"), ("C", "d: e")], body)
    assert record == b"/orders/{id}\r\nPOST /orders/7?x=1\r\nA: b\r\nC: d: e\r\n\r\n" + body
    name, line, fields, rest = split(record)
    assert (name, line, rest) == (b"/orders/{id}", b"POST /orders/7?x=1", body)
    assert fields_of(fields) == [("A", "b"), ("C", "d: e")]
    assert body_of(record) == body


def test_a_record_may_have_no_field_and_no_body():
    assert split(pack("é\n", "GET", "/", [], b"")) == ("é ".encode(), b"GET /", b"", b"")


@pytest.mark.parametrize(
    ("method", "path", "fields", "what"),
    [
        ("PO ST", "/", [], "has the method 'PO ST', which is no token of HTTP"),
        ("GET", "http://x/", [], "has the path 'http://x/': it must begin with /"),
        ("GET", "/a b", [], "has the path '/a b'"),
        ("GET", "/\r\nX: y", [], "has the path"),
        ("GET", "/", [("X", "a\r\nY: b")], "cannot be sent: the header X holds a line break"),
    ],
)
def test_what_could_be_two_requests_is_refused(method, path, fields, what):
    with pytest.raises(ValueError, match=r"has|cannot") as caught:
        pack("n", method, path, fields, b"")
    assert str(caught.value).startswith(what)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/orders/7?x=1", "/orders/{id}"),
        ("/a/0f8fad5b-d9cb-469f-a165-70867728950e/b", "/a/{id}/b"),
        ("/h/00112233445566778899aabbccddeeff", "/h/{id}"),
        ("/ulid/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/ulid/{id}"),
        ("/v1/users/me", "/v1/users/me"),
        ("/cafe/deadbeef", "/cafe/deadbeef"),
        ("/", "/"),
    ],
)
def test_a_path_is_counted_by_its_template(path, template):
    assert template_of(path) == template


def test_beyond_so_many_names_the_rest_is_counted_together():
    names = Names(2)
    wanted = [("GET", "/a"), ("POST", "/a"), ("GET", "/b"), ("GET", "/a")]
    assert [names.name(*one) for one in wanted] == ["/a", "/a", OTHER, "/a"]
