"""JSON Lines and CSV: what plain parsers see in them is what the dataset gives, and nothing else is accepted."""

import csv
import gzip
import io
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from property.test_dataset import dumped, records, tokens, windows
from traffic.core.order import Order
from traffic.core.reading import Reading
from traffic.dataset import formats
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.loader import DatasetLoader
from unit.traffic_file import all_bodies, bodies, opened, strictly_read, window, written

breaks = st.sampled_from(["\n", "\r\n", "\n\n", "\n \n", " \n\t"]).map(str.encode)
cells = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from([",", '"', "\n", "\r\n", '","', ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def one_line(body: bytes) -> bytes:
    """White space between tokens may be a line break; in a file of lines it may not."""
    return body.replace(b"\r", b" ").replace(b"\n", b" ")


@st.composite
def files_of_lines(draw):
    inside = [one_line(body) for body in draw(st.lists(dumped(), min_size=1, max_size=6))]
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return mark + b"".join(body + draw(breaks) for body in inside), inside


@given(file=files_of_lines(), size=windows)
def test_every_line_is_the_very_slice_of_the_file(folder, file, size):
    data, wanted = file
    with window(size):
        assert bodies(written(folder, data, "lines.jsonl")) == wanted


@given(file=files_of_lines(), data=st.data(), size=windows)
@example(file=(b'{"a":[{}\n{}]}\n{},{}\n', []), data=None, size=1 << 20)
@example(file=(b"{}\r{}\n{}\n", []), data=None, size=1 << 20)
def test_damaged_lines_are_refused_or_still_good(folder, file, data, size):
    text = bytearray(file[0])
    for _ in range(data.draw(st.integers(1, 3)) if data else 0):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(tokens | st.just(b"\n") | st.just(b""))
    path = written(folder, bytes(text), "lines.jsonl")
    with window(size):
        wanted = read_lines(bytes(text))
        if wanted is None:
            with pytest.raises(DatasetError):
                opened(path)
        else:
            assert [strictly_read(body) for body in bodies(path)] == wanted


def read_lines(text: bytes):
    """What a plain parser reads from a file of lines; None if the file must be refused."""
    lines = [line for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip(b" \t\r")]
    try:
        made = [strictly_read(line) for line in lines]
        # A second mark is not white space, though the reader of whole files lets one pass.
        good = all(isinstance(record, dict) for record in made) and not any(at[:3] == b"\xef\xbb\xbf" for at in lines)
    except ValueError:
        return None
    # What begins with a bracket is an array under any name; NUL bytes at the start are another encoding.
    looks_else = lines and (lines[0].lstrip()[:1] == b"[" or b"\0" in text[:2])
    return made if good and made and not looks_else else None


@given(
    names=st.lists(cells.filter(str.strip), min_size=1, max_size=4, unique=True),
    data=st.data(),
    dialect=st.sampled_from(["excel", "unix"]),
    packed=st.booleans(),
)
def test_what_a_csv_writer_writes_is_read_as_objects_of_strings(tmp_path_factory, names, data, dialect, packed):
    row = st.lists(cells, min_size=len(names), max_size=len(names)).filter(any)
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    out = io.StringIO(newline="")
    csv.writer(out, dialect=dialect).writerows([names, *rows])
    text = out.getvalue().encode()
    if b"\0" in text[:2] or names[0].lstrip(" \t\n\r")[:1] in ("", "{", "[", "\ufeff"):
        return  # no text file begins so, or it looks like JSON
    folder = tmp_path_factory.mktemp("csv")
    path = written(folder, gzip.compress(text) if packed else text, "rows.csv")
    # The writer's own delimiter: without it, a tab in the only name would be taken for one, and refused.
    dataset = DatasetLoader(path, Cache(folder / "cache"), reading=Reading(delimiter=",")).open()
    made = all_bodies(dataset)
    assert dataset.format is formats.CSV
    dataset.close()
    assert [json.loads(body) for body in made] == [dict(zip(names, row, strict=True)) for row in rows]
    assert made == [json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode() for body in made]


@given(data=st.binary(max_size=80), name=st.sampled_from(["a.json", "a.jsonl", "a.csv", "a.gz", "a"]))
@example(data=b"\x1f\x8b\x08\0\0\0\0\0", name="a")
@example(data=b"\x28\xb5\x2f\xfd", name="a")
def test_any_bytes_are_opened_or_refused_and_nothing_else(folder, data, name):
    with suppress(DatasetError):
        DatasetLoader(written(folder, data, name), Cache(folder / "cache")).open().close()


@given(
    inside=st.lists(records, min_size=2, max_size=300), size=st.sampled_from([300, 1000, 4000]), compact=st.booleans()
)
def test_many_records_are_read_alike_in_one_leap_and_one_by_one(folder, inside, size, compact):
    separators = (",", ":") if compact else None
    path = written(folder, json.dumps(inside, separators=separators))
    with window(size):
        assert [json.loads(body) for body in bodies(path)] == inside


@given(total=st.integers(1, 60), data=st.data(), seed=st.integers(0, 2**63))
def test_a_chosen_part_of_a_file_is_delivered_once_whole(folder, total, data, seed):
    first = data.draw(st.integers(0, total - 1))
    chosen = data.draw(st.integers(1, total - first))
    dataset = Dataset.open(written(folder, json.dumps([{"n": at} for at in range(total)])))
    for kind in ("random", "file"):
        indexes = Order(chosen, seed, kind, first).indexes(np.arange(chosen))
        sent = [json.loads(body)["n"] for body in dataset.bodies(indexes)]
        assert sorted(sent) == list(range(first, first + chosen))
        assert sent == indexes.tolist()
    dataset.close()
