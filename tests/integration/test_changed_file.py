"""A file that changes in mid-run: the run stops with its reason and keeps what it has. A part stays that part."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS = 600
SLOWLY, AT_ONCE = Step(delay=0.1), Step()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.always(SLOWLY)
        yield api


def replace(file: Path) -> None:
    other = file.with_suffix(".new")
    other.write_bytes(file.read_bytes())
    other.replace(file)


def cut(file: Path) -> None:
    os.truncate(file, 100)


CHANGES = {replace: "has been replaced by another", cut: "has been cut short", os.unlink: "is not there any more"}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_run_whose_file_is_changed_stops_with_the_reason_and_keeps_what_was_delivered(
    tmp_path: Path, api: FakeApi, change: Callable[[Path], None]
) -> None:
    file = records_file(tmp_path, RECORDS)
    with Cluster(tmp_path, api.url, TRAFFIC_FILE=file) as cluster:
        cluster.until(lambda: api.count >= 50, "records are sent")
        change(file)
        api.always(AT_ONCE)
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        report = cluster.report
    assert report["state"] == "failed"
    assert report["reason"].startswith(f"{file}: the file {CHANGES[change]}")
    counts = report["counts"]
    sent = {post.index for post in api.posts() if post.status}
    assert 50 <= counts["delivered"] == len(sent) < RECORDS
    assert counts["delivered"] + counts["unsent"] == RECORDS
    assert f"the run cannot go on: {file}: the file {CHANGES[change]}" in cluster.master.log


def test_a_resumed_run_delivers_the_part_that_it_began_with(tmp_path: Path, api: FakeApi) -> None:
    chosen: dict[str, Any] = {"TRAFFIC_OFFSET": 100, "TRAFFIC_LIMIT": 300}
    with Cluster(tmp_path, api.url, TRAFFIC_FILE=records_file(tmp_path, RECORDS), **chosen) as cluster:
        cluster.until(lambda: api.count >= 50, "records are sent")
        cluster.master.kill()
        api.always(AT_ONCE)
        cluster.restart_master(TRAFFIC_OFFSET="", TRAFFIC_LIMIT=5)
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report = cluster.report
    assert (report["counts"]["records"], report["counts"]["delivered"]) == (300, 300)
    assert {post.index for post in api.posts()} == set(range(100, 400))
    assert (report["dataset"]["offset"], report["dataset"]["chosen"]) == (100, 300)
