"""CSV of any dialect is read as Python's reader reads it with the dialect that wrote it, or it is refused."""

import codecs
import csv
import io
import json

from hypothesis import assume, given
from hypothesis import strategies as st

from traffic.core.reading import PLAIN, Reading
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.loader import DatasetLoader
from unit.traffic_file import all_bodies, window, written

DELIMITERS = [",", ";", "\t", "|"]
ENCODINGS = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
# Texts in which each delimiter, quotes and line ends are frequent.
cells = st.text(st.sampled_from([*'abñ 0,;|"', "\t", "🐵"]), max_size=6) | st.sampled_from(
    ["x\ny", "x\r\ny", "1,5", "a;b"]
)
names = st.lists(
    st.text(st.sampled_from("abcñ ,;|"), min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=4, unique=True
)


@st.composite
def tables(draw):
    """A table as a writer of a dialect writes it: its rows as Python's reader reads them, the bytes, the delimiter."""
    header = draw(names)
    row = st.lists(cells, min_size=len(header), max_size=len(header))
    rows = draw(st.lists(row, min_size=1, max_size=6))
    delimiter = draw(st.sampled_from(DELIMITERS))
    out = io.StringIO(newline="")
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([header, *rows])
    text = ("sep=" + delimiter + line_end) * draw(st.booleans()) + out.getvalue()
    encoding = draw(st.sampled_from(sorted(ENCODINGS)))
    # With CR at the ends of lines, the writer leaves an LF within a cell without quotes.
    seen = list(csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter, strict=True))
    return seen, ENCODINGS[encoding] + text.encode(encoding), delimiter


def read(folder, data, reading):
    """The records of a file, and how many rows were left out; None if it is refused."""
    loader = DatasetLoader(written(folder, data, "table.csv"), Cache(folder / "cache"), reading=reading)
    try:
        dataset = loader.open()
    except DatasetError:
        return None
    made = [json.loads(body) for body in all_bodies(dataset)]
    left_out = sum(count for _, _, count in dataset.facts.left_out)
    dataset.close()
    return made, left_out


@given(table=tables(), size=st.sampled_from([5, 64, 1 << 19]))
def test_what_a_dialect_wrote_is_read_alike_or_refused(tmp_path_factory, table, size):
    (header, *rows), data, delimiter = table
    assume(header[0].lstrip(" \t\n\r")[:1] not in ("", "{", "["))
    filled = [row for row in rows if any(row)]
    uneven = [row for row in filled if len(row) != len(header)]
    wanted = [] if uneven else [dict(zip(header, row, strict=True)) for row in filled]
    folder = tmp_path_factory.mktemp("csv")
    with window(size):
        seen, told = read(folder, data, PLAIN), read(folder, data, Reading(delimiter=delimiter))
    if seen is not None:
        assert seen[0] == wanted
    if told is None:
        assert not wanted
    else:
        assert told[0] == wanted


@given(table=tables(), data=st.data())
def test_damage_never_makes_another_number_of_records(tmp_path_factory, table, data):
    (header, *_), text, delimiter = table
    assume(header[0].lstrip(" \t\n\r")[:1] not in ("", "{", "["))
    damaged = bytearray(text)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b'"', b",", b";", b"\n", b"x", b""])
        )
    folder = tmp_path_factory.mktemp("csv")
    made = read(folder, bytes(damaged), Reading(delimiter=delimiter))
    if made is None:
        return
    records, left_out = made
    wanted = plainly(bytes(damaged), delimiter)
    assert wanted is not None
    assert len(records) + left_out == len(wanted)
    assert all(list(record) == list(records[0]) for record in records)


def plainly(data, delimiter):
    """The rows behind the header as Python's strict reader sees them, without blank lines; None if it refuses them."""
    for encoding, mark in ENCODINGS.items():
        if mark and data.startswith(mark):
            text = data[len(mark) :].decode(encoding)
            break
    else:
        text = data.decode("utf-8-sig")
    first, _, rest = text.replace("\r\n", "\n").replace("\r", "\n").partition("\n")
    if first.lower().strip('"') in {f"sep={one}" for one in DELIMITERS} or (
        first[:4].lower() == "sep=" and len(first) == 5
    ):
        text = text[len(first) :].lstrip("\r\n") if "\n" in text or "\r" in text else rest
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [row for row in rows[1:] if row]
