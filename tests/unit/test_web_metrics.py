"""The status as metrics: read back by Prometheus's own parser, with names and types as it wants them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from traffic.core.master.api_hold import ApiHold
from traffic.core.master.pacer import Pacer
from traffic.core.master.rate_backoff import RateBackoff
from traffic.core.master.report import COUNTS
from traffic.core.master.result_book import ResultBook
from traffic.core.master.timing_book import TimingBook
from traffic.core.outcome import Answer
from traffic.core.pace.arrivals import EvenArrivals
from traffic.core.pace.measures import LateCause
from traffic.core.pace.profile import Profile
from traffic.core.pace.schedule import RateSchedule
from traffic.core.protocol import Hold
from traffic.core.timings import Request
from traffic.core.worker.pace_meter import PaceMeter
from traffic.core.worker.timing_log import TimingLog
from traffic.master.web.metrics import STATES, Metrics
from unit.a_site import ASite

STATUS: dict[str, Any] = {
    "run": "r1",
    "state": "running",
    "dataset": {"file": 'a "b"\\\n\udcff.json', "digest": "sha256:00"},
    "order": "file",
    "policy": "at-least-once",
    "counts": {**dict.fromkeys(COUNTS, 0), "records": 10, "pending": 3, "leased": 2, "delivered": 4, "rejected": 1},
    "workers": [
        {
            "id": "w1",
            "slice": 6,
            "moved": -1,
            "leased": 2,
            "delivered": 4,
            "rejected": 0,
            "in_doubt": 0,
            "state": "ready",
            "trouble": "",
        }
    ],
    "rate": 2.5,
    "eta_s": None,
    "started": "2026-01-02T03:04:05.000Z",
    "ended": None,
    "resumed": [],
}


class Asked:
    """The metrics route without a web server: `status` is what the master would say."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {**STATUS, "counts": dict(STATUS["counts"])}
        self._app = Flask(__name__)
        self._view: Any = None
        ledger = SimpleNamespace(leases=SimpleNamespace(made=7))
        self.run = SimpleNamespace(ledger=ledger, pacer=None, hold=ApiHold(), backoff=RateBackoff())
        self.run.timings, self.run.results = TimingBook(), ResultBook()
        self.run.config = SimpleNamespace(results="off")
        active_run = SimpleNamespace(reclaimed=2, run=self.run)
        site: Any = SimpleNamespace(master=SimpleNamespace(active_run=active_run), add=self._add)
        routes: Any = SimpleNamespace(status=lambda: self.status)
        Metrics(site, routes)

    def _add(self, _: str, view: Any) -> None:
        self._view = view

    @property
    def families(self) -> dict[str, Any]:
        with self._app.test_request_context("/traffic/metrics"):
            text = self._view().get_data(as_text=True)
        return {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, family: str, **labels: str) -> float:
        """The value of the sample with these labels."""
        return next(float(one.value) for one in self.families[family].samples if labels.items() <= one.labels.items())


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_every_family_has_a_help_text_a_type_and_our_name(asked: Asked) -> None:
    for name, family in asked.families.items():
        assert name.startswith("traffic_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")


def test_the_records_are_where_the_status_says(asked: Asked) -> None:
    assert asked.value("traffic_records", state="pending") == 3
    assert asked.value("traffic_records_settled", outcome="delivered") == 4
    assert asked.value("traffic_worker_slice_records", worker="w1") == 5
    assert asked.value("traffic_workers", state="ready") == 1
    assert asked.value("traffic_leases_reclaimed") == 2
    assert asked.value("traffic_run_started_timestamp_seconds") == 1767323045.0
    assert "traffic_eta_seconds" not in asked.families


@pytest.mark.parametrize("state", STATES)
def test_the_run_is_in_one_state(asked: Asked, state: str) -> None:
    asked.status["state"] = state
    samples = asked.families["traffic_run_state"].samples
    assert [one.labels["state"] for one in samples if one.value == 1] == [state]


def test_the_runs_id_is_a_label_of_the_info_alone_and_any_file_name_can_be_told(asked: Asked) -> None:
    labelled = [name for name, family in asked.families.items() for one in family.samples if "run" in one.labels]
    assert labelled == ["traffic_run_info"]
    assert asked.families["traffic_run_info"].samples[0].labels["file"] == 'a "b"\\\n\\udcff.json'


def test_a_dead_letter_that_is_overruled_does_not_let_a_counter_fall(asked: Asked) -> None:
    assert asked.value("traffic_records_settled", outcome="rejected") == 1
    asked.status["counts"] |= {"rejected": 0, "delivered": 5}
    assert asked.value("traffic_records_settled", outcome="rejected") == 1
    assert asked.value("traffic_records", state="rejected") == 0
    asked.status |= {"run": "r2"}
    assert asked.value("traffic_records_settled", outcome="rejected") == 0


def test_response_times_are_a_histogram_and_rows_are_counted_if_there_are_any(asked: Asked) -> None:
    log = TimingLog()
    for took in (0.02, 0.3, 0.3):
        log.note(Request("/", "POST"), Answer(201), 5.0, 0.0, 5.0 + took)
    asked.run.timings.note("w1", log.unconfirmed())
    assert asked.value("traffic_response_seconds", le="0.2") == 1
    assert asked.value("traffic_response_seconds", le="+Inf") == 3
    sums = [one.value for one in asked.families["traffic_response_seconds"].samples if one.name.endswith("_sum")]
    assert sums == [pytest.approx(0.62)]
    assert "traffic_result_rows" not in asked.families
    asked.run.config.results = "all"
    asked.run.results.note_made("w1", 9)
    asked.run.results.note_written("w1", 1, 7)
    assert asked.value("traffic_result_rows", fate="kept") == 7
    assert asked.value("traffic_result_rows", fate="lost") == 2


def test_before_the_first_run_the_workers_that_are_connected_are_counted(tmp_path: Path) -> None:
    answer = ASite(tmp_path).get("/traffic/metrics")
    assert answer.status_code == 200
    assert 'traffic_workers{state="ready"} 1.0' in answer.text


def test_a_run_with_a_rate_has_its_lateness_and_its_users(asked: Asked) -> None:
    pacer = asked.run.pacer = Pacer(RateSchedule(EvenArrivals(100), Profile.level(10)))
    meter = PaceMeter()
    for late in (0.0004, 0.004, 0.4):
        meter.note_taken(late, 1.0, LateCause.BACKLOG)
        meter.note_over(0.25, 1.0)
    pacer.monitor.note("w1", meter.measures())
    pacer.monitor.watch([], 10.0, 0.0)
    assert asked.value("traffic_records_begun") == 3
    assert asked.value("traffic_planned_records_per_second") == 0, "its schedule has not begun"
    assert [asked.value("traffic_lateness_seconds", le=le) for le in ("0.001", "0.01", "0.5", "+Inf")] == [1, 2, 3, 3]
    assert asked.value("traffic_service_seconds", le="0.2") == 0
    assert asked.value("traffic_users_needed") == 3
    assert asked.value("traffic_users_busy", share="max") == 0
    for name in ("traffic_lateness_seconds", "traffic_records_due"):
        assert asked.families[name].documentation.endswith(".")


def test_waits_for_the_api_are_counted(asked: Asked) -> None:
    assert (asked.value("traffic_held_by_api"), asked.value("traffic_rate_share")) == (0, 1)
    asked.run.hold.count("w1", 4)
    asked.run.hold.note(Hold(5.0, 429), "w1", 0.0)
    asked.run.backoff.note("w1", 2, 10.0, 0.0)
    assert (asked.value("traffic_held_by_api"), asked.value("traffic_rate_share")) == (1, 0.5)
    assert asked.value("traffic_api_wait_answers", says="how_long") == 4
    assert asked.value("traffic_api_wait_answers", says="nothing") == 2
