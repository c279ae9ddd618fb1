"""Rows of results on a worker: one for each attempt that is wanted, one line each, in batches that are bounded."""

import base64
import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import ResultBatch, RunConfig
from traffic.core.reading import REQUESTS
from traffic.core.request_record import pack
from traffic.core.results import BATCH_BYTES, COLUMNS, cell, columns_of
from traffic.core.text import FORMULA
from traffic.core.timings import Request
from traffic.core.trace import trace_id
from traffic.core.worker.record import Record, Wire
from traffic.core.worker.result_log import AGAIN_S, MOST_UNCONFIRMED, ResultLog

RUN = RunConfig("run", "POST", "/messages", (0.0, 0.0), 3, "at-least-once", results="all")
WITH_ANSWERS = replace(RUN, answers="all", answer_size=20, keep="/id")
POST = Request("/messages", "POST")
CREATED, REFUSED, LOST = Answer(201, "HTTP 201"), Answer(422, "HTTP 422"), Answer(0, 'reset, "by" peer')


def a_record(**more: Any) -> Record:
    known: dict[str, Any] = {"run": "run", "session": 1, "position": 5, "index": 5, "redelivered": False}
    known |= {
        "body": b'{"n":1}',
        "attempts": 1,
        "sent": 100.25,
        "request": POST,
        "wire": Wire(0.002, 100.5, 9, b'{"id": 7}'),
    }
    return Record(**known | more)


def a_log(run: RunConfig = RUN, worker: str = "w1") -> ResultLog:
    log = ResultLog(run, worker, bytes)
    log.wall_s = 1_800_000_000.0
    return log


def rows_of(batches: list[ResultBatch], run: RunConfig = RUN) -> list[dict[str, str]]:
    text = b"".join(batch.data for batch in batches).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    columns = columns_of(run.answers, run.keep)
    assert all(len(row) == len(columns) for row in rows)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def written(log: ResultLog, run: RunConfig = RUN) -> list[dict[str, str]]:
    return rows_of(log.batches(0.0, everything=True), run)


def test_a_row_says_what_an_attempt_was_and_what_came_of_it() -> None:
    log = a_log()
    log.note(a_record(), CREATED, Outcome.DELIVERED, 100.75)
    assert written(log) == [
        {
            "index": "5",
            "key": "run-5",
            "attempt": "1",
            "worker": "w1",
            "name": "/messages",
            "method": "POST",
            "path": "/messages",
            "due": "",
            "sent": "2027-01-15T08:01:40.250000Z",
            "late_ms": "",
            "latency_ms": "500.000",
            "service_ms": "500.000",
            "connect_ms": "2.000",
            "first_byte_ms": "250.000",
            "status": "201",
            "outcome": "delivered",
            "bytes_out": "7",
            "bytes_in": "9",
            "error": "",
        }
    ]


def test_with_a_schedule_the_latency_counts_from_when_the_record_was_due() -> None:
    log = a_log()
    log.note(a_record(due=100.0), CREATED, Outcome.DELIVERED, 100.75)
    (row,) = written(log)
    assert (row["due"], row["late_ms"], row["latency_ms"]) == ("2027-01-15T08:01:40.000000Z", "250.000", "750.000")
    assert row["service_ms"] == "500.000"


def test_without_an_answer_there_is_an_error_and_no_status() -> None:
    log = a_log()
    log.note(a_record(wire=None), LOST, Outcome.RETRY, 101.0)
    (row,) = written(log)
    assert (row["status"], row["outcome"], row["error"]) == ("", "retry", 'reset, "by" peer')
    assert (row["connect_ms"], row["first_byte_ms"], row["bytes_in"]) == ("", "", "0")


def test_of_a_whole_request_the_row_has_its_own_method_and_path() -> None:
    run = replace(RUN, records=REQUESTS)
    log = a_log(run)
    body = pack("/users/{id}", "PUT", "/users/7?a=1,2", [("X-A", "1")], b"12345")
    log.note(a_record(body=body, request=Request("/users/{id}", "PUT")), CREATED, Outcome.DELIVERED, 101.0)
    (row,) = written(log)
    assert (row["name"], row["method"], row["path"], row["bytes_out"]) == ("/users/{id}", "PUT", "/users/7?a=1,2", "5")


def test_only_failures_are_written_if_only_they_are_wanted() -> None:
    log = a_log(replace(RUN, results="failures"))
    for answer, outcome in ((CREATED, Outcome.DELIVERED), (REFUSED, Outcome.REJECTED), (LOST, Outcome.RETRY)):
        log.note(a_record(), answer, outcome, 101.0)
    assert [row["outcome"] for row in written(log)] == ["rejected", "retry"]
    assert log.made == 2


@pytest.mark.parametrize(
    ("content", "text", "base", "kept"),
    [
        (b'{"id": 12345678901234567890123}', '{"id": 1234567890123', "", "12345678901234567890123"),
        (b'{"id":"=1+2"}', '{"id":"=1+2"}', "", "'=1+2"),
        (b'{"id":-7}', '{"id":-7}', "", "-7"),
        (b'{"id":{"a":"\xc3\xb1"}}', '{"id":{"a":"ñ"}}', "", '{"a": "ñ"}'),
        (b'{"no":1}', '{"no":1}', "", ""),
        (b"=cmd|' /C'!A0", "'=cmd|' /C'!A0", "", ""),
        (b"a\xff", "", base64.b64encode(b"a\xff").decode(), ""),
        (b"0123456789012345678\xc3\xb1", "0123456789012345678", "", ""),
        (b"a\0b", "", base64.b64encode(b"a\0b").decode(), ""),
        (b"", "", "", ""),
    ],
)
def test_an_answer_is_kept_to_a_set_size_and_a_member_of_it_whole(
    content: bytes, text: str, base: str, kept: str
) -> None:
    log = a_log(WITH_ANSWERS)
    log.note(a_record(wire=Wire(received=len(content), content=content)), CREATED, Outcome.DELIVERED, 101.0)
    (row,) = written(log, WITH_ANSWERS)
    assert (row["answer"], row["answer_base64"], row["kept"]) == (text, base, kept)


def test_answers_of_failures_alone_leave_out_those_of_deliveries() -> None:
    run = replace(WITH_ANSWERS, answers="failures", keep="")
    log = a_log(run)
    for answer, outcome in ((CREATED, Outcome.DELIVERED), (REFUSED, Outcome.REJECTED)):
        log.note(a_record(), answer, outcome, 101.0)
    assert [row["answer"] for row in written(log, run)] == ["", '{"id": 7}']


@given(st.text(), st.binary(max_size=40), st.text())
def test_whatever_is_said_a_row_is_one_row_and_no_cell_is_a_formula(error: str, content: bytes, worker: str) -> None:
    log = a_log(WITH_ANSWERS, worker)
    log.note(a_record(wire=Wire(received=1, content=content)), Answer(0, error), Outcome.RETRY, 101.0)
    log.note(a_record(wire=Wire(received=1, content=json.dumps({"id": error}).encode())), CREATED, Outcome.RETRY, 101.0)
    rows = written(log, WITH_ANSWERS)
    assert len(rows) == 2
    for name in ("error", "answer", "kept", "worker"):
        assert all(not row[name].startswith(FORMULA) or _is_number(row[name]) for row in rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_number_stays_one_though_it_begins_with_a_sign() -> None:
    assert [cell(text) for text in ("-5", "+1e3", "-a", "@b", "=1")] == ["-5", "+1e3", "'-a", "'@b", "'=1"]


# Batches.


def test_a_few_rows_wait_for_an_ack_and_many_do_not() -> None:
    log = a_log()
    log.note(a_record(), CREATED, Outcome.DELIVERED, 101.0)
    assert log.batches(0.0, everything=False) == []
    (batch,) = log.batches(0.0, everything=True)
    assert (batch.run, batch.number, batch.rows) == ("run", 1, 1)
    while log._bytes < BATCH_BYTES:
        log.note(a_record(), CREATED, Outcome.DELIVERED, 101.0)
    assert [one.number for one in log.batches(0.1, everything=False)] == [2]


def test_a_batch_is_sent_again_until_it_is_confirmed_in_a_new_session_at_once() -> None:
    log = a_log()
    log.note(a_record(), CREATED, Outcome.DELIVERED, 101.0)
    first = log.batches(0.0, everything=True)
    assert log.batches(AGAIN_S - 0.1, everything=True) == []
    assert log.batches(AGAIN_S, everything=True) == first
    log.begin_session()
    assert log.batches(AGAIN_S + 0.1, everything=False) == first
    log.confirm(1)
    assert log.all_confirmed
    assert log.batches(9 * AGAIN_S, everything=True) == []


def test_while_no_batch_is_confirmed_rows_wait_and_then_are_dropped_and_counted() -> None:
    log, attempts = a_log(), 0
    while not log.dropped:
        log.note(a_record(), CREATED, Outcome.DELIVERED, 101.0)
        attempts += 1
        log.batches(0.0, everything=True)
        assert attempts < 10**6
    assert log.made == attempts
    kept = 0
    while not log.all_confirmed:
        log.confirm(log._number)
        kept += sum(batch.rows for batch in log.batches(0.0, everything=True))
    assert log._number > MOST_UNCONFIRMED
    assert kept + MOST_UNCONFIRMED == attempts - log.dropped, "the first four had one row each"


def test_of_a_traced_run_a_row_has_the_records_trace() -> None:
    run = replace(RUN, trace=True)
    log = a_log(run)
    for _ in range(2):
        log.note(a_record(), CREATED, Outcome.DELIVERED, 101.0)
    text = b"".join(batch.data for batch in log.batches(0.0, everything=True)).decode()
    assert [line.rpartition(",")[2] for line in text.splitlines()] == [trace_id("run-5")] * 2
    assert columns_of("off", "", trace=True)[-1] == "trace"


def test_the_columns_are_those_that_the_documents_name() -> None:
    assert columns_of("off", "") == COLUMNS
    assert columns_of("all", "/id")[-3:] == ("answer", "answer_base64", "kept")
