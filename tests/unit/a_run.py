"""Make runs for reports, and change their ledgers by hand."""

import json
from pathlib import Path

from traffic.core.master.report import RunContext
from traffic.core.master.run import Run
from traffic.core.order import Kind, Order
from traffic.core.protocol import RunConfig
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, RecordState
from traffic.dataset.dataset import Dataset
from unit.traffic_file import written

STARTED, ENDED = "2026-01-02T03:04:05.000Z", "2026-01-02T03:05:05.000Z"


def a_run(folder: Path, records: int, workers: list[str], kind: Kind = "file") -> Run:
    """Return a run of `records` records with a slice for each of `workers`."""
    path = written(folder, json.dumps([{"n": n, "msg": f"ñ{n}"} for n in range(records)], ensure_ascii=False))
    terms = RunConfig("20260102-030405-abcd", "POST", "/", (0.0, 0.0), 5, "at-least-once")
    run = Run.of(terms, Dataset.open(path), Order(records, 7, kind))
    run.ledger.assign(workers)
    return run


def close(run: Run) -> None:
    """Let go of the run's file."""
    assert isinstance(run.dataset, Dataset)
    run.dataset.close()


def lease(run: Run, worker: str, *positions: int) -> None:
    """Lease positions of the worker's slice to it."""
    run.ledger.lease(worker, RangeSet.of(positions))


def deliver(run: Run, worker: str, *positions: int) -> None:
    """Lease and deliver positions of the worker's slice."""
    lease(run, worker, *positions)
    run.ledger.record_delivered(worker, RangeSet.of(positions))


def record_failure(
    run: Run, worker: str, position: int, state: RecordState, status: int = 422, reason: str = "HTTP 422"
) -> None:
    """Lease a position of the worker's slice and record its failure."""
    lease(run, worker, position)
    run.ledger.record_failure(RangeSet([(position, position + 1)]), Cause(state, 3, status, reason, worker))


def context(state: str = "running", ended: str | None = None, **worker_states: str) -> RunContext:
    """Return a run's context as the master would."""
    return RunContext(state, "", STARTED, ended, worker_states)
