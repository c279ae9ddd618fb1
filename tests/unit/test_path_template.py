"""Paths with variables: RFC 6570, whose own examples hold for what we have of it."""

import pytest

from traffic.core.path_template import PathTemplate

VALUES = {"var": "value", "hello": "Hello World!", "path": "/foo/bar", "x": "1024", "y": "768", "who": "fred", "n": 7}
VALUES |= {"half": "50%", "base": "http://example.com/home/", "t": True}


def expanded(template, values=VALUES):
    def look(path):
        found = values
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    return PathTemplate(template).expand(look)


# RFC 6570, 1.2 and 3.2, with a slash before them where a path needs one.
@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/{var}", "/value"),
        ("/{hello}", "/Hello%20World%21"),
        ("{+path}/here", "/foo/bar/here"),
        ("/here?ref={+path}", "/here?ref=/foo/bar"),
        ("/map?{x,y}", "/map?1024,768"),
        ("/{x,hello,y}", "/1024,Hello%20World%21,768"),
        ("/X{.var}", "/X.value"),
        ("/X{.x,y}", "/X.1024.768"),
        ("{/var}", "/value"),
        ("{/var,x}/here", "/value/1024/here"),
        ("/{;x,y}", "/;x=1024;y=768"),
        ("/{?x,y}", "/?x=1024&y=768"),
        ("/?fixed=yes{&x}", "/?fixed=yes&x=1024"),
        ("/{half}", "/50%25"),
        ("/{n}/{t}", "/7/true"),
        ("/plain", "/plain"),
    ],
)
def test_the_examples_of_the_rfc(template, path):
    assert expanded(template) == path


def test_a_variable_may_be_a_member_of_a_member():
    assert expanded("/{a/b~1c}{?d/e}", {"a": {"b/c": "é"}, "d": {"e": "1"}}) == "/%C3%A9?e=1"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "has no member 'id', which its path needs"),
        ({"id": None}, "has no member 'id', which its path needs"),
        ({"id": ""}, "has an empty member 'id', which its path needs"),
        ({"id": [1]}, "has an object or a list as 'id', and its path needs a text or a number"),
    ],
)
def test_a_record_without_a_usable_member_is_refused(values, what):
    with pytest.raises(ValueError, match="has") as caught:
        expanded("/users/{id}", values)
    assert str(caught.value) == what


@pytest.mark.parametrize(
    ("template", "rule"),
    [
        ("users/{id}", "must begin with /"),
        ("/users/{id", "must close each {"),
        ("/users/id}", "must close each {"),
        ("/{}", "must name a member in each {...}"),
        ("/{id*}", "must name a member in each {...}, without * and :N"),
        ("/{id:3}", "must name a member in each {...}, without * and :N"),
        ("/{#id}", "must have no {#...}"),
        ("/a b/{id}", "must hold neither spaces nor #"),
        ("/a#b/{id}", "must hold neither spaces nor #"),
    ],
)
def test_what_is_no_template_is_refused_with_its_rule(template, rule):
    with pytest.raises(ValueError, match="must") as caught:
        PathTemplate(template)
    assert str(caught.value).startswith(rule)
