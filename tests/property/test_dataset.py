"""The dataset and a plain JSON parser agree on every file, good or bad, through windows of any size."""

import codecs
import hashlib
import json
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from traffic.dataset.dataset import Dataset, DatasetError
from unit.traffic_file import bodies, place, refusal, strictly_read, window, written

windows = st.sampled_from([4, 5, 7, 16, 64, 1 << 20])
white = st.text(" \t\n\r", max_size=3)
characters = st.characters()  # surrogates, too: what is written escaped may be alone
texts = st.text(characters, max_size=12) | st.sampled_from(["\0", '"', "\\", "\\u00f1", "NaN", "😀", "]}", "\u2028"])
numbers = (
    st.integers() | st.integers(-(2**64), 2**64) | st.just(10**100) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
records = st.dictionaries(texts, values, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@st.composite
def dumped(draw):
    """A record as bytes, dumped with any white space."""
    ascii_only = draw(st.booleans())
    comma, colon = (f"{draw(white)}{sign}{draw(white)}" for sign in ",:")
    indent = draw(st.none() | st.integers(0, 3) | st.just("\t"))
    record = draw(records)
    try:
        text = json.dumps(record, ensure_ascii=ascii_only, separators=(comma, colon), indent=indent)
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(record, separators=(comma, colon), indent=indent).encode()


@st.composite
def files(draw, most=5):
    """A good file, and its records' bytes."""
    inside = draw(st.lists(dumped(), min_size=1, max_size=most))
    space = partial(lambda: draw(white).encode())
    joined = b",".join(space() + body + space() for body in inside)
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return mark + space() + b"[" + joined + b"]" + space(), inside


@given(file=files(), size=windows)
def test_every_body_is_the_very_slice_of_the_file(folder, file, size):
    data, wanted = file
    with window(size):
        assert bodies(written(folder, data)) == wanted


@given(file=files(), size=windows, data=st.data())
def test_a_body_means_what_a_parser_reads_of_the_whole_file(folder, file, size, data):
    path = written(folder, file[0])
    indexes = data.draw(st.lists(st.integers(0, len(file[1]) - 1), max_size=8))
    with window(size):
        made = bodies(path, indexes)
    whole = strictly_read(file[0])
    assert [strictly_read(body) for body in made] == [whole[index] for index in indexes]


@given(file=files(), size=windows)
def test_digest_lengths_and_count_are_those_of_the_file(folder, file, size):
    data, wanted = file
    with window(size):
        dataset = Dataset.open(written(folder, data))
    dataset.close()
    assert dataset.digest == hashlib.sha256(data).hexdigest()
    assert dataset.lengths(np.arange(len(wanted), dtype=np.uint64)).tolist() == [len(body) for body in wanted]


@given(inside=st.lists(records, min_size=1), indent=st.none() | st.integers(0, 4), escaped=st.just(True))
def test_what_json_dump_writes_is_read(folder, inside, indent, escaped):
    path = written(folder, json.dumps(inside, indent=indent, ensure_ascii=escaped))
    assert [json.loads(body) for body in bodies(path)] == inside


def good(data: bytes) -> bool:
    """Whether a plain parser says that a file must be accepted. No test file is 500 levels deep."""
    try:
        seen = strictly_read(data)
    except ValueError:
        return False
    return isinstance(seen, list) and bool(seen) and all(isinstance(record, dict) for record in seen)


def check(folder, data: bytes, size: int) -> None:
    """The dataset accepts what is good and nothing else, and names a place that is not behind the first fault."""
    path, wanted = written(folder, data), good(data)
    with window(size):
        if wanted:
            assert [strictly_read(body) for body in bodies(path)] == strictly_read(data)
            return
        error = refusal(path)
    if error.line is not None:
        assert (error.line, error.column) <= limit(data)


def cut_character(data: bytes) -> bool:
    """Whether all bytes are UTF-8 so far, whatever may follow them."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def limit(data: bytes) -> tuple[int, int]:
    """The place of the first fault that a plain parser finds in a file, or of the file's end."""
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    bad = next((at for at, character in enumerate(text) if "\udc80" <= character <= "\udcff"), len(text))
    if cut_character(data):
        bad = len(text)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        # A token that runs into the end of the file, or of a line of JSON Lines, may be reported as not finished.
        rest = text[error.pos :]
        if text.lstrip(" \t\n\r").startswith("{"):
            rest = rest.split("\n", 1)[0]
        bad = min(bad, error.pos + len(rest) if re.fullmatch(r"[^][{}:,\" \t\n\r]*", rest) else error.pos)
    return place(text[:bad])


TOKENS = r"""{ } [ ] , : " ' \ \u \u12 0 - . 1e NaN Infinity true nul ñ 😀 // {} [] {"a":1} ,] ,} 'a'"""
tokens = st.sampled_from([*TOKENS.split(), *"\0\n\t\x0b \ufeff"]).map(str.encode) | st.binary(min_size=1, max_size=3)


@st.composite
def mutated(draw):
    """A good file with a few bytes gone, put in, changed or doubled."""
    data = bytearray(draw(files(most=3))[0])
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 4)))
        data[start:stop] = draw(tokens | st.just(b"") | st.just(bytes(data[start:stop] * 2)))
    return bytes(data)


@given(data=mutated(), size=windows)
@example(data=b'[{"a":1.}]', size=4)
@example(data=b'[{"a":"\\u12"}]', size=4)
@example(data=b'[{"a":-Infinity}]', size=5)
@example(data=b'[{"a":"\xf0\x9f\x98\x80"},{"b":"\xf0\x9f\x98"}]', size=4)
def test_a_damaged_file_is_refused_or_still_good(folder, data, size):
    check(folder, data, size)


@given(parts=st.lists(tokens, max_size=20), size=windows)
@example(parts=[b"NaN" * 6, b"\x80"], size=5)
@example(parts=[b"\xed\xa0"], size=4)
def test_a_heap_of_tokens_is_refused_or_good(folder, parts, size):
    check(folder, b"[{" + b"".join(parts), size)


@given(data=st.binary(max_size=60), size=windows)
@example(data=b"{\xef\xbb\xbf\n[\n{}]", size=4)
@example(data=b"{x\n{}", size=4)
def test_any_bytes_are_refused_or_good(folder, data, size):
    check(folder, data, size)


@given(file=files(most=2), size=windows, data=st.data())
def test_a_file_that_is_cut_anywhere_is_refused(folder, file, size, data):
    whole = file[0].rstrip(b" \t\n\r")
    with window(size), pytest.raises(DatasetError):
        bodies(written(folder, whole[: data.draw(st.integers(0, len(whole) - 1))]))
