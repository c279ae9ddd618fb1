"""CSV: each row an object of strings, in the same bytes on every machine."""

import csv
import io
import json
import threading
from typing import Any

import pytest

from traffic.core.reading import PLAIN, Reading
from traffic.dataset import formats
from traffic.dataset.dataset import DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.from_csv.convert import convert
from traffic.dataset.memory_budget import Budget
from traffic.dataset.record_writer import CopyFile, RecordWriter
from traffic.dataset.source import Source
from unit.traffic_file import all_bodies, loaded, window, written


def opened(tmp_path, text, name="traffic.csv", **reading):
    """What a file of CSV is read as: its records, how it was read, and what a person is told."""
    with loaded(tmp_path, text, name, Reading(**reading)) as (dataset, notes):
        assert dataset.format is formats.CSV
        return all_bodies(dataset), dataset.label, notes


def read(tmp_path, text, name="traffic.csv", **reading):
    return opened(tmp_path, text, name, **reading)[0]


def refused(tmp_path, text, name="traffic.csv", **reading):
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, text, name, **reading)
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
        path, copy = written(tmp_path, text, name), tmp_path / f"{name}.rows"
        with path.open("rb") as file, CopyFile(path, copy, Budget()) as out:
            convert(Source(path, file.fileno()), PLAIN, RecordWriter(path, out, Budget()), progress)
        made.append(copy.read_bytes())

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
    "UTF-32": ("a,b\n1,2\n".encode("utf-32"), "the file is UTF-16 or UTF-32, not UTF-8", (None, 1, 1)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_place(tmp_path, name):
    text, what, place = BAD[name]
    error = refused(tmp_path, text)
    assert error.what.startswith(what)
    assert (error.record, error.line, error.column) == place
    assert not list(tmp_path.glob("cache/*")), "nothing half made is left"


# What each file of the field's public reports becomes: its records, and how it was read.
CASES = {
    "semicolons": ("name;msg\nAna;Hola\n", [b'{"name":"Ana","msg":"Hola"}'], "CSV with a header, semicolons"),
    "tabs": ("name\tmsg\nAna\tHola\n", [b'{"name":"Ana","msg":"Hola"}'], "CSV with a header, tabs"),
    "pipes": ("name|msg\nAna|Hola\n", [b'{"name":"Ana","msg":"Hola"}'], "CSV with a header, pipes"),
    "sep=;": ("sep=;\nname;msg\nAna;Hola\n", [b'{"name":"Ana","msg":"Hola"}'], "CSV with a header, semicolons"),
    "sep=,": ("sep=,\nname,msg\nAna,Hola\n", [b'{"name":"Ana","msg":"Hola"}'], "CSV with a header"),
    "sep= in quotes": ('"sep=|"\r\nn|m\r\n1|2\r\n', [b'{"n":"1","m":"2"}'], "CSV with a header, pipes"),
    "commas within names": (
        "Name, Vorname;Betrag\nLopez, Ana;3\n",
        [b'{"Name, Vorname":"Lopez, Ana","Betrag":"3"}'],
        "CSV with a header, semicolons",
    ),
    "decimal commas": ("a;b\n1,5;2,5\n", [b'{"a":"1,5","b":"2,5"}'], "CSV with a header, semicolons"),
    "zeros": ('id,n\n"008727100",1\n000123,2\n', [b'{"id":"008727100","n":"1"}', b'{"id":"000123","n":"2"}'], "CSV"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("file", ["traffic.csv", "traffic.txt"])
def test_the_first_rows_say_what_stands_between_the_fields_whatever_the_files_name(tmp_path, name, file):
    text, records, label = CASES[name]
    made, seen, notes = opened(tmp_path, text, file)
    assert (made, notes) == (records, [])
    assert seen.startswith(label)


def test_rows_that_are_empty_in_every_field_are_left_out_and_counted(tmp_path):
    made, _, notes = opened(tmp_path, 'a,b\n,\n1,\n,,,\n"",""\n\n2,3\n,\n')
    assert made == [b'{"a":"1","b":""}', b'{"a":"2","b":"3"}']
    assert notes == [f"{tmp_path / 'traffic.csv'}: 4 rows are empty in every field, and left out"]
    again = opened(tmp_path, "a,b\n,\n1,2\n")
    assert again[2][0].endswith(": 1 row is empty in every field, and left out")


AMBIGUOUS = {
    "two readings": (
        "a,b;c\n1,2;3\n",
        "the file can be read as CSV in two ways: read with commas, the header is 'a' |",
    ),
    "rows that fit neither": ("a;b,c\n1;2,3,4\n5;6;7,8\n", "the file's rows do not fit its header: read with commas"),
    "a header of one name": ("name\nAna;3\nBo;4\n", "the file's rows do not fit its header: read with semicolons"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_file_that_could_mean_two_things_is_refused_with_both_and_read_as_a_person_says(tmp_path, name):
    text, what = AMBIGUOUS[name]
    error = refused(tmp_path, text)
    assert error.what.startswith(what)
    assert "--traffic-delimiter" in error.remedy
    assert (error.line, error.column) == (1, 1)


def test_a_delimiter_that_a_person_names_overrules_the_first_rows_and_their_sep(tmp_path):
    assert read(tmp_path, "a,b;c\n1,2;3\n", delimiter=",") == [b'{"a":"1","b;c":"2;3"}']
    assert read(tmp_path, "a,b;c\n1,2;3\n", delimiter=";") == [b'{"a,b":"1,2","c":"3"}']
    assert read(tmp_path, "name\nAna;3\n", delimiter="\t") == [b'{"name":"Ana;3"}']
    assert read(tmp_path, "sep=;\na|b\n1|2\n", delimiter="|") == [b'{"a":"1","b":"2"}']


def test_sep_with_another_character_is_refused(tmp_path):
    assert refused(tmp_path, "sep=:\na:b\n1:2\n").what.startswith("the first line says that ':' stands between")


def test_rows_with_a_field_too_many_are_refused_with_both_counts(tmp_path):
    error = refused(tmp_path, "name;msg\nAna;Hola;\nBo;Ciao;\n")
    assert error.what == "has 3 fields, and the header names 2"
    assert "a semicolon" in error.remedy
    assert error.count == 2


def test_a_fault_behind_sep_has_the_line_of_the_file(tmp_path):
    assert refused(tmp_path, "sep=;\na;b\n1;2\n3\n").line == 4
    assert refused(tmp_path, "sep=;\na;;b\n1;2;3\n").line == 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("piece", [1, 2, 3, 1 << 20])
def test_utf_16_with_its_mark_is_read(tmp_path, monkeypatch, encoding, piece):
    monkeypatch.setattr("traffic.dataset.record_copy.PIECE", piece)
    text = ("\ufeff" + "name\tmsg\r\nAña\t🐵\r\n").encode(encoding)
    made, label, _ = opened(tmp_path, text, "unicode text.txt")
    assert (made, label) == (['{"name":"Aña","msg":"🐵"}'.encode()], "CSV with a header, tabs, UTF-16")


def test_utf_16_that_is_none_is_refused_with_its_place(tmp_path):
    text = "\ufeffa\tb\n1\tñx".encode("utf-16-le") + b"\x00\xd8" + "x\n".encode("utf-16-le")
    error = refused(tmp_path, text)
    assert error.what.startswith("the file is in UTF-16 by its first bytes, and holds others")
    assert (error.line, error.column) == (2, 5)


@pytest.mark.parametrize("break_", ["\r", "\n", "\r\n"])
def test_any_line_end_is_read_at_any_size_and_lines_are_counted(tmp_path, break_):
    rows = [f"{at},{'x' * 40}" for at in range(2000)]
    with window(1000):
        assert len(read(tmp_path, break_.join(["a,b", *rows]))) == 2000
        error = refused(tmp_path, break_.join(["a,b", *rows, "1"]).encode())
        assert (error.record, error.line) == (2000, 2002)
        bad = refused(tmp_path, break_.join(["a,b", *rows]).encode() + b"\xff")
        assert bad.line == 2001


TYPED = {
    "number": ("n,s\n1.50,a\n-2e3,b\n", {"n": "number"}, [b'{"n":1.50,"s":"a"}', b'{"n":-2e3,"s":"b"}']),
    "number or null": ("n,s\n1,a\n,b\n", {"n": "number?"}, [b'{"n":1,"s":"a"}', b'{"n":null,"s":"b"}']),
    "boolean": ("n,s\nTRUE,a\nfalse,b\n", {"n": "boolean"}, [b'{"n":true,"s":"a"}', b'{"n":false,"s":"b"}']),
    "null": ("n,s\n,\n1,b\n", {"s": "null"}, None),
    "json": ('n,s\n"{""a"": [1,\n2]}",x\n', {"n": "json"}, [b'{"n":{"a": [1, 2]},"s":"x"}']),
    "auto": (
        "n,b,z,m\n1,true,007,1\n2.5,false,1,x\n,,2,y\n",
        {"": "auto"},
        [
            b'{"n":1,"b":true,"z":"007","m":"1"}',
            b'{"n":2.5,"b":false,"z":"1","m":"x"}',
            b'{"n":null,"b":null,"z":"2","m":"y"}',
        ],
    ),
    "auto, but for one": ("n,m\n1,2\n", {"": "auto", "m": "string"}, [b'{"n":1,"m":"2"}']),
}


@pytest.mark.parametrize("name", [name for name in TYPED if TYPED[name][2]])
def test_a_column_is_of_the_type_that_a_person_says(tmp_path, name):
    text, types, records = TYPED[name]
    assert read(tmp_path, text, csv_types=tuple(types.items())) == records


BAD_CELLS = {
    "number": ("n\n1\n007\n", "number", "has '007', which is no number as JSON has it"),
    "empty number": ("n,m\n,1\n", "number", "has '', which is no number"),
    "boolean": ("n\nyes\n", "boolean", "has 'yes', which is neither true nor false"),
    "json": ("n\n[1\n", "json", "has '[1', which is no JSON"),
    "json and more": ('n\n"{} x"\n', "json", "has '{} x', which is no JSON (behind the value follows 'x')"),
    "deep": ("n\n" + "[" * 501 + "]" * 501 + "\n", "json", f"has '{'[' * 40}…', which is nested more than 500"),
}


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_cell_that_is_not_of_its_type_is_refused_with_row_and_column(tmp_path, name):
    text, kind, what = BAD_CELLS[name]
    error = refused(tmp_path, text, csv_types=(("n", kind),))
    assert error.what.startswith(what)
    assert error.what.endswith("in column 'n'")
    assert error.line == (3 if name == "number" else 2)


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    error = refused(tmp_path, "a,b\n1,2\n", csv_types=(("c", "number"),))
    assert (error.what, error.remedy) == ("the header has no column 'c', which the options name", "It has 'a', 'b'.")


def test_a_cell_is_the_body_as_it_stands_if_a_person_says_so(tmp_path):
    text = 'id,body\n1,"{""name"": ""Ana"",\n ""n"": 1.50}"\n2, [] \n'
    assert read(tmp_path, text, csv_body="body") == [b'{"name": "Ana",\n "n": 1.50}', b" [] "]
    error = refused(tmp_path, text + "3,{\n", csv_body="body")
    assert error.what.startswith("has '{', which is no JSON")
    assert error.line == 5
    assert "--traffic-csv-body" in error.remedy


def test_json_in_cells_is_sent_as_a_string_with_a_hint(tmp_path):
    made, _, notes = opened(tmp_path, 'body\n"{""name"":""Ana""}"\n')
    assert made == [b'{"body":"{\\"name\\":\\"Ana\\"}"}']
    (note,) = notes
    assert "column 'body' holds JSON" in note
    assert "--traffic-csv-body body" in note
    assert opened(tmp_path, "a,b\n{x},1\nplain,2\n")[2] == []


def test_the_same_file_read_in_another_way_is_another_entry_of_the_cache(tmp_path):
    text = "a,b;c\n1,2;3\n"
    for _ in range(2):
        assert read(tmp_path, text, delimiter=",") == [b'{"a":"1","b;c":"2;3"}']
        assert read(tmp_path, text, delimiter=";") == [b'{"a,b":"1,2","c":"3"}']
    assert len(list((tmp_path / "cache").glob("*.index"))) == 2


def test_options_for_csv_are_refused_for_json(tmp_path):
    error = refused(tmp_path, "[{}]", "traffic.json", delimiter=";")
    assert error.what == "the file looks like JSON, and options for CSV are set"


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
