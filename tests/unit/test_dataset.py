"""A good file: its records by index, as the bytes that stand in it."""

import hashlib
import json
import os
import random

import numpy as np
import pytest

from traffic.dataset.dataset import Dataset, DatasetError
from unit.traffic_file import bodies, refusal, window, written

WINDOWS = [4, 5, 7, 16, 64, 1 << 20]
EVERY_ESCAPE = r'{"escapes": "\"\\\/\b\f\n\r\t\u00f1\uD83D\uDE00 \ud800 \u0000"}'
RECORDS = {
    "empty": "{}",
    "plain": '{"name":"Ana","msg":"Hola"}',
    "spread": '{ "name" :\t"Ana" ,\r\n "msg"\n:\n"Hola" }',
    "escapes": EVERY_ESCAPE,
    "other scripts": '{"ñ": "¡¿Qué?! Ελληνικά русский 日本語 العربية \u2028\u007f😀👩‍👩‍👧"}',
    "brackets in strings": r'{"a": "}]{[,:\"}]", "b": "\\"}',
    "numbers": '{"a": [0, -0, 1.5, -1e-7, 1E+400, 0.1e1, 9007199254740993, 9223372036854775807, -9223372036854775808]}',
    "a huge integer": '{"a": ' + "9" * 5000 + "}",
    "nested": '{"a": {"b": [{"c": [[], {}, [{}], null, true, false]}]}}',
    "a name twice": '{"a": 1, "a": 2}',
    "NaN in a string": '{"NaN": "Infinity -Infinity NaN"}',
    "long": '{"long": "' + "ab😀" * 50_000 + '"}',
}


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_leaves_as_its_very_bytes(tmp_path, name, size):
    wanted = [RECORDS["plain"].encode(), RECORDS[name].encode(), b'{"last":1}']
    with window(size):
        assert bodies(written(tmp_path, b"[" + b", ".join(wanted) + b"]")) == wanted


@pytest.mark.parametrize("size", WINDOWS)
def test_records_of_every_kind_stand_in_one_file(tmp_path, size):
    wanted = list(RECORDS.values())
    with window(size):
        assert bodies(written(tmp_path, "[" + ",\n".join(wanted) + "]\n")) == [text.encode() for text in wanted]


def test_a_string_of_200_kb_arrives_whole(tmp_path):
    body = json.dumps({"msg": "ñ" * 100_000}, ensure_ascii=False).encode()
    assert bodies(written(tmp_path, b"[" + body + b"]")) == [body]


@pytest.mark.parametrize("size", [4, 7, 1 << 20])
@pytest.mark.parametrize("white", ["", " ", "\n", "\r\n", "\t", " \t\r\n" * 5])
def test_white_space_may_stand_between_all_tokens(tmp_path, white, size):
    text = white.join(["", "[", '{"a":1}', ",", '{"b":2}', "]", ""])
    with window(size):
        assert bodies(written(tmp_path, text)) == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
def test_a_pretty_printed_file_is_read_as_any_other(tmp_path, indent):
    records = [{"name": "Ana", "msg": "¡Hola!"}, {"name": "Bo", "more": {"a": [1, 2]}}]
    path = written(tmp_path, json.dumps(records, indent=indent, ensure_ascii=False))
    assert [json.loads(body) for body in bodies(path)] == records


@pytest.mark.parametrize("size", [4, 7, 1 << 20])
def test_a_byte_order_mark_is_no_part_of_a_record(tmp_path, size):
    with window(size):
        assert bodies(written(tmp_path, '\ufeff [{"a":1}]')) == [b'{"a":1}']


def test_bodies_come_in_the_order_that_they_are_asked_for_in(tmp_path):
    wanted = [f'{{"n":{n},"pad":"{"x" * (n % 7)}"}}'.encode() for n in range(500)]
    path = written(tmp_path, b"[" + b",".join(wanted) + b"]")
    indexes = random.Random(7).choices(range(500), k=1000)
    assert bodies(path, indexes) == [wanted[index] for index in indexes]
    assert bodies(path, []) == []


def test_lengths_are_those_of_the_bodies(tmp_path):
    dataset = Dataset.open(written(tmp_path, '[{"a":1}, {"bb":"ñ"}, {}]'))
    assert dataset.lengths(np.array([2, 0, 1], np.uint64)).tolist() == [2, 7, 11]
    dataset.close()


@pytest.mark.parametrize("size", [4, 7, 1 << 20])
def test_the_digest_is_the_sha256_of_the_file(tmp_path, size):
    data = '\ufeff\n[{"a": "ñ"},\r\n {"b": "😀"}]\n \n'.encode()
    with window(size):
        dataset = Dataset.open(written(tmp_path, data))
    dataset.close()
    assert dataset.digest == hashlib.sha256(data).hexdigest()


def test_a_dataset_says_its_file_and_how_many_records_it_has(tmp_path):
    path = written(tmp_path, '[{"a":1},{"b":2}]')
    dataset = Dataset.open(path)
    dataset.close()
    dataset.close()
    assert (dataset.file, dataset.records) == (path, 2)


def test_a_symbolic_link_is_followed(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(written(tmp_path, '[{"a":1}]'))
    assert bodies(link) == [b'{"a":1}']


def test_500_levels_are_read_and_501_are_refused(tmp_path):
    deepest = '{"a":' * 250 + "[" * 250 + "]" * 250 + "}" * 250
    assert bodies(written(tmp_path, f"[{deepest}]")) == [deepest.encode()]
    for deeper in (f'{{"a":{deepest}}}', '{"":' + "[" * 500 + "]" * 500 + "}"):
        error = refusal(written(tmp_path, f"[{{}}, {deeper}]"))
        assert error.what == "is nested more than 500 levels deep"
        assert (error.record, error.line, error.column) == (1, 1, 6)


def test_brackets_in_strings_and_beside_each_other_are_no_depth(tmp_path):
    body = '{"a": "' + '[{\\"' * 2000 + '", "b": [' + ",".join(["[{}]"] * 2000) + "]}"
    assert bodies(written(tmp_path, f"[{body}]")) == [body.encode()]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("size", [64, 1 << 20])
def test_a_bottomless_record_is_refused_and_breaks_nothing(tmp_path, opening, size):
    with window(size):
        error = refusal(written(tmp_path, '[{"a":' + opening * 100_000))
    assert error.what == "is nested more than 500 levels deep"
    assert error.record == 0


def test_a_record_of_16_mib_is_read_and_a_longer_one_is_refused(tmp_path):
    pad = "x" * ((16 << 20) - len('{"a":""}'))
    assert len(bodies(written(tmp_path, f'[{{}},{{"a":"{pad}"}}]'))[1]) == 16 << 20
    error = refusal(written(tmp_path, f'[{{}},{{"a":"{pad}x"}}]'))
    assert error.what.startswith("is longer than 16 MiB")
    assert (error.record, error.line, error.column) == (1, 1, 5)


def cut(path):
    os.truncate(path, 12)


def grow(path):
    with path.open("ab") as file:
        file.write(b"\n")


def rewrite(path):
    data = path.read_bytes()
    os.utime(path, ns=(0, 0))
    path.write_bytes(data)


def replace(path):
    path.with_suffix(".new").write_bytes(path.read_bytes())
    path.with_suffix(".new").replace(path)


CHANGES = {
    cut: "the file has been cut short since it was opened, from 18 to 12 bytes",
    grow: "the file has been written to since it was opened",
    rewrite: "the file has been written to since it was opened",
    replace: "the file has been replaced by another since it was opened",
    os.unlink: "the file is not there any more (No such file or directory)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_since_it_was_opened_gives_no_more_records(tmp_path, change):
    path = written(tmp_path, '[{"a":1}, {"b":2}]')
    dataset = Dataset.open(path)
    assert dataset.bodies(np.array([0], np.uint64)) == [b'{"a":1}']
    change(path)
    with pytest.raises(DatasetError) as caught:
        dataset.bodies(np.array([0], np.uint64))
    assert caught.value.what == CHANGES[change]
    assert caught.value.remedy == "Leave the file as it is while a run reads it."
    dataset.close()


def test_a_disk_that_fails_in_mid_run_is_an_error_with_the_record(tmp_path, monkeypatch):
    dataset = Dataset.open(written(tmp_path, '[{"a":1}, {"b":2}]'))

    def broken(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", broken)
        with pytest.raises(DatasetError, match=r"record 1 .*can no longer be read: Input/output error"):
            dataset.bodies(np.array([1], np.uint64))
    dataset.close()


def test_records_are_read_as_many_at_once_as_have_few_bytes_together(tmp_path, monkeypatch):
    monkeypatch.setattr("traffic.dataset.dataset.BATCH", 3)
    monkeypatch.setattr("traffic.dataset.dataset.BATCH_BYTES", 40)
    sizes = [2, 2, 2, 2, 30, 90, 2, 30]
    made = Dataset.open(written(tmp_path, json.dumps([{"x": "y" * (size - 9)} if size > 2 else {} for size in sizes])))
    assert [batch.tolist() for batch in made.batches()] == [[0, 1, 2], [3, 4], [5], [6, 7]]
    assert [batch.tolist() for batch in made.batches(2, 5)] == [[2, 3, 4], [5], [6]]
    assert list(made.batches(0, 0)) == []
    made.close()
