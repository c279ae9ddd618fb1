"""`traffic check FILE` says what a start would say."""

import gzip
import hashlib

import pytest

from traffic.__main__ import main
from unit.traffic_file import written

GOOD = b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize(("data", "form"), [(GOOD, "JSON Lines"), (gzip.compress(GOOD, mtime=0), "JSON Lines, gzip")])
def test_a_good_file_is_described(tmp_path, capsys, data, form):
    path = written(tmp_path, data)
    assert main(["check", str(path)]) == 0
    digest = hashlib.sha256(data).hexdigest()
    first, written_at, *rest = capsys.readouterr().out.splitlines()
    assert first == f"{path}: good: {form}, 2 records; SHA-256 {digest}"
    assert written_at.startswith("last written: 20")
    assert rest == [
        "the first request:",
        "    POST http://HOST/",
        "    Host: HOST",
        "    User-Agent: traffic-replayer",
        "    Content-Type: application/json",
        "    Traffic-Worker: WORKER",
        "    Idempotency-Key: RUN-0",
        "    Content-Length: 8",
        "    ",
        '    {"a": 1}',
    ]


def test_the_first_request_is_that_of_the_first_record_that_is_sent(tmp_path, capsys):
    assert main(["check", str(written(tmp_path, GOOD)), "--offset", "1"]) == 0
    shown = capsys.readouterr().out
    assert "    Idempotency-Key: RUN-1\n" in shown
    assert shown.endswith('    {"a": 2}\n')


def test_of_a_header_file_only_the_name_is_shown(tmp_path, capsys, monkeypatch):
    secret = tmp_path / "headers"
    secret.write_text("Authorization: Bearer abc\n")
    monkeypatch.setenv("TRAFFIC_HEADER_FILE", str(secret))
    assert main(["check", str(written(tmp_path, GOOD))]) == 0
    shown = capsys.readouterr().out
    assert f"    (and the headers of {secret}, which each worker reads)\n" in shown
    assert "abc" not in shown


def test_a_bad_file_is_reported_on_stderr(tmp_path, capsys):
    path = written(tmp_path, "[{},\n1]")
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        f"{path}, line 2, column 1: record 1 (counted from 0) is a number (1), not a JSON object"
    )


def test_a_schema_is_kept_to(tmp_path, capsys):
    schema = written(tmp_path, '{"required": ["b"]}', "schema.json")
    assert main(["check", str(written(tmp_path, GOOD)), "--schema", str(schema)]) == 1
    assert "has 2 faults" in capsys.readouterr().err
    schema.write_text("{}")
    assert main(["check", str(written(tmp_path, GOOD)), "--schema", str(schema)]) == 0
    assert f"each passes {schema}" in capsys.readouterr().out


def test_nothing_is_left_of_a_check(tmp_path, capsys, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert main(["check", str(written(tmp_path, gzip.compress(GOOD)))]) == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    capsys.readouterr()
