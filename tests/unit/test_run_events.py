"""Each begin, pause and end of a run is recorded once, whoever caused it."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from traffic.master.run_events import RunEventRecorder

REPORT: dict[str, Any] = {
    "run": "r1",
    "state": "completed",
    "reason": "",
    "counts": {"records": 4, "delivered": 4, "rejected": 0, "in_doubt": 0, "unsent": 0},
}


@dataclass(eq=False)
class _Run:
    """What a recorder reads of an active run."""

    state: str = "running"
    reason: str = ""
    report: dict[str, Any] | None = None
    paused_by_person: bool = False
    settled: int = 1
    metadata: Any = field(
        default_factory=lambda: SimpleNamespace(
            run="r1", records=4, file="f", order="file", seed=7, resumed=(), pace=None
        )
    )


# It stands in for an ActiveRun.
ARun: Any = _Run


def kinds(run_events: RunEventRecorder) -> list[str]:
    return [row.kind for row in run_events.event_log.since(0)]


def texts(run_events: RunEventRecorder) -> list[str]:
    return [row.text for row in run_events.event_log.since(0)]


def test_a_run_begins_pauses_goes_on_and_ends_each_noted_once() -> None:
    run_events, run = RunEventRecorder(), ARun()
    for state, reason in (("running", ""), ("paused", "no worker is there"), ("running", ""), ("stopping", "")):
        run.state, run.reason = state, reason
        run_events.update(run)
        run_events.update(run)
    run.state, run.report = "completed", REPORT
    run_events.update(run)
    run_events.update(run)
    assert kinds(run_events) == ["run-began", "run-paused", "run-goes-on", "run-stopping", "run-completed"]
    assert texts(run_events)[1] == "run r1 is paused: no worker is there"
    assert texts(run_events)[-1] == ("run r1 completed: 4 records = 4 delivered + 0 rejected + 0 in doubt + 0 unsent")


def test_a_person_s_pause_is_told_as_such() -> None:
    run_events, run = RunEventRecorder(), ARun("paused", "paused by a person", paused_by_person=True)
    run_events.update(run)
    assert texts(run_events)[1] == "run r1 is paused by a person"


def test_an_api_that_fails_in_several_ways_is_noted_once() -> None:
    run_events, run = RunEventRecorder(), ARun("paused")
    for error in ("ConnectionRefusedError", "TimeoutError", "ConnectionRefusedError"):
        run.reason = f"the API cannot be reached: {error}"
        run_events.update(run)
    assert kinds(run_events) == ["run-began", "run-paused"]


def test_another_cause_of_the_same_pause_is_news() -> None:
    run_events, run = RunEventRecorder(), ARun("paused", "the API cannot be reached: ConnectionRefusedError")
    run_events.update(run)
    run.reason = "no worker is there"
    run_events.update(run)
    assert kinds(run_events) == ["run-began", "run-paused", "run-paused"]


def test_a_run_that_was_over_before_anybody_looked_has_its_beginning_and_its_end() -> None:
    run_events = RunEventRecorder()
    run_events.update(ARun("completed", report=REPORT))
    assert kinds(run_events) == ["run-began", "run-completed"]


@pytest.mark.parametrize(("delivered", "level"), [(4, "good"), (3, "warning")])
def test_the_end_is_good_only_where_every_record_was_delivered(delivered: int, level: str) -> None:
    run_events = RunEventRecorder()
    counts = {**REPORT["counts"], "delivered": delivered, "rejected": 4 - delivered}
    run_events.update(ARun("completed", report={**REPORT, "counts": counts}))
    assert run_events.event_log.since(0)[-1].level == level


def test_the_end_says_how_many_were_rejected_and_that_the_audit_disagrees() -> None:
    run_events = RunEventRecorder()
    counts = {**REPORT["counts"], "delivered": 3, "rejected": 1}
    run_events.update(ARun("completed", report={**REPORT, "counts": counts, "audit": {"stored": 2, "agrees": False}}))
    assert texts(run_events)[-1] == (
        "run r1 completed, 1 rejected, audit disagrees: 4 records = 3 delivered + 1 rejected + 0 in doubt + 0 unsent. "
        "The API's own audit does not agree with the report: 1 record was delivered, and the API has not stored it."
    )
    assert run_events.event_log.since(0)[-1].level == "warning"


def test_a_resumed_run_says_what_is_left_of_it() -> None:
    run_events, run = RunEventRecorder(), ARun()
    run.metadata.resumed = ("once",)
    run_events.update(run)
    assert texts(run_events) == ["run r1 is resumed: 3 records of 4 of f are left"]


def test_a_refusal_is_noted_with_its_reason() -> None:
    run_events = RunEventRecorder()
    run_events.refused(ValueError("no such file. Name another with --traffic-file."))
    assert texts(run_events) == ["refused to start: no such file. Name another under Traffic file."]
    run_events.update(None)
    assert kinds(run_events) == ["refused"]


def test_another_rate_is_noted_once_and_the_first_one_is_none() -> None:
    run_events, run = RunEventRecorder(), ARun()
    for rate in ("5/s", "5/s", "12/s", "12/s"):
        run.metadata.pace = SimpleNamespace(present_rate=rate)
        run_events.update(run)
    assert kinds(run_events) == ["run-began", "rate-changed"]
    assert texts(run_events)[-1] == "a person has changed the rate from 5/s to 12/s"
    run_events.update(ARun())
    assert kinds(run_events)[2:] == ["run-began"]
