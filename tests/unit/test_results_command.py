"""`traffic results RUN`: the rows of a run in the forms of other tools, by the run's id, its folder or its file."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import pytest

from traffic.__main__ import main
from traffic.core.results import columns_of
from traffic.results import JTL
from traffic.runs.results_file import ResultsFile, compress

RUN = "20260102-030405-abcd"
ROWS = (
    f"3,{RUN}-3,1,w1,/messages,POST,/messages,,2026-01-02T03:04:05.250001Z,,12.500,12.500,1.250,10.000,201,delivered,40,9,,"
    '"{""id"": ""ñ""}",,ñ\r\n'
    f"4,{RUN}-4,2,w2,/messages,POST,/messages,2026-01-02T03:04:05.000000Z,2026-01-02T03:04:06.000000Z,1000.000,"
    '3000.000,2000.000,,,,retry,41,0,"timed out, 2 s",,,\r\n'
    f"5,{RUN}-5,1,w1,/messages,POST,/messages,,2026-01-02T03:04:07.000000Z,,1.000,1.000,0.000,1.000,422,rejected,42,2,,,/w==,\r\n"
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one run."""
    folder = tmp_path / "state" / "runs" / RUN
    file = ResultsFile(folder / "results.csv.zst", columns_of("all", "/id"))
    file.size = file.add([compress(ROWS.encode())])
    file.finish()
    (folder / "report.json").write_text(json.dumps({"run": RUN, "target": {"host": "http://api:4000"}}))
    return tmp_path / "state"


def said(capsysbinary: pytest.CaptureFixture[bytes], *arguments: object) -> str:
    assert main(["results", *map(str, arguments)]) == 0
    return capsysbinary.readouterr().out.decode()


@pytest.mark.parametrize("how", ["id", "last", "folder", "file"])
def test_a_run_is_named_by_its_id_as_the_last_by_its_folder_or_its_file(
    state: Path, capsysbinary: pytest.CaptureFixture[bytes], how: str
) -> None:
    folder = state / "runs" / RUN
    run = {"id": RUN, "last": "last", "folder": folder, "file": folder / "results.csv.zst"}[how]
    header = ",".join(columns_of("all", "/id"))
    assert said(capsysbinary, run, "--state-dir", state) == f"{header}\r\n{ROWS}"


def test_json_lines_have_numbers_and_null_for_what_there_is_not(
    state: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = said(capsysbinary, RUN, "--state-dir", state, "--to", "jsonl").splitlines()
    first, second, third = map(json.loads, lines)
    assert (first["index"], first["status"], first["latency_ms"], first["due"]) == (3, 201, 12.5, None)
    assert (first["answer"], first["kept"], first["error"]) == ('{"id": "ñ"}', "ñ", None)
    assert (second["status"], second["connect_ms"], second["error"]) == (None, None, "timed out, 2 s")
    assert (third["answer"], third["answer_base64"]) == (None, "/w==")


def test_vegeta_s_csv_has_nanoseconds_the_status_and_the_body(
    state: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    text = said(capsysbinary, RUN, "--state-dir", state, "--to", "vegeta")
    rows = list(csv.reader(io.StringIO(text)))
    body = base64.b64encode('{"id": "ñ"}'.encode()).decode()
    url = "http://api:4000/messages"
    assert rows == [
        ["1767323045250001000", "201", "12500000", "40", "9", "", body, RUN, "3", "POST", url, ""],
        ["1767323046000000000", "0", "3000000000", "41", "0", "timed out, 2 s", "", RUN, "4", "POST", url, ""],
        ["1767323047000000000", "422", "1000000", "42", "2", "422 rejected", "/w==", RUN, "5", "POST", url, ""],
    ]


def test_a_jtl_has_jmeter_s_columns(state: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(said(capsysbinary, RUN, "--state-dir", state, "--to", "jtl"))))
    assert tuple(rows[0]) == JTL
    assert [(row["timeStamp"], row["elapsed"], row["responseCode"], row["success"]) for row in rows] == [
        ("1767323045250", "12", "201", "true"),
        ("1767323046000", "3000", "000", "false"),
        ("1767323047000", "1", "422", "false"),
    ]
    assert [(row["Latency"], row["Connect"], row["failureMessage"]) for row in rows] == [
        ("10", "1", ""),
        ("2000", "0", "retry"),
        ("1", "0", "rejected"),
    ]


def test_it_is_written_to_a_file_if_one_is_named(state: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    assert main(["results", RUN, "--state-dir", str(state), "--out", str(out)]) == 0
    assert out.read_bytes().endswith(ROWS.encode())


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("20990101-000000-abcd", f"there is no run '20990101-000000-abcd' in the state folder .*: its runs are {RUN}"),
        ("empty", "is not there: the run kept no results. Begin a run with --traffic-results all"),
        ("damaged", "Unable to decompress"),
    ],
)
def test_what_cannot_be_read_says_why(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: str, why: str
) -> None:
    monkeypatch.chdir(state)
    (state / "empty").mkdir()
    (state / "empty" / "report.json").write_text("{}")
    (state / "damaged").write_bytes(b"no frame at all")
    assert main(["results", run, "--state-dir", str(state)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("traffic results: ")
    assert re.search(why, err), err
