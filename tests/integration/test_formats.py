"""A file of every format, ten thousand records or more, through a real master and workers: each body once, as it is."""

import csv
import gzip
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster
from support.counting_api import CountingApi, counting_api, digest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.timeout(240)

FEW, MANY = 5_000, 100_000
RUN_S = 200.0


@pytest.fixture
def api() -> Iterator[CountingApi]:
    with counting_api() as api:
        yield api


def record(at: int) -> dict[str, str]:
    return {"name": f"ñ{at}", "msg": f'"{at}", \\'}


def spaced(count: int) -> list[bytes]:
    return [json.dumps(record(at), ensure_ascii=at % 2 == 0).encode() for at in range(count)]


def compact(count: int) -> list[bytes]:
    return [json.dumps(record(at), ensure_ascii=False, separators=(",", ":")).encode() for at in range(count)]


def array(path: Path, count: int) -> list[bytes]:
    bodies = spaced(count)
    path.write_bytes(b"[\n" + b",\n".join(bodies) + b"\n]\n")
    return bodies


def lines(path: Path, count: int) -> list[bytes]:
    bodies = spaced(count)
    path.write_bytes(b"\r\n".join(bodies))
    return bodies


def table(path: Path, count: int) -> list[bytes]:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["name", "msg"])
        writer.writeheader()
        writer.writerows(map(record, range(count)))
    return compact(count)


def gzipped_lines(path: Path, count: int) -> list[bytes]:
    bodies = lines(path, count)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return bodies


def array_in_zstd(path: Path, count: int) -> list[bytes]:
    bodies = array(path, count)
    path.write_bytes(zstd.compress(path.read_bytes()))
    return bodies


def table_in_zstd(path: Path, count: int) -> list[bytes]:
    bodies = table(path, count)
    path.write_bytes(zstd.compress(path.read_bytes()))
    return bodies


FORMATS = [array, lines, table, gzipped_lines, array_in_zstd, table_in_zstd]


USUAL = (array, lines, table_in_zstd)
SIZES = [
    pytest.param(write, records, id=f"{write.__name__}-{records}", marks=pytest.mark.slow if slow else ())
    for write in FORMATS
    for records, slow in ((FEW, write not in USUAL), (MANY, True))
]


@pytest.mark.parametrize(("write", "records"), SIZES)
def test_each_of_many_records_arrives_once_as_it_is(
    tmp_path: Path, api: CountingApi, write: Callable[[Path, int], list[bytes]], records: int
) -> None:
    path = tmp_path / "records"
    bodies = write(path, records)
    with Cluster(tmp_path, api.url, users=40, TRAFFIC_FILE=path) as cluster:
        assert cluster.wait(RUN_S) == 0, cluster.master.log[-3000:]
        counts = cluster.report["counts"]
    assert (counts["records"], counts["delivered"], counts["resent"]) == (records, records, 0)
    assert api.posts == records
    assert api.bodies == {at: digest(body) for at, body in enumerate(bodies)}


@pytest.mark.parametrize(
    ("offset", "limit", "wanted"), [(10, 25, range(10, 35)), (90, 25, range(90, 100)), (0, 1, range(1))]
)
def test_a_part_of_the_file_is_a_run_of_its_own(
    tmp_path: Path, api: CountingApi, offset: int, limit: int, wanted: range
) -> None:
    path = tmp_path / "records.json"
    bodies = array(path, 100)
    chosen: dict[str, Any] = {"TRAFFIC_FILE": path, "TRAFFIC_OFFSET": offset, "TRAFFIC_LIMIT": limit}
    with Cluster(tmp_path, api.url, **chosen) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        report = cluster.report
    assert report["counts"]["records"] == report["counts"]["delivered"] == len(wanted)
    seen = report["dataset"]
    assert (seen["records"], seen["offset"], seen["chosen"]) == (100, offset, len(wanted))
    assert api.bodies == {at: digest(bodies[at]) for at in wanted}
