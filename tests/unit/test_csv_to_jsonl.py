"""CSV: each row an object of strings, in the same bytes on every machine."""

import csv
import io
import json
import threading
from typing import Any

import pytest

from traffic.dataset import formats
from traffic.dataset.cache import Cache
from traffic.dataset.csv_to_jsonl import CsvToJsonl
from traffic.dataset.dataset import DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.loader import DatasetLoader
from unit.traffic_file import all_bodies, window, written


def read(tmp_path, text, name="traffic.csv"):
    dataset = DatasetLoader(written(tmp_path, text, name), Cache(tmp_path / "cache")).open()
    try:
        assert dataset.format is formats.CSV
        return all_bodies(dataset)
    finally:
        dataset.close()


def refused(tmp_path, text, name="traffic.csv"):
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, text, name)
    return caught.value


def test_a_row_is_an_object_of_strings_in_the_headers_order(tmp_path):
    text = 'name,msg,"a ""b"""\r\nAna,¡Hola!,1\r\n"B, o","two\r\nlines",\r\n'
    assert read(tmp_path, text) == [
        '{"name":"Ana","msg":"¡Hola!","a \\"b\\"":"1"}'.encode(),
        b'{"name":"B, o","msg":"two\\r\\nlines","a \\"b\\"":""}',
    ]


def test_what_json_must_escape_is_escaped(tmp_path):
    assert read(tmp_path, "a,b\n\\,\x01\x7f\0\u2028\n") == ['{"a":"\\\\","b":"\\u0001\x7f\\u0000\u2028"}'.encode()]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [4, 16, 1 << 20])
def test_line_breaks_blank_lines_and_a_mark_are_no_part_of_a_record(tmp_path, mark, line_break, size):
    with window(size):
        made = read(tmp_path, mark + line_break.join(["ñ,b", "1,2", "", "3,4", ""]))
    assert made == ['{"ñ":"1","b":"2"}'.encode(), '{"ñ":"3","b":"4"}'.encode()]


@pytest.mark.parametrize("name", ["traffic.json", "traffic", "traffic.txt"])
def test_two_columns_are_recognized_by_their_content_under_any_name(tmp_path, name):
    assert read(tmp_path, "name,msg\nAna,Hola\n", name) == [b'{"name":"Ana","msg":"Hola"}']


def test_one_column_is_recognized_by_its_name(tmp_path):
    assert read(tmp_path, "name\nAna\n") == [b'{"name":"Ana"}']


@pytest.mark.parametrize("name", ["one.data", "one.txt", "one", "traffic.json"])
@pytest.mark.parametrize("text", ["name\nAna\nBo\n", '"name"\n\n"A, b"\n', "name\n" + "x" * 3_000_000 + "\ny\n"])
def test_one_column_under_another_name_is_refused_with_what_it_may_be_and_what_to_do(tmp_path, name, text):
    error = refused(tmp_path, text, name)
    assert error.what.startswith("the file is not JSON, for it begins with ")
    assert error.what.endswith(", and CSV with one column, here 'name', is recognized by the file's name alone")
    assert error.remedy.startswith("If it is CSV, rename it so that its name ends with .csv. ")


@pytest.mark.parametrize("text", ["a,{0}\n1,2\n", "a,b\n1,{0}\n", 'a,b\n1,"{0}"\n3,4\n', "a,b\n\n1,{0}\n"])
@pytest.mark.parametrize("length", [200_000, 2_000_000])
def test_long_fields_are_recognized_by_their_content_too(tmp_path, text, length):
    if text.startswith("a,{") and length > 1 << 20:
        return  # the header itself is longer than the part that is read for detection
    csv.field_size_limit(131_072)  # as it is when a process starts
    assert json.loads(read(tmp_path, text.format("x" * length), "long.txt")[0])["a"] == "1"


def test_a_reader_that_ends_takes_nothing_from_another_in_its_midst(tmp_path):
    csv.field_size_limit(131_072)  # as it is when a process starts
    begun, go_on = threading.Event(), threading.Event()
    made: list[Any] = []

    def wait(_done, _of):
        begun.set()
        assert go_on.wait(60)

    def end_the_other(_done, _of):
        go_on.set()
        other.join()

    def rows(text, name, progress):
        with written(tmp_path, text, name).open("rb") as file:
            CsvToJsonl(tmp_path / name, file.fileno(), made.append, progress).run()

    other = threading.Thread(target=rows, args=("a,b\n1,2\n", "first.csv", wait))
    other.start()
    assert begun.wait(60)
    with window(64):
        rows("a,b\n" + "1,2\n" * 100 + "3," + "x" * 200_000 + "\n", "second.csv", end_the_other)
    assert b"".join(made).count(b"\n") == 1 + 101


BAD = {
    "too few": ("a,b\n1,2\n3\n", "has 1 field, and the header names 2", (1, 3, 1)),
    "too many, behind lines": ('a,b\n"1\n1",2\n3,4,5\n', "has 3 fields, and the header names 2", (1, 4, 1)),
    "a quote too many": ('a,b\n"1"1,2\n', "is no CSV (',' expected after '\"')", (0, 2, 1)),
    "an open quote": ('a,b\n1,"2\n', "is no CSV (unexpected end of data)", (0, 2, 1)),
    "no name": ("a,,c\n1,2,3\n", "the header has no name for column 2", (None, 1, 1)),
    "a name twice": ("a,b,a\n1,2,3\n", "the header has the name 'a' twice", (None, 1, 1)),
    "no rows": ("a,b\n\n", "the file has no rows", (None, None, None)),
    "not UTF-8": (b"a,b\n1,2\n\xc3\xb1\xf1,4\n", "the file holds bytes that are not UTF-8 (0xf1: ", (None, 3, 2)),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "the file is UTF-16 or UTF-32, not UTF-8", (None, 1, 1)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_place(tmp_path, name):
    text, what, place = BAD[name]
    error = refused(tmp_path, text)
    assert error.what.startswith(what)
    assert (error.record, error.line, error.column) == place
    assert not list(tmp_path.glob("cache/*")), "nothing half made is left"


@pytest.mark.parametrize(("text", "what"), [("a;b\n1;2\n", "semicolons"), ("a\tb\n1\t2\n", "tabs")])
@pytest.mark.parametrize("name", ["traffic.txt", "traffic.csv"])
def test_another_delimiter_is_named_whatever_the_files_name(tmp_path, text, what, name):
    error = refused(tmp_path, text, name)
    assert error.what == f"the file looks like CSV with {what} between its fields"


def test_every_bad_row_is_counted(tmp_path):
    error = refused(tmp_path, "a,b\n" + "1\n2,3\n" * 30)
    assert isinstance(error, ManyFaultsError)
    assert (error.count, len(error.listed), error.listed[1].record) == (30, 20, 2)


def test_what_python_writes_is_read(tmp_path):
    rows = [{"x": 'a"b', "y,": "1\n2"}, {"x": "", "y,": "ñ\r"}, {"x": " ", "y,": ","}]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["x", "y,"])
    writer.writeheader()
    writer.writerows(rows)
    assert [json.loads(body) for body in read(tmp_path, out.getvalue())] == rows
