"""JSON Lines: each line that is not blank is one record, and a bad line spoils no other."""

import re

import pytest

from traffic.dataset import formats, scan
from traffic.dataset.fault_list import ManyFaultsError
from unit.traffic_file import bodies, opened, place, refusal, window, written

WINDOWS = [4, 7, 64, 1 << 20]
RECORDS = [
    '{"name": "Ana", "msg": "¡Hola!"}',
    "{}",
    r'{"a": "\ud800 \\ \" }\n{", "b": [{}, {"c": []}]}',
    '{"spaces": 1} ',
    '{"long": "' + "ab😀" * 5000 + '"}',
    '{"big": ' + "9" * 400 + "}",
]


def lines(tmp_path, text):
    return written(tmp_path, text, "traffic.jsonl")


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("joint", ["\n", "\r\n", "\n\n", "\n \t\r\n", "\n  "])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_each_line_is_a_record_whatever_breaks_the_lines(tmp_path, size, joint, end, mark):
    with window(size):
        assert bodies(lines(tmp_path, mark + joint.join(RECORDS) + end)) == [text.strip().encode() for text in RECORDS]


@pytest.mark.parametrize("name", ["traffic.json", "traffic", "traffic.jsonl", "traffic.NDJSON", "data.csv"])
def test_lines_are_recognized_by_their_content_under_any_name(tmp_path, name):
    dataset = opened(written(tmp_path, '{"a": 1}\n{"b": 2}\n', name))
    assert (dataset.records, dataset.format) == (2, formats.LINES)
    dataset.close()


def test_one_line_is_a_record_only_under_a_name_that_says_so(tmp_path):
    assert bodies(written(tmp_path, '{"a": 1}\n', "one.ndjson")) == [b'{"a": 1}']
    error = refusal(written(tmp_path, '{"a": 1}\n', "one.json"))
    assert error.what == "the file begins with an object, not with an array"
    assert "by a name that ends with .jsonl" in error.remedy


# The bad line with ¦ at the place, what is wrong with it, how the remedy begins.
BAD = {
    "no object": ("¦[1]", "is an array, not a JSON object", "Write it as an object"),
    "a bare word": ("  ¦hello", "is 'hello', not a JSON object", "Write it as an object"),
    "a comma behind": ('{"a": 1}¦,', "is followed by ',' on the same line", "Write each record on one line"),
    "two on a line": ('{"a": 1} ¦{"b": 2}', "is followed by an object on the same line", "Write each record on one"),
    "cut short": ('{"a":¦', "is not finished where the line ends", "Was the line cut short?"),
    "an open string": ('{"ñ": ¦"x', "holds a string that has no closing quote before the line ends", "Was the line"),
    "no value": ('{"a": ¦x}', "has 'x' where a value should be", "A value is"),
    "NaN": ('{"a": ¦NaN}', "holds NaN, which is no JSON number", "Write null"),
}


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_reported_with_its_place(tmp_path, name, size):
    text, what, remedy = BAD[name]
    before = '{"ok": "ñ"}\n\n'
    with window(size):
        error = refusal(lines(tmp_path, before + text.replace("¦", "") + '\n{"ok": 2}\n'))
    assert error.what == what
    assert error.remedy.startswith(remedy)
    assert (error.record, error.line, error.column) == (1, 3, text.index("¦") + 1)


@pytest.mark.parametrize("longest", [scan.MAX_RECORD, 40])
@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("before", ["", '{"ok": 1}\n'])
def test_lines_that_end_with_cr_alone_are_refused_with_words_for_it_whatever_their_size(
    tmp_path, monkeypatch, longest, size, before
):
    monkeypatch.setattr(scan, "MAX_RECORD", longest)
    with window(size):
        error = refusal(lines(tmp_path, before + '{"a":1}\r{"a":2}\r' + '{"a":3}\r' * 10))
    assert error.what == "ends with a carriage return (CR) alone, which is no line end here"
    assert error.remedy.startswith("End each line with LF, or CR LF: tr '\\r' '\\n' < FILE > NEW.jsonl writes it so.")
    number = 1 if before else 0
    assert (error.record, error.line, error.column) == (number, number + 1, 8)


# A file printed for people, with ¦ at the place; over how many lines its record is spread.
SPREAD = {
    "one object": ('¦{\n  "a": 1\n}\n', "3"),
    "objects": ('¦{\n  "a": 1\n}\n{\n  "b": 2\n}\n{\n  "c": 3\n}\n', "3"),
    "lists": ('¦{"a": [\n  1,\r\n\n  2]}\n{"a": []}\n', "4"),
    "nothing inside": ("¦{\n}\n{\n}\n", "2"),
    "cut short": ('¦{\n  "a": 1,\n', "3 or more"),
    "a bracket by itself": ("¦{\n", "2 or more"),
    "behind a good one": ('{"a": 1}\n ¦{\n  "b": {}}', "2"),
    "long": ('¦{\n"a": [\n' + "1,\n" * 400_000 + "2]}\n{}\n", r"\d+ or more"),
}


@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl"])
def test_json_that_was_printed_for_people_is_reported_in_one_message(tmp_path, name, size, suffix):
    text, lines = SPREAD[name]
    with window(size):
        error = refusal(written(tmp_path, text.replace("¦", ""), "pretty" + suffix))
    assert not isinstance(error, ManyFaultsError)
    assert re.fullmatch(f"is spread over {lines} lines, as JSON is printed for people", error.what)
    assert "jq -c . FILE" in error.remedy
    assert (error.line, error.column) == place(text[: text.index("¦")])


def test_a_line_that_was_cut_short_is_not_taken_for_one_that_goes_on(tmp_path):
    error = refusal(lines(tmp_path, '{"a": 1}\n{"a":\n{"b": 1}\n'))
    assert (error.what, error.line) == ("is not finished where the line ends", 2)


def test_csv_that_is_called_json_lines_is_named(tmp_path):
    error = refusal(lines(tmp_path, "name,msg\nAna,Hola\n"))
    assert error.what == "the file looks like CSV with a header, and by its name it is JSON Lines"


@pytest.mark.parametrize("size", WINDOWS)
def test_bytes_that_are_not_utf8_are_reported_and_the_next_line_is_read(tmp_path, size):
    with window(size):
        error = refusal(lines(tmp_path, b'{"a": "\xc3\xb1\xff"}\n{"b": x}\n{}\n'))
    assert isinstance(error, ManyFaultsError)
    first, second = error.listed
    assert (first.what, first.line, first.column) == (
        "holds bytes that are not UTF-8 (0xff: invalid start byte)",
        1,
        9,
    )
    assert (second.what, second.record, second.line) == ("has 'x' where a value should be", 1, 2)


def test_a_comma_that_a_line_lacks_and_another_has_too_many_is_no_record_moved(tmp_path):
    """In sum as many values as lines, and brackets that would close each other."""
    error = refusal(lines(tmp_path, '{"a":[{}\n{}]}\n{},{}\n'))
    assert (error.record, error.line) == (0, 1)


@pytest.mark.parametrize("text", ["\n", " \n\t\r\n", "\ufeff\n"])
def test_lines_without_a_record_are_refused(tmp_path, text):
    assert refusal(lines(tmp_path, text)).what == "the file holds no record"


@pytest.mark.parametrize("joint", ["\n", ",\n"])
def test_the_first_twenty_faults_are_listed_and_all_are_counted(tmp_path, joint):
    text = joint.join(f'{{"n": {"x" if at % 2 else at}}}' for at in range(100))
    error = refusal(lines(tmp_path, text) if joint == "\n" else written(tmp_path, f"[\n{text}\n]"))
    assert isinstance(error, ManyFaultsError)
    assert (error.count, len(error.listed)) == (50, 20)
    assert [one.record for one in error.listed] == list(range(1, 40, 2))
    assert [one.line for one in error.listed] == [at + (2 if joint == "\n" else 3) - 1 for at in range(1, 40, 2)]
    assert str(error).splitlines()[0] == f"{error.file} has 50 faults; the first 20:"
    assert len(str(error).splitlines()) == 21


def test_a_pretty_printed_array_goes_on_after_a_bad_record(tmp_path):
    good = '  {\n    "a": 1,\n    "b": {\n      "c": 2\n    }\n  }'
    bad = good.replace("1,", "1")
    error = refusal(written(tmp_path, "[\n" + ",\n".join([good, bad, good, bad, good]) + "\n]\n"))
    assert isinstance(error, ManyFaultsError)
    assert [(one.record, one.line) for one in error.listed] == [(1, 10), (3, 22)]


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("joint", [",", ", ", " ,\n  "])
def test_in_an_array_values_that_are_no_objects_are_passed_by_however_it_is_laid_out(tmp_path, size, joint):
    values = ["{}", "-12.5e3", '{"a": 1}', '"]{,"', "[{}, []]", "null", '{"b": 2}', "true", "0"]
    with window(size):
        error = refusal(written(tmp_path, f"[{joint.join(values)}]"))
    assert isinstance(error, ManyFaultsError)
    assert [one.record for one in error.listed] == [at for at, value in enumerate(values) if value[0] != "{"]
    whats = ["a number (-12.5e3)", "a string", "an array", "null", "true", "a number (0)"]
    assert [one.what for one in error.listed] == [f"is {what}, not a JSON object" for what in whats]
    assert str(error).splitlines()[0] == f"{error.file} has 6 faults:"


@pytest.mark.parametrize("size", WINDOWS)
def test_commas_that_are_missing_or_too_many_on_one_line_are_all_reported(tmp_path, size):
    with window(size):
        error = refusal(written(tmp_path, '[{"a": 1} {"b": 2},,{"c": 3}, {} {}]'))
    assert isinstance(error, ManyFaultsError)
    assert [(one.record, one.column) for one in error.listed] == [(0, 11), (2, 20), (4, 34)]


@pytest.mark.parametrize("fault", ['{"a": x}', "1 2", '{"a": 1}}'])
def test_where_nobody_can_tell_the_next_record_the_rest_is_said_to_be_unchecked(tmp_path, fault):
    error = refusal(written(tmp_path, f"[{{}}, {fault}, {{}}, 3]"))
    assert not isinstance(error, ManyFaultsError)
    assert error.record == 1
    assert error.remedy.endswith(". What follows it could not be checked.")


def test_several_faults_before_one_that_nobody_can_pass_are_at_least_so_many(tmp_path):
    error = refusal(written(tmp_path, '[1, {}, {"a": x}, 2]'))
    assert isinstance(error, ManyFaultsError)
    assert [one.record for one in error.listed] == [0, 2]
    head, _, _, last = str(error).splitlines()
    assert head == f"{error.file} has at least 2 faults:"
    assert last == "  What follows the last could not be checked."
