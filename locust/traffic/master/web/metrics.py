"""Serve the status as metrics for Prometheus, named as https://prometheus.io/docs/practices/naming/ says.

Counters restart with each run, and with a master that resumes one; Prometheus recognizes a counter that restarts. The
run's id is a label of `traffic_run_info` alone, so that a new run does not make a new series of every metric.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from traffic.clock import now_s
from traffic.core.histogram import Histogram
from traffic.core.master.pacer import Pacer
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.results import OFF
from traffic.locust_patches.frames import drops
from traffic.master.web.routes import Routes
from traffic.master.web.status import StatusRoutes

# The other states are those of former runs.
STATES = tuple(state for state in RunState if state not in (RunState.CUT_OFF, RunState.UNKNOWN))
WHERE = ("pending", "leased", "delivered", "rejected", "in_doubt", "unsent")
# A 1-2-5 series, from a millisecond to two minutes.
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)
OUTCOMES = ("delivered", "rejected", "in_doubt")


class Metrics(Collector):
    """Collects the status at each scrape."""

    def __init__(self, routes: Routes, status_routes: StatusRoutes) -> None:
        self._routes, self._status_routes = routes, status_routes
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._run: str | None = None
        self._highest: dict[str, int] = {}
        routes.add("/traffic/metrics", self._metrics)

    def _metrics(self) -> Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(self._registry), content_type=kind)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: no other collector is registered, so no names can collide."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return every family, of the present or the latest run."""
        status = self._status_routes.status()
        self._forget_former(status["run"])
        active_run = self._routes.master.active_run
        ledger = active_run.run.ledger if active_run else None
        yield from _of_run(status)
        yield from _of_records(status["counts"])
        yield self._settled(status["counts"])
        yield from _of_workers(status["workers"])
        if active_run is not None and active_run.run.pacer is not None:
            yield from _of_pace(active_run.run.pacer)
        if active_run is not None:
            yield from _of_api_waits(active_run.run)
            yield from _of_attempts(active_run.run)
        reclaimed = "Leases taken back from workers that were given up, in this run."
        yield CounterMetricFamily(
            "traffic_leases_reclaimed", reclaimed, value=active_run.reclaimed if active_run else 0
        )
        dropped = "Messages that could not be read and were dropped, since this master began."
        yield CounterMetricFamily("traffic_messages_dropped", dropped, value=drops.total)
        leases = "Leases given out in this run, since this master began or resumed it."
        yield CounterMetricFamily("traffic_leases", leases, value=ledger.leases.made if ledger else 0)

    def _forget_former(self, run: str | None) -> None:
        if run != self._run:
            self._run, self._highest = run, {}

    def _settled(self, counts: dict[str, int]) -> Metric:
        """Count settled records. A late report may overrule a dead letter, but the counter must not fall.

        Prometheus would take a counter that falls for one that restarted, and count everything twice.
        """
        help_text = "Records that ended so; one whose outcome was overruled later stays counted here."
        family = CounterMetricFamily("traffic_records_settled", help_text, labels=["outcome"])
        for outcome in OUTCOMES:
            self._highest[outcome] = max(counts[outcome], self._highest.get(outcome, 0))
            family.add_metric([outcome], self._highest[outcome])
        return family


def _of_run(status: dict[str, Any]) -> Iterable[Metric]:
    states = GaugeMetricFamily("traffic_run_state", "1 for what the run is doing, 0 for the others.", labels=["state"])
    for state in STATES:
        states.add_metric([state], int(state == status["state"]))
    yield states
    info = {
        "run": status["run"] or "",
        "file": status["dataset"]["file"],
        "digest": status["dataset"]["digest"] or "",
        "order": status.get("order") or "",
        "policy": status.get("policy") or "",
    }
    yield InfoMetricFamily("traffic_run", "Which run these metrics are of.", value=_clean(info))
    rate = "Records settled a second, over the last ten seconds; of an ended run, over all of it."
    yield GaugeMetricFamily("traffic_records_per_second", rate, value=status["rate"])
    if status["started"]:
        yield GaugeMetricFamily(
            "traffic_run_started_timestamp_seconds", "When the run began.", value=_epoch(status["started"])
        )
    if status["ended"]:
        yield GaugeMetricFamily(
            "traffic_run_ended_timestamp_seconds", "When the run ended.", value=_epoch(status["ended"])
        )
    if status["eta_s"] is not None:
        eta = "Seconds until the run is settled at its present rate; not there while nothing moves."
        yield GaugeMetricFamily("traffic_eta_seconds", eta, value=status["eta_s"])
    resumed = "How often the run was taken up again."
    yield CounterMetricFamily("traffic_run_resumptions", resumed, value=len(status["resumed"]))


def _of_records(counts: dict[str, int]) -> Iterable[Metric]:
    where = GaugeMetricFamily("traffic_records", "Records of the run, by what has become of them.", labels=["state"])
    for state in WHERE:
        where.add_metric([state], counts[state])
    yield where
    attempts = "Requests for records that left a worker and are over, as far as workers have reported."
    yield CounterMetricFamily("traffic_attempts", attempts, value=counts["attempts"])
    repeats = "Attempts at records that the API had answered before."
    yield CounterMetricFamily("traffic_repeats", repeats, value=counts["resent"])
    maybe = "Attempts at records that the API may have had before: an answer was lost, or another worker had them."
    yield CounterMetricFamily("traffic_possible_repeats", maybe, value=counts["maybe_resent"])


def _of_pace(pacer: Pacer) -> Iterable[Metric]:
    clock, now = pacer.clock, now_s()
    second, total = clock.read(now), pacer.monitor.total()
    planned = "Records a second that are planned now; 0 while the schedule stands still."
    rate = pacer.schedule.rate(second) * clock.speed
    yield GaugeMetricFamily("traffic_planned_records_per_second", planned, value=rate)
    due = "Records that are due by now."
    yield CounterMetricFamily("traffic_records_due", due, value=pacer.schedule.before(second))
    sent = "Records that workers have begun to send."
    yield CounterMetricFamily("traffic_records_begun", sent, value=total.sent)
    late = "How long after they were due records were sent."
    yield _histogram("traffic_lateness_seconds", late, total.late)
    service = "How long requests took, from when they were sent to their end."
    yield _histogram("traffic_service_seconds", service, total.service)
    users, busy = pacer.monitor.users_busy(total), "Users that were sending at once, in 99 of 100 moments, and at most."
    family = GaugeMetricFamily("traffic_users_busy", busy, labels=["share"])
    for share in ("p99", "max"):
        family.add_metric([share], users[share] or 0)
    yield family
    if users["needed"] is not None:
        needed = "Users that the highest planned rate so far takes at the API's present speed."
        yield GaugeMetricFamily("traffic_users_needed", needed, value=users["needed"])


def _of_api_waits(run: Run) -> Iterable[Metric]:
    held = "Whether the run waits because the API has asked for it."
    yield GaugeMetricFamily("traffic_held_by_api", held, value=int(run.hold.held))
    waited = "Seconds that the run has waited because the API had asked for it."
    yield CounterMetricFamily("traffic_api_wait_seconds", waited, value=run.hold.waited_s(now_s()))
    asked = "Answers by which the API asked the run to wait, or to send slower."
    answers = CounterMetricFamily("traffic_api_wait_answers", asked, labels=["says"])
    answers.add_metric(["how_long"], run.hold.answers)
    answers.add_metric(["nothing"], run.backoff.answers)
    yield answers
    share = "The share of its usual rate that the run sends at, because of the API."
    yield GaugeMetricFamily("traffic_rate_share", share, value=run.backoff.share)


def _of_attempts(run: Run) -> Iterable[Metric]:
    """Return how long attempts took, and how many rows of them are kept, if the run wants rows."""
    took = "How long requests took, from when their record was due; without a rate, from when they were sent."
    yield _histogram("traffic_response_seconds", took, run.timings.total().felt)
    if run.config.results != OFF:
        rows = "Rows of results, by what became of them."
        family = CounterMetricFamily("traffic_result_rows", rows, labels=["fate"])
        family.add_metric(["kept"], run.results.kept)
        family.add_metric(["lost"], run.results.lost)
        yield family


def _histogram(name: str, text: str, times: Histogram) -> HistogramMetricFamily:
    counts = times.cumulative(BUCKETS_S)
    buckets = [(f"{bound:g}", count) for bound, count in zip(BUCKETS_S, counts, strict=True)]
    return HistogramMetricFamily(name, text, buckets=[*buckets, ("+Inf", times.total)], sum_value=times.sum)


def _of_workers(workers: list[dict[str, Any]]) -> Iterable[Metric]:
    number: dict[str, int] = {}
    for worker in workers:
        number[worker["state"]] = number.get(worker["state"], 0) + 1
    states = GaugeMetricFamily(
        "traffic_workers", "Workers of the run, and those connected, by state.", labels=["state"]
    )
    for state, count in sorted(number.items()):
        states.add_metric([state], count)
    yield states
    slices = GaugeMetricFamily(
        "traffic_worker_slice_records", "Records that are a worker's to deliver.", labels=["worker"]
    )
    held = GaugeMetricFamily("traffic_worker_leased_records", "Records in a worker's custody.", labels=["worker"])
    done = GaugeMetricFamily(
        "traffic_worker_records", "Records that a worker saw end so.", labels=["worker", "outcome"]
    )
    for worker in workers:
        name = _text(worker["id"])
        slices.add_metric([name], worker["slice"] + worker["moved"])
        held.add_metric([name], worker["leased"])
        for outcome in OUTCOMES:
            done.add_metric([name, outcome], worker[outcome])
    troubled = "Workers that get nothing done, or lack something; the status says what."
    yield from (slices, held, done)
    yield GaugeMetricFamily("traffic_workers_in_trouble", troubled, value=sum(bool(one["trouble"]) for one in workers))


def _epoch(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _clean(labels: dict[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in labels.items()}


def _text(value: object) -> str:
    """Return a label's value as text: a file's name may have bytes that are not."""
    return str(value).encode(errors="backslashreplace").decode()
