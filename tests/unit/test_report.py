"""The account of a run: its shape, and that it adds up (P2)."""

import json
import os
from dataclasses import replace

import pytest

from traffic.core.master.progress import Progress
from traffic.core.master.report import dead_letters, run_status, unsent_indexes
from traffic.core.master.verdict import all_delivered
from traffic.core.record_state import RecordState
from unit.a_run import ENDED, STARTED, a_run, close, context, deliver, lease, record_failure


@pytest.fixture
def run(tmp_path):
    """Ten records over two workers: 3 delivered, 1 rejected, 1 in doubt, 2 leased, 3 pending."""
    made = a_run(tmp_path, 10, ["a", "b"])
    deliver(made, "a", 0, 1)
    record_failure(made, "a", 2, RecordState.REJECTED)
    deliver(made, "b", 5)
    record_failure(made, "b", 6, RecordState.IN_DOUBT, 0, "no answer")
    lease(made, "b", 7, 8)
    made.note_attempts("a", 5, 2)
    made.note_attempts("b", 4, 1)
    yield made
    close(made)


def test_a_status_has_the_fields_that_the_design_names(run):
    status = run_status(run, context(a="running"), Progress())
    assert set(status) >= {"run", "state", "dataset", "seed", "counts", "workers", "rate", "eta_s", "started", "ended"}
    assert set(status["dataset"]) == {"file", "records", "digest", "offset", "chosen"}
    assert list(status["counts"]) == [
        *("records", "pending", "leased", "delivered", "rejected", "in_doubt", "unsent"),
        *("attempts", "resent", "maybe_resent"),
    ]
    for worker in status["workers"]:
        assert set(worker) >= {"id", "slice", "leased", "delivered", "rejected", "state"}
    assert json.loads(json.dumps(status)) == status, "JSON all through"


def test_a_status_in_mid_run(run):
    status = run_status(run, context(a="running"), Progress())
    assert [worker["id"] for worker in status.pop("workers")] == ["a", "b"], "test_report_views has their rows"
    assert status == {
        "run": "20260102-030405-abcd",
        "state": "running",
        "reason": "",
        "verdict": {"text": "running", "level": "info", "sentence": "Records are going out."},
        "paused_by_person": False,
        "dataset": {
            "file": str(run.dataset.file),
            "records": 10,
            "digest": f"sha256:{run.dataset.digest}",
            "offset": 0,
            "chosen": 10,
        },
        "order": "file",
        "seed": 7,
        "policy": "at-least-once",
        "counts": {
            "records": 10,
            "pending": 3,
            "leased": 2,
            "delivered": 3,
            "rejected": 1,
            "in_doubt": 1,
            "unsent": 0,
            "attempts": 9,
            "resent": 3,
            "maybe_resent": 0,
        },
        "rate": 0.0,
        "eta_s": None,
        "timings": None,
        "started": STARTED,
        "ended": None,
        "resumed": [],
    }


def test_a_status_adds_up_at_any_time(run):
    counts = run_status(run, context(), Progress())["counts"]
    settled = counts["delivered"] + counts["rejected"] + counts["in_doubt"]
    assert counts["records"] == settled + counts["pending"] + counts["leased"] + counts["unsent"]


def test_a_report_adds_up_what_is_pending_at_the_end_is_unsent(run):
    lost = run.ledger.leases.of("b")[0]
    run.ledger.return_lease(lost, lost.open.copy())
    report = run_status(run, context("stopped", ENDED), Progress())
    counts = report["counts"]
    assert (counts["pending"], counts["leased"], counts["unsent"]) == (0, 0, 5)
    assert counts["records"] == counts["delivered"] + counts["rejected"] + counts["in_doubt"] + counts["unsent"]
    assert (report["state"], report["ended"], report["eta_s"]) == ("stopped", ENDED, 0.0)


def test_what_all_workers_did_is_what_the_run_has(run):
    report = run_status(run, context("stopped", ENDED), Progress())
    for kind in ("delivered", "rejected", "in_doubt"):
        assert sum(worker[kind] for worker in report["workers"]) == report["counts"][kind]


def test_rate_and_remaining_time_are_rounded_to_tenths(run):
    progress = Progress()
    progress.note(0, 0.0)
    progress.note(5, 7.0)
    status = run_status(run, context(), progress)
    assert (status["rate"], status["eta_s"]) == (0.7, 7.0)


def test_only_a_run_without_a_loss_is_all_delivered(tmp_path):
    run = a_run(tmp_path, 2, ["a"])
    deliver(run, "a", 0)
    assert not all_delivered(run_status(run, context("stopped", ENDED), Progress()))
    deliver(run, "a", 1)
    assert all_delivered(run_status(run, context("completed", ENDED), Progress()))
    close(run)


def test_a_dead_letter_says_all_that_is_known_of_it(run):
    assert list(dead_letters(run)) == [
        {
            "index": 2,
            "outcome": "rejected",
            "attempts": 3,
            "status": 422,
            "reason": "HTTP 422",
            "worker": "a",
            "key": "20260102-030405-abcd-2",
            "record": '{"n": 2, "msg": "ñ2"}',
            "answer": None,
            "group": "422-dc2240b4",
        },
        {
            "index": 6,
            "outcome": "in_doubt",
            "attempts": 3,
            "status": 0,
            "reason": "no answer",
            "worker": "b",
            "key": "20260102-030405-abcd-6",
            "record": '{"n": 6, "msg": "ñ6"}',
            "answer": None,
            "group": "in-doubt-1db0b789",
        },
    ]


def test_dead_letters_and_unsent_records_are_listed_by_their_index(tmp_path):
    run = a_run(tmp_path, 50, ["a"], "random")
    record_failure(run, "a", 3, RecordState.REJECTED)
    order = [int(run.order.indexes([position])[0]) for position in range(50)]
    letter = next(dead_letters(run))
    assert letter["index"] == order[3]
    assert json.loads(letter["record"])["n"] == order[3]
    assert list(unsent_indexes(run)) == [index for position, index in enumerate(order) if position != 3]
    close(run)


def test_every_record_is_delivered_or_listed(run):
    lost = run.ledger.leases.of("b")[0]
    run.ledger.return_lease(lost, lost.open.copy())
    listed = [letter["index"] for letter in dead_letters(run)] + list(unsent_indexes(run))
    assert sorted(listed) == [2, 3, 4, 6, 7, 8, 9], "all but the three delivered"


def test_unsent_records_are_listed_in_pieces_without_a_gap(tmp_path, monkeypatch):
    monkeypatch.setattr("traffic.core.master.report.PIECE", 3)
    run = a_run(tmp_path, 20, ["a"])
    deliver(run, "a", 4, 5, 11)
    assert list(unsent_indexes(run)) == [n for n in range(20) if n not in (4, 5, 11)]
    close(run)


def test_a_dead_letter_whose_record_can_no_longer_be_read_is_still_listed(run):
    os.truncate(run.dataset.file, 3)
    assert [(letter["index"], letter["record"]) for letter in dead_letters(run)] == [(2, None), (6, None)]


def test_a_dead_letter_whose_file_became_something_else_is_still_listed(run):
    run.dataset.file.write_bytes(b"\xff" * run.dataset.file.stat().st_size)
    assert [letter["record"] for letter in dead_letters(run)] == [None, None]


def test_a_status_says_what_is_wrong_with_a_worker(run):
    in_trouble = replace(context(a="running"), troubles={"a": "the API cannot be reached: refused"})
    rows = run_status(run, in_trouble, Progress())["workers"]
    assert [row["trouble"] for row in rows] == ["the API cannot be reached: refused", ""]
