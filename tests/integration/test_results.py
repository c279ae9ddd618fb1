"""Results in real processes: a row for each attempt, read by DuckDB; none twice, and what is lost is counted."""

import csv
import io
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from support import plain_http
from support.cluster import LOCUSTFILE, REPLAY, Cluster, records_file, slow_but
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS = 300
REFUSED = Step(422, body='{"error": "no", "id": "=7"}')
CREATED = Step(body='{"id": "made-{n}"}')


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def rows_of(cluster: Cluster) -> list[dict[str, Any]]:
    """The rows of the latest run, with the types that DuckDB sees in them."""
    path = cluster.state / "runs" / cluster.report["run"] / "results.csv.zst"
    found = duckdb.sql(f"SELECT * FROM read_csv('{path}')")
    assert found is not None
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("locustfile", slow_but("ReplayUser"))
def test_there_is_a_row_for_each_attempt_with_what_came_of_it(tmp_path: Path, api: FakeApi, locustfile: str) -> None:
    api.script({7: [Step(503), CREATED], 9: [REFUSED], 11: [Step(act="hang"), CREATED]})
    api.always(CREATED)
    more: dict[str, Any] = {"TRAFFIC_RESULTS": "all", "TRAFFIC_ANSWERS": "failures", "TRAFFIC_KEEP": "/id"}
    more |= {"TRAFFIC_FILE": records_file(tmp_path, RECORDS), "TRAFFIC_TIMEOUT": 2, "TRAFFIC_TRACE": "yes"}
    begun = time.time()
    with Cluster(tmp_path, api.url, locustfile=locustfile, **more) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        report, rows, (letter,) = cluster.report, rows_of(cluster), cluster.dead_letters
    assert report["results"] == {"which": "all", "rows": RECORDS + 2, "lost": 0, "file": "results.csv.zst"}
    posts = api.posts()
    assert Counter((row["index"], row["status"] or 0) for row in rows) == Counter(
        (one.index, one.status) for one in posts
    )
    assert Counter(row["outcome"] for row in rows) == {"delivered": RECORDS - 1, "retry": 2, "rejected": 1}
    assert {row["key"] for row in rows} == {one.key for one in posts}
    assert {row["worker"] for row in rows} == {one.worker for one in posts}
    assert {row["attempt"] for row in rows if row["index"] in (7, 11)} == {1, 2}
    assert all(row["kept"] == f"made-{row['index']}" for row in rows if row["outcome"] == "delivered")
    (refused,) = [row for row in rows if row["index"] == 9]
    assert (refused["answer"], refused["kept"]) == (REFUSED.body, "'=7")
    assert letter["trace"] == refused["trace"]
    assert len({row["trace"] for row in rows}) == RECORDS, "the attempts of a record are in one trace"
    (lost,) = [row for row in rows if row["status"] is None]
    assert (lost["index"], lost["outcome"]) == (11, "retry")
    assert lost["error"].startswith("TimeoutError: timed out after 2 s")
    assert 2000 <= lost["service_ms"] == lost["latency_ms"]
    assert all(begun - 1 <= row["sent"].timestamp() <= time.time() + 1 for row in rows)
    assert all(row["due"] is None and row["late_ms"] is None for row in rows)


def test_with_a_rate_rows_say_when_a_record_was_due_and_how_late_it_was_sent(tmp_path: Path, api: FakeApi) -> None:
    more: dict[str, Any] = {
        "TRAFFIC_FILE": records_file(tmp_path, RECORDS),
        "TRAFFIC_RESULTS": "all",
        "TRAFFIC_RATE": "200/s",
    }
    with Cluster(tmp_path, api.url, locustfile=REPLAY, TRAFFIC_ORDER="file", **more) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        rows = sorted(rows_of(cluster), key=lambda row: row["index"])
    due = [row["due"].timestamp() for row in rows]
    assert (due[-1] - due[0]) == pytest.approx((RECORDS - 1) / 200, rel=0.2)
    for row in rows:
        assert row["late_ms"] >= 0
        assert row["latency_ms"] == pytest.approx(row["late_ms"] + row["service_ms"], abs=0.01)
        assert 1000 * (row["sent"] - row["due"]).total_seconds() == pytest.approx(row["late_ms"], abs=0.01)


def test_over_a_kill_of_the_master_no_row_is_lost_or_doubled(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(delay=0.05))
    more: dict[str, Any] = {"TRAFFIC_FILE": records_file(tmp_path, RECORDS), "TRAFFIC_RESULTS": "all"}
    with Cluster(tmp_path, api.url, locustfile=LOCUSTFILE, users=4, **more) as cluster:
        cluster.until(lambda: api.count > RECORDS // 3, "a third is sent")
        cluster.master.kill()
        cluster.restart_master()
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report, rows = cluster.report, rows_of(cluster)
    assert len(report["resumed"]) == 1
    assert (report["results"]["rows"], report["results"]["lost"]) == (len(rows), 0)
    assert Counter(row["index"] for row in rows) == Counter(one.index for one in api.posts())


def test_what_a_killed_worker_had_not_handed_in_is_counted_and_a_resumed_run_adds_to_its_rows(
    tmp_path: Path, api: FakeApi
) -> None:
    api.always(Step(delay=0.05))
    more: dict[str, Any] = {
        "TRAFFIC_FILE": records_file(tmp_path, RECORDS),
        "TRAFFIC_RESULTS": "all",
        "TRAFFIC_LEASE": 2,
    }
    with Cluster(tmp_path, api.url, locustfile=REPLAY, users=4, web=True, **more) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(4)["success"]
        cluster.until(lambda: api.count > RECORDS // 3, "a third is sent")
        cluster.workers[0].kill()
        cluster.until(lambda: api.count > RECORDS // 2, "half is sent")
        cluster.stop()
        stopped = cluster.await_state("stopped")
        known = rows_of(cluster)
        assert stopped["results"]["rows"] == len(known)
        assert stopped["results"]["rows"] + stopped["results"]["lost"] >= stopped["counts"]["attempts"]
        cluster.await_startable()  # though Locust learns that a worker is gone only after the end
        assert cluster.swarm(4, traffic_resume="last")["success"]
        done = cluster.await_state("completed")
        rows = rows_of(cluster)
        page = plain_http.get(f"{cluster.web}/traffic/results?run={done['run']}").text
        assert plain_http.get(f"{cluster.web}/traffic/results?run=20990101-000000-abcd").status_code == 404
    key = [(row["index"], row["worker"], row["attempt"], row["sent"]) for row in rows]
    assert len(set(key)) == len(key), "no row twice"
    assert {(row["index"], row["sent"]) for row in known} <= {(row["index"], row["sent"]) for row in rows}
    delivered = {row["index"] for row in rows if row["outcome"] == "delivered"}
    assert len(delivered) + done["results"]["lost"] >= done["counts"]["delivered"] > stopped["counts"]["delivered"]
    assert done["results"]["rows"] + done["results"]["lost"] >= done["counts"]["attempts"]
    assert len(list(csv.DictReader(io.StringIO(page)))) == len(rows)
