"""A real Prometheus scrapes the master, and can be asked what became of the records."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import plain_http
from support.cluster import Cluster, records_file
from support.deadlines import until
from support.fake_api import FakeApi, Step
from support.mongod import free_port


def program(name: str) -> str:
    """Where a program of Prometheus is. Without it the test is skipped; under CI=true it fails."""
    path = shutil.which(name)
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no {name} on this machine")
    return str(path)


@pytest.fixture(scope="module")
def ended(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose run of 30 records has ended, ten of them rejected."""
    folder = tmp_path_factory.mktemp("cluster")
    shared_api.forget()
    shared_api.script({index: [Step(status=422)] for index in range(10)})
    with Cluster(folder, shared_api.url, workers=2, web=True, TRAFFIC_FILE=records_file(folder, 30)) as cluster:
        cluster.await_web(2)
        assert cluster.swarm()["success"]
        cluster.await_state("completed")
        yield cluster


def test_promtool_finds_nothing_to_say_against_the_metrics(ended: Cluster) -> None:
    text = plain_http.get(f"{ended.web}/traffic/metrics").text
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_prometheus_that_scrapes_the_master_knows_the_counts(ended: Cluster, tmp_path: Path) -> None:
    target = {"targets": [f"127.0.0.1:{ended.web_port}"]}
    scrape = {"job_name": "traffic", "metrics_path": "/traffic/metrics", "static_configs": [target]}
    config = tmp_path / "prometheus.yml"
    # JSON is YAML.
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    port = free_port()
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    log = tmp_path / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:

        def asked(query: str) -> list[Any]:
            try:
                said = plain_http.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query})
            except httpx.TransportError:
                return []
            return [row["value"][1] for row in said.json()["data"]["result"]] if said.is_success else []

        until(lambda: asked("up") == ["1"], "the master is up by Prometheus", tell=log.read_text)
        assert asked('traffic_records{state="delivered"}') == ["20"]
        assert asked('traffic_records_settled_total{outcome="rejected"}') == ["10"]
        assert asked("sum(traffic_worker_records)") == ["30"]
        assert asked('traffic_run_state{state="completed"}') == ["1"]
    finally:
        process.kill()
        process.wait()
