"""A bad file: refused before anything is sent, with the file, the record, the place, what is wrong and what to do."""

import os
import re
from pathlib import Path

import pytest

from traffic.dataset import scan
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from unit.traffic_file import MARK, place, refusal, window, written

WINDOWS = [4, 7, 16, 64, 1 << 20]
SHAPE = "The file must hold one JSON array of objects, such as"
OBJECT = "Write it as an object, such as"
CUT = "Was the file cut short?"

# The file, with ¦ at the place to be named; the record; what is wrong; how the remedy begins.
BAD = {
    # not an array
    "white space only": (" \t\r\n ¦", None, "the file holds nothing but white space", SHAPE),
    "only a byte order mark": ("\ufeff¦", None, "the file holds nothing but white space", SHAPE),
    "a word": ("\n  ¦hello", None, "the file begins with 'hello', not with an array", SHAPE),
    "HTML": ("¦<html>", None, "the file begins with '<html>', not with an array", SHAPE),
    "a string": (' ¦"[{}]"', None, "the file begins with a string, not with an array", SHAPE),
    "a number": ("¦-12.5", None, "the file begins with a number (-12.5), not with an array", SHAPE),
    "null": ("¦null", None, "the file begins with null, not with an array", SHAPE),
    "prose": ("¦Dear all, hi", None, "the file begins with 'Dear', not with an array", SHAPE),
    "prose with a comma": (
        "¦Dear all, hi\nbye\n",
        None,
        "the file is not JSON, for it begins with 'Dear', and not CSV, for its first line names 2 columns and its "
        "second line has 1 field",
        "If it is CSV, rename it",
    ),
    "a column without a name": (
        "¦a,,c\n1,2,3\n",
        None,
        "the file is not JSON, for it begins with 'a', and not CSV, for its first line has no name for column 2",
        "If it is CSV, rename it",
    ),
    "a column's name twice": (
        "\n¦a,b,a\n1,2,3\n",
        None,
        "the file is not JSON, for it begins with 'a', and not CSV, for its first line has the name 'a' twice",
        "If it is CSV, rename it",
    ),
    "numbers": ("¦12\n13\n", None, "the file begins with a number (12), not with an array", SHAPE),
    "a comment": (
        "¦// records\n[{}]",
        None,
        "the file begins with a comment (JSON has none), not with an array",
        SHAPE,
    ),
    "a closing bracket": ("¦]", None, "the file begins with ']', not with an array", SHAPE),
    "a single object": ('¦{"a":1}\n', None, "the file begins with an object, not with an array", "Put [ before it"),
    "an object around": (
        '¦{"records": [{}]}',
        None,
        "the file begins with an object, not with an array",
        "Put [ before",
    ),
    "a broken object": ('\ufeff¦{"a":', None, "the file begins with an object, not with an array", "Put [ before it"),
    # the array
    "empty array": ("[ ¦]", None, "the array is empty", "Put at least one record into it"),
    "only its bracket": ("[¦", None, "the file ends inside the array", "Was it cut short? Add what is missing"),
    "ends after a comma": ('[{"a":1},\n¦', None, "the file ends inside the array", "Was it cut short?"),
    "no closing bracket": (
        '[{"a":1} ¦',
        0,
        "is followed by the end of the file, not by a comma or the closing bracket",
        "Was the file cut short? Add the closing bracket ].",
    ),
    "trailing comma": (
        '[{"a":1}¦,\n\n     ]',
        None,
        "there is a comma before the closing bracket",
        "Remove the comma.",
    ),
    "two commas": ('[{"a":1},¦,{"b":2}]', 1, "is missing: there is a comma in its place", "Remove the comma."),
    "comma first": ('[¦,{"b":2}]', 0, "is missing: there is a comma in its place", "Remove the comma."),
    "no comma": (
        '[{"á":1}\n  ¦{"b":2}]',
        0,
        "is followed by an object, not by a comma or the closing bracket",
        "Put a comma between the two records.",
    ),
    "a brace too many": (
        '[{"a":1}¦}]',
        0,
        "is followed by '}', not by a comma or the closing bracket",
        "Put a comma or the closing bracket ] there.",
    ),
    "a second array": ('[{"a":1}] ¦[{"b":2}]', None, "the array is followed by an array", "Keep one array"),
    "something behind": ('[{"a":1}]\n¦x', None, "the array is followed by 'x'", "Keep one array in the file"),
    "a comma behind": ('[{"a":1}]¦,', None, "the array is followed by ','", "Keep one array in the file"),
    "a NUL behind": ('[{"a":1}]\n¦\0', None, "the array is followed by '\\x00'", "Keep one array in the file"),
    # a record that is no object
    "a number for a record": ('[{"a":1}, ¦-7e3]', 1, "is a number (-7e3), not a JSON object", OBJECT),
    "a string for a record": ('[¦"ñ"]', 0, "is a string, not a JSON object", OBJECT),
    "an array for a record": ("[{},\n{},\n¦[{}]]", 2, "is an array, not a JSON object", OBJECT),
    "null for a record": ("[¦null]", 0, "is null, not a JSON object", OBJECT),
    "true for a record": ("[¦true ]", 0, "is true, not a JSON object", OBJECT),
    "False for a record": ("[¦False]", 0, "is 'False', not a JSON object", OBJECT),
    "NaN for a record": ("[¦NaN]", 0, "is 'NaN', not a JSON object", OBJECT),
    "a comment for a record": ("[{}, ¦/* none */ {}]", 1, "is a comment (JSON has none), not a JSON object", OBJECT),
    "a colon for a record": ("[¦:]", 0, "is ':', not a JSON object", OBJECT),
    # inside a record: tokens
    "comma before }": ('[{"a":1¦,\n }]', 0, "has a comma before the closing }", "Remove the comma."),
    "comma before ]": ('[{"a":[1 ¦, ]}]', 0, "has a comma before the closing ]", "Remove the comma."),
    "comma alone": ("[{¦,}]", 0, "has a comma before the closing }", "Remove the comma."),
    "two commas inside": (
        '[{"a":1,¦,"b":2}]',
        0,
        "has ',' where the name of a field should be",
        'A field is written "name": value',
    ),
    "a name without quotes": (
        "[{}, {¦name: 1}]",
        1,
        "has 'name' where the name of a field should be",
        'A field is written "name": value, its name in double quotes.',
    ),
    "a number for a name": ("[{¦1: 1}]", 0, "has a number (1) where the name of a field should be", "A field"),
    "a name in single quotes": ("[{¦'a': 1}]", 0, "has a text in single quotes", "Write it in double quotes"),
    "a text in single quotes": ("[{\"a\": ¦'b'}]", 0, "has a text in single quotes", "Write it in double quotes"),
    "no colon": ('[{"a" ¦1}]', 0, "has a number (1) where a colon should be", "A field is written"),
    "no colon and no value": ('[{"a"¦}]', 0, "has '}' where a colon should be", "A field is written"),
    "no value": ('[{"a":¦}]', 0, "has '}' where a value should be", 'A value is "text", a number'),
    "no comma inside": (
        '[{"a": "x" ¦"b": 1}]',
        0,
        "has a string where a comma or a closing bracket should be",
        "Put a comma between two fields",
    ),
    "a quote in a string": (
        '[{"msg": "She said "¦hi" to me"}]',
        0,
        "has 'hi' where a comma or a closing bracket should be",
        'Put a comma between two fields; a quote within a string is written \\".',
    ),
    "] for }": ('[{"a":1¦]', 0, "has ']' where a comma or a closing bracket should be", "Close what is open"),
    "} for ]": ('[{"a":[1¦}]', 0, "has '}' where a comma or a closing bracket should be", "Close what is open"),
    "a comment inside": ('[{"a":1 ¦/* one */}]', 0, "holds a comment, which JSON does not have", "Remove it."),
    "True": ('[{"ñ": ¦True}]', 0, "has 'True' where a value should be", "Write true."),
    "None": ('[{"a": [¦None]}]', 0, "has 'None' where a value should be", "Write null."),
    "undefined": ('[{"a": ¦undefined}]', 0, "has 'undefined' where a value should be", "Write null."),
    "a word for a value": ('[{"a": ¦yes}]', 0, "has 'yes' where a value should be", 'A value is "text"'),
    "another script": ('[{"a": ¦да}]', 0, "has 'да' where a value should be", 'A value is "text"'),
    "after a number": ('[{"a": 1 ¦2}]', 0, "has a number (2) where a comma or a closing bracket should be", "Put a"),
    "minus after a string": ('[{"a": "x"¦-1}]', 0, "has a number (-1) where a comma or a closing", "Put a comma"),
    # inside a record: numbers
    "NaN": ('[{"a":1},{"é": ¦NaN}]', 1, "holds NaN, which is no JSON number", "Write null, or a number in digits."),
    "Infinity": ('[{"NaN": [0, ¦Infinity]}]', 0, "holds Infinity, which is no JSON number", "Write null"),
    "-Infinity": ('[{"a": "NaN \\" Infinity", "b": ¦-Infinity}]', 0, "holds -Infinity, which is no", "Write null"),
    "a leading zero": ('[{"a": ¦01}]', 0, "holds '01', which is no JSON number", "Write numbers such as"),
    "a leading point": ('[{"a": ¦.5}]', 0, "holds '.5', which is no JSON number", "Write numbers such as"),
    "a trailing point": ('[{"a": ¦1.}]', 0, "holds '1.', which is no JSON number", "Write numbers such as"),
    "a plus": ('[{"a": ¦+1}]', 0, "holds '+1', which is no JSON number", "Write numbers such as"),
    "a lonely minus": ('[{"a": ¦- }]', 0, "holds '-', which is no JSON number", "Write numbers such as"),
    "two minuses": ('[{"a": ¦--1}]', 0, "holds '--1', which is no JSON number", "Write numbers such as"),
    "hexadecimal": ('[{"a": ¦0x1F}]', 0, "holds '0x1F', which is no JSON number", "Write numbers such as"),
    "no exponent": ('[{"a": ¦-1.5e+}]', 0, "holds '-1.5e+', which is no JSON number", "Write numbers such as"),
    "digits with a line": ('[{"a": [¦1_000]}]', 0, "holds '1_000', which is no JSON number", "Write numbers such as"),
    "a date": ('[{"a": ¦2024-01-31}]', 0, "holds '2024-01-31', which is no JSON number", "Write numbers such as"),
    # inside a record: strings
    "a line break": ('[{"ñ": "ñ¦\n"}]', 0, "holds a line break inside a string", "Write it as \\n."),
    "a carriage return": ('[{"a": "¦\r\n"}]', 0, "holds a line break inside a string", "Write it as \\r."),
    "a tab": ('[{"a¦\t": 1}]', 0, "holds a tab inside a string", "Write it as \\t."),
    "a control character": (
        '[{"a": "¦\x0b"}]',
        0,
        "holds the control character 0x0b inside a string",
        "Write it as \\u000b.",
    ),
    "a NUL": ('[{"a": "¦\0"}]', 0, "holds the control character 0x00 inside a string", "Write it as \\u0000."),
    "a Windows path": ('[{"a": "C:¦\\Users"}]', 0, "holds a backslash followed by 'U'", "The escapes are"),
    "an escaped letter": ('[{"a": "\\n\\\\¦\\ñ"}]', 0, "holds a backslash followed by 'ñ'", "The escapes are"),
    "three digits": ('[{"a": "¦\\u12G4"}]', 0, "holds \\u followed by '12G4', not by four hex", "Write four of them"),
    "a broken pair": ('[{"a": "\\ud83d¦\\uZZZZ"}]', 0, "holds \\u followed by 'ZZZZ', not by four", "Write four of"),
    "a sign in digits": ('[{"a": "¦\\u+123"}]', 0, "holds \\u followed by '+123', not by four hex", "Write four of"),
    "an open string": ('[{"a": ¦"x}]', 0, "holds a string that has no closing quote", CUT),
    # the end inside a record
    "ends after a brace": ("[{¦", 0, "is not finished where the file ends", CUT),
    "ends after a colon": ('[{"a":¦', 0, "is not finished where the file ends", CUT),
    "ends in a word": ('[{"a":tru¦', 0, "is not finished where the file ends", CUT),
    "ends in a number": ('[{"a":-¦', 0, "is not finished where the file ends", CUT),
    "ends in an escape": ('[{"a":"\\u00¦', 0, "is not finished where the file ends", CUT),
    # the first of several
    "the first of several": ("[{},\n¦1,\n2,\n{'a': NaN}] x", 1, "is a number (1), not a JSON object", OBJECT),
    "no line to go on from": ("[{}, ¦1, 2, {'a': NaN}] x", 1, "is a number (1), not a JSON object", OBJECT),
    "beyond a mark": ("\ufeff[¦1]", 0, "is a number (1), not a JSON object", OBJECT),
}


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_place_and_a_remedy(tmp_path, name, size):
    text, record, what, remedy = BAD[name]
    path = written(tmp_path, text.replace(MARK, ""))
    with window(size):
        error = refusal(path)
    assert error.what.startswith(what)
    assert error.remedy.startswith(remedy)
    assert (error.record, error.line, error.column) == (record, *place(text[: text.index(MARK)]))


@pytest.mark.parametrize("name", BAD)
def test_the_message_names_file_place_record_fault_and_remedy(tmp_path, name):
    error = refusal(written(tmp_path, BAD[name][0].replace(MARK, "")))
    record = "" if error.record is None else f"record {error.record} (counted from 0) "
    place = f"{error.file}, line {error.line}, column {error.column}"
    said = f"{record}{error.what}. {error.remedy}"
    if isinstance(error, ManyFaultsError):
        head, first, *_ = str(error).split("\n  ")
        assert head in {f"{error.file} has {least}{error.count} faults:" for least in ("", "at least ")}
        assert first == f"line {error.line}, column {error.column}: {said}"
    else:
        assert str(error) == f"{place}: {said}"
    assert re.search(r"[.]$", error.remedy), "a sentence"
    assert str(error).replace("\n  ", "").isprintable(), "no control characters"


def test_a_message_reads_as_a_sentence_that_a_student_understands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, '[\n {"name": "Ana", "msg": "Hola"},\n {"name": "Bo", "msg": "Qué tal",}\n]\n')
    assert str(refusal(Path("traffic.json"))) == (
        "traffic.json, line 3, column 33: record 1 (counted from 0) has a comma before the closing }. Remove the comma."
    )


def test_a_comma_before_the_closing_bracket_is_refused_with_its_place(tmp_path):
    error = refusal(written(tmp_path, '[\n  {"a": 1},\n  {"b": 2},\n]\n'))
    assert (error.line, error.column) == (3, 11), "the comma's, not the bracket's"
    assert error.remedy == "Remove the comma."


@pytest.mark.parametrize("joint", [" ", ",\n", ""])
def test_objects_one_after_another_on_a_line_are_refused_with_the_way_to_make_lines(tmp_path, joint):
    error = refusal(written(tmp_path, joint.join(['{"a": "}{"}', '{"b": 2}', '{"c": 3}']) + "\n"))
    assert error.what.endswith(" on the same line")
    assert error.remedy == "Write each record on one line of its own (jq -c . does that)."
    assert (error.record, error.line) == (0, 1)


# Bytes that are not UTF-8, with the place as what stands before them.
NOT_UTF8 = {
    "Latin-1": (b'[{"a": "ca', b'\xf1a"}]', 0, "0xf1"),
    "Windows-1252": (b'[{"a": 1},\n {"a": "', b'\x80 5"}]', 1, "0x80"),
    "a cut character": ('[{"ñ": "'.encode(), b'\xf0\x9f\x98"}]', 0, "0xf0"),
    "a surrogate": (b'[{"a": "', b'\xed\xa0\x80"}]', 0, "0xed"),
    "an overlong slash": (b'[{"a": "', b'\xc0\xaf"}]', 0, "0xc0"),
    "beyond Unicode": (b'[{"a": "', b'\xf5\x80\x80\x80"}]', 0, "0xf5"),
    "in a name": (b'[{}, {}, {"', b'\xe9": 1}]', 2, "0xe9"),
    "between records": (b"[{}, ", b"\xff, {}]", 1, "0xff"),
    "behind a record": (b"[{}", b"\xff]", 0, "0xff"),
    "before a fault": (b'[{"a": "', b'\xff"}, 12]', 0, "0xff"),
    "before a fault in its record": ('[{}, {"ñ": "'.encode(), b'\xff", "b": tru}]', 1, "0xff"),
    "before a fault far behind": (b'[{}, {"a": "', b'\xff"}' + b", {}" * 50 + b", tru]", 1, "0xff"),
    "behind the array": (b"[{}]\n ", b"\xff", None, "0xff"),
    "before the array": (b"\n", b"\xff[{}]", None, "0xff"),
}


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("name", NOT_UTF8)
def test_bytes_that_are_not_utf8_are_refused_with_their_place(tmp_path, name, size):
    before, rest, record, byte = NOT_UTF8[name]
    with window(size):
        error = refusal(written(tmp_path, before + rest))
    assert re.match(rf"(the file )?holds bytes that are not UTF-8 \({byte}: ", error.what)
    assert error.remedy == "Open the file in an editor and save it as UTF-8."
    assert (error.record, error.line, error.column) == (record, *place(before.decode()))


def test_a_fault_before_bytes_that_are_not_utf8_comes_first(tmp_path):
    error = refusal(written(tmp_path, b'[{"a": tru, "b": "\xff"}]'))
    assert (error.what, error.column) == ("has 'tru' where a value should be", 8)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_utf16_and_utf32_are_refused_by_their_names(tmp_path, coding):
    error = refusal(written(tmp_path, '[{"a": 1}]'.encode(coding)))
    assert error.what == "the file is UTF-16 or UTF-32, not UTF-8"
    assert (error.record, error.line, error.column) == (None, 1, 1)


SMALL = '\ufeff[ {"a": "ñ\\u00f1\\\\", "b": [1.5e3, -0, null, true]}\n, {} ]'.encode()


@pytest.mark.parametrize("size", [4, 7, 1 << 20])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path, size):
    with window(size):
        for stop in range(len(SMALL)):
            error = refusal(written(tmp_path, SMALL[:stop]))
            assert error.remedy
        Dataset.open(written(tmp_path, SMALL)).close()


def test_a_fault_far_behind_on_one_long_line_has_its_column_in_characters(tmp_path):
    good = '{"a": "ñ😀"},' * 1000
    with window(64):
        error = refusal(written(tmp_path, f"[{good}1]"))
    assert (error.record, error.line, error.column) == (1000, 1, 2 + len(good))


# Not a file to be read.


def test_a_missing_file_is_refused_with_the_path_that_was_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refusal(Path("nowhere/traffic.json"))
    assert str(error) == (
        "nowhere/traffic.json: there is no such file. Put the records there, or name another file with "
        f"--traffic-file (looked for: {tmp_path}/nowhere/traffic.json)."
    )
    assert (error.record, error.line, error.column) == (None, None, None)


def test_a_folder_is_refused(tmp_path):
    error = refusal(tmp_path)
    assert str(error) == f"{tmp_path}: this is a folder. Name a file in it with --traffic-file."


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").what == "this is no regular file"


def test_a_device_is_refused():
    assert refusal(Path("/dev/null")).what == "this is no regular file"


def test_an_empty_file_is_refused(tmp_path):
    error = refusal(written(tmp_path, b""))
    assert error.what == "the file is empty"
    assert error.remedy.startswith("Put at least one record into it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_the_right_to_read_is_refused(tmp_path):
    path = written(tmp_path, "[{}]")
    path.chmod(0)
    assert refusal(path).what == "this user may not read the file"


def test_a_refused_right_to_read_is_reported_with_its_remedy(monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    error = refusal(Path("secret.json"))
    assert str(error) == (
        "secret.json: this user may not read the file. "
        "Give this user the right to read it, or name another file with --traffic-file."
    )


@pytest.mark.parametrize(("name", "reason"), [("a\0b", "null"), ("x" * 5000, "too long")])
def test_a_name_that_no_file_can_have_is_refused(name, reason):
    error = refusal(Path(name))
    assert error.what.startswith("the file cannot be opened (")
    assert reason in error.what


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path, "[" + '{"a": 1}, ' * 100 + "{}]")
    read, calls = os.pread, []

    def shrinking(handle, length, offset):
        calls.append(offset)
        if len(calls) == 10:
            os.truncate(path, 300)
        return read(handle, length, offset)

    monkeypatch.setattr(os, "pread", shrinking)
    with window(64), pytest.raises(DatasetError) as caught:
        Dataset.open(path)
    assert caught.value.what == "the file became shorter while it was being read"
    assert caught.value.remedy == "Start again when nothing writes to it any more."


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path, "[" + '{"a": 1}, ' * 100 + "{}]")
    read, calls = os.pread, []

    def growing(handle, length, offset):
        calls.append(offset)
        if len(calls) == 10:
            with path.open("ab") as file:
                file.write(b" more")
        return read(handle, length, offset)

    monkeypatch.setattr(os, "pread", growing)
    with window(64), pytest.raises(DatasetError) as caught:
        Dataset.open(path)
    assert caught.value.what == "the file has been written to since it was opened"


def test_a_disk_that_cannot_be_read_is_reported(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    error = refusal(written(tmp_path, "[{}]"))
    assert error.what == "the file cannot be read (Input/output error)"


def test_a_quote_that_is_never_closed_is_reported_long_before_a_large_file_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "MAX_RECORD", 1 << 20)
    read, longest = os.pread, []

    def watched(handle, length, offset):
        longest.append(length)
        return read(handle, length, offset)

    monkeypatch.setattr(os, "pread", watched)
    error = refusal(written(tmp_path, '[{"a": "' + "x" * (6 << 20)))
    assert error.what == "is longer than 1 MiB, or a quote or bracket in it is never closed"
    assert (error.record, error.line, error.column) == (0, 1, 2)
    assert max(longest) <= 2 << 20


@pytest.mark.parametrize("text", ["", "[1]", "x", '[{"a": tru}]'])
def test_a_refused_file_is_closed(tmp_path, monkeypatch, text):
    handles = []
    opened, closed = os.open, os.close

    def opening(path, flags, *more, **options):
        handles.append(opened(path, flags, *more, **options))
        return handles[-1]

    def closing(handle):
        handles.remove(handle)
        closed(handle)

    path = written(tmp_path, text)
    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "close", closing)
    with pytest.raises(DatasetError):
        Dataset.open(path)
    assert handles == []
