"""Locust's `--otel`: an attempt's span is in its record's trace, under the id that its `traceparent` told the API."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.cluster import WAYS, Cluster, records_file
from support.fake_api import Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS = 20
OTEL = {
    "LOCUST_ENABLE_OPENTELEMETRY": "true",
    "OTEL_TRACES_EXPORTER": "console",
    "OTEL_METRICS_EXPORTER": "console",
    "OTEL_LOGS_EXPORTER": "none",
}


def told_by(log: str, kind: str) -> list[dict[str, Any]]:
    """What OpenTelemetry's console exporter wrote, as far as it has such a member."""
    found, decoder = [], json.JSONDecoder()
    for at in [at for at, character in enumerate(log) if character == "{" and (at == 0 or log[at - 1] == "\n")]:
        told, _ = decoder.raw_decode(log[at:])
        if kind in told:
            found.append(told)
    return found


def points(metrics: list[dict[str, Any]]) -> int:
    """How many requests the latest metrics of one process have."""
    made = metrics[-1]["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    (durations,) = [one for one in made if one["name"] == "locust.client.duration"]
    return sum(one["count"] for one in durations["data"]["data_points"])


@pytest.mark.parametrize("way", ["ReplayUser", pytest.param("RecordUser", marks=pytest.mark.slow)])
def test_each_attempt_has_a_span_with_the_ids_that_the_api_was_told(tmp_path: Path, way: str) -> None:
    more: dict[str, Any] = OTEL | {"TRAFFIC_FILE": records_file(tmp_path, RECORDS), "TRAFFIC_TRACE": "yes"}
    with fake_api() as api:
        api.script({3: [Step(503), Step(201)], 5: [Step(422)], 7: [Step(act="close"), Step(201)]})
        with Cluster(tmp_path, api.url, locustfile=WAYS[way], **more) as cluster:
            assert cluster.wait() == 3, cluster.master.log[-3000:]
            assert [worker.wait() for worker in cluster.workers] == [0, 0]
            posts, run = api.posts(), cluster.report["run"]
            logs = [worker.log for worker in cluster.workers]
    spans = [span for log in logs for span in told_by(log, "context")]
    ids = [(span["context"]["trace_id"][2:], span["context"]["span_id"][2:]) for span in spans]
    assert Counter(f"00-{trace}-{span}-01" for trace, span in ids) == Counter(post.traceparent for post in posts)
    assert len({span["context"]["trace_id"] for span in spans}) == RECORDS
    assert {span["name"] for span in spans} == {"POST /"}
    assert {span["kind"] for span in spans} == {"SpanKind.CLIENT"}
    assert all(span["parent_id"] is None and span["start_time"] < span["end_time"] for span in spans)
    told: dict[int, list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: str(span["start_time"])):
        told.setdefault(int(span["attributes"]["traffic.key"].rpartition("-")[2]), []).append(span)
    (refused,) = told[5]
    assert refused["status"] == {"status_code": "ERROR", "description": "HTTP 422"}
    assert refused["attributes"] == {
        "server.address": "127.0.0.1",
        "server.port": int(api.url.rpartition(":")[2]),
        "traffic.run": run,
        "traffic.key": f"{run}-5",
        "traffic.outcome": "rejected",
        "url.full": f"{api.url}/",
        "http.request.method": "POST",
        "http.response.status_code": 422,
        "error.type": "422",
    }
    first, second = told[3]
    assert (first["attributes"]["error.type"], first["attributes"]["traffic.outcome"]) == ("503", "retry")
    assert (second["attributes"]["http.request.resend_count"], second["status"]["status_code"]) == (1, "UNSET")
    lost = told[7][0]["attributes"]
    assert "http.response.status_code" not in lost
    assert lost["error.type"]
    assert sum(points(told_by(log, "resource_metrics")) for log in logs) == len(posts)
