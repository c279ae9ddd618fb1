"""Which exit code a run ends with, and whether its journal stays."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import gevent
import pytest
from gevent.event import Event

from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.run_state import RunState
from traffic.master import active_run as module
from traffic.master import finish
from traffic.master.active_run import ActiveRun
from traffic.master.finish import EXIT_DELIVERED, EXIT_NOT_ALL, EXIT_SUSPENDED, RunFinisher
from traffic.master.outbox import Outbox
from traffic.master.run_events import RunEventRecorder
from traffic.runs.journal import Journal
from traffic.runs.state_dir import StateFolder
from unit.a_run import a_run, deliver
from unit.test_journal import METADATA

if TYPE_CHECKING:
    from traffic.dataset.dataset import Dataset

RECORDS = 10


class Bench:
    """A master's parts around a run whose worker reports every record delivered."""

    def __init__(self, folder: Path, delivered: int = RECORDS) -> None:
        run = a_run(folder, RECORDS, ["a"])
        deliver(run, "a", *range(delivered))
        state = StateFolder(folder)
        self.journal = Journal.create(state.journal_path(METADATA.run), METADATA)
        self.active_run = ActiveRun(run, cast("Dataset", run.dataset), self.journal, state)
        coordinator, self.outbox, self.run_events = (
            LeaseCoordinator(LeaseTerms(), first_session=1),
            Outbox(lambda _: None),
            RunEventRecorder(),
        )
        self.outbox.journal = self.journal
        self.environment = SimpleNamespace(process_exit_code=None, stop_timeout=0, parsed_options=None)
        self.server = gevent.spawn(self.outbox.serve)
        locust_session: Any = SimpleNamespace(
            environment=self.environment, worker_states=dict, stop=lambda: None, wind_up=lambda: None
        )
        starter: Any = SimpleNamespace(unattended=False)
        live: Any = SimpleNamespace(end=lambda: None)
        self.broken: list[object] = []
        self.finisher = RunFinisher(
            locust_session, coordinator, self.outbox, starter, self.run_events, live, self.broken.append
        )

    def complete(self) -> dict[str, Any]:
        """Complete the run; return its report."""
        self.finisher.complete(self.active_run)
        with gevent.Timeout(10):
            while self.environment.process_exit_code is None and not self.broken:
                gevent.sleep(0.01)
        assert self.broken == []
        assert self.active_run.report is not None
        return self.active_run.report

    def close(self) -> None:
        self.server.kill()
        self.journal.close()
        self.active_run.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path)) as made:
        yield made


@pytest.mark.parametrize(
    ("audit", "code", "text", "kept"),
    [
        (None, EXIT_DELIVERED, "completed", False),
        ({"stored": RECORDS, "posts": RECORDS, "agrees": True}, EXIT_DELIVERED, "completed", False),
        ({"stored": 5, "posts": 5, "agrees": False}, EXIT_NOT_ALL, "completed, audit disagrees", True),
        ({"stored": 11, "posts": 11, "agrees": False}, EXIT_NOT_ALL, "completed, audit disagrees", True),
    ],
)
def test_a_run_is_a_success_only_if_the_audit_does_not_disagree(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    audit: dict[str, Any] | None,
    code: int,
    text: str,
    kept: bool,
) -> None:
    monkeypatch.setattr(module, "reconcile", lambda *_: audit)
    with caplog.at_level("INFO"):
        report = bench.complete()
    assert bench.environment.process_exit_code == code
    assert (report["state"], report["verdict"]["text"], report["audit"]) == ("completed", text, audit)
    assert f"delivery report, run {report['run']}: {text}\n" in caplog.text
    assert bench.run_events.event_log.since(0)[-1].level == ("good" if code == EXIT_DELIVERED else "warning")
    assert bench.journal.path.exists() == kept, "a journal that may be evidence is kept"


def test_a_run_that_is_ended_in_two_ways_while_rows_are_awaited_is_reported_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(finish, "LAST_ROWS_S", 0.2)
    monkeypatch.setattr(bench.active_run.run.results, "awaits", lambda _: True)
    with caplog.at_level("INFO"):
        bench.finisher.cut_short(bench.active_run, "a check has failed")
        bench.complete()
        gevent.sleep(0.3)
    assert caplog.text.count("delivery report, run") == 1
    assert bench.broken == []


def test_a_process_that_ends_while_the_report_is_made_waits_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, gate = Event(), Event()

    def slow_audit(*_: object) -> None:
        asked.set()
        gate.wait()

    monkeypatch.setattr(module, "reconcile", slow_audit)
    bench.finisher.complete(bench.active_run)
    assert asked.wait(10)
    quitting = gevent.spawn(bench.finisher.quit, bench.active_run, broken=False, suspend=False)
    gevent.sleep(0.05)
    assert (bench.active_run.ending, bench.active_run.live, quitting.ready()) == (True, False, False)
    assert bench.active_run.state is RunState.RUNNING, "while its report is made a run is shown as before"
    gate.set()
    quitting.get(timeout=10)
    assert bench.active_run.state is RunState.COMPLETED
    assert not bench.journal.path.exists()


def test_a_run_that_is_stopped_twice_is_reported_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "reconcile", lambda *_: None)
    monkeypatch.setattr(finish, "LAST_ACKS_S", 0.0)
    bench.finisher.stop(bench.active_run)
    assert (bench.active_run.state, bench.active_run.live) == (RunState.STOPPING, True)
    bench.finisher.stop(bench.active_run)
    bench.finisher.quit(bench.active_run, broken=False, suspend=True)  # what a person has stopped is not suspended
    report = bench.active_run.report
    assert report is not None
    assert (report["state"], bench.active_run.state) == ("stopped", RunState.STOPPED)
    bench.finisher.stop(bench.active_run)
    bench.finisher.fail(bench.active_run, "too late")
    gevent.sleep(0.05)
    assert (bench.active_run.report, bench.broken) == (report, [])


def test_a_run_that_is_suspended_has_no_end_and_its_journal_is_that_of_a_run_that_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(finish, "LAST_ACKS_S", 0.0)
    bench = Bench(tmp_path, delivered=7)
    first = gevent.spawn(bench.finisher.quit, bench.active_run, broken=False, suspend=True)
    gevent.sleep(0)
    bench.finisher.stop(bench.active_run)  # Locust's test stops on the way
    assert bench.finisher.quit(bench.active_run, broken=False, suspend=True) is False, "the workers wait"
    assert first.get(timeout=10) is False
    gevent.sleep(0.1)
    assert (bench.active_run.report, bench.environment.process_exit_code) == (None, EXIT_SUSPENDED)
    assert caplog.text.count("is suspended: 7 of 1000 records are settled") == 1
    bench.close()
    with closing(Journal.open(bench.journal.path)) as journal:
        assert journal.metadata.state == RunState.RUNNING


def test_a_run_whose_last_record_is_settled_while_it_is_suspended_is_completed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "reconcile", lambda *_: None)
    monkeypatch.setattr(finish, "LAST_ACKS_S", 0.0)
    monkeypatch.setattr(finish, "LAST_ROWS_S", 0.2)
    monkeypatch.setattr(bench.active_run.run.results, "awaits", lambda _: True)
    quitting = gevent.spawn(bench.finisher.quit, bench.active_run, broken=False, suspend=True)
    gevent.sleep(0)
    bench.finisher.complete(bench.active_run)
    assert quitting.get(timeout=10) is True
    assert (bench.active_run.state, bench.environment.process_exit_code) == (RunState.COMPLETED, EXIT_DELIVERED)
