"""Traffic files sent from a browser: taken in whole or not at all, while the runs go on."""

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import plain_http
from support.cluster import Cluster
from support.fake_api import FakeApi, Step
from support.small_disk import fill, small_disk

pytestmark = pytest.mark.timeout(180)

GOOD = b'[{"name": "Ana", "msg": "Hola"}, {"name": "Bo", "msg": "Hej"}]'
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def shared_cluster(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), shared_api.url, workers=2, web=True) as cluster:
        cluster.await_web(2)
        yield cluster


@pytest.fixture
def web(cluster: Cluster) -> Iterator[httpx.Client]:
    with plain_http.client(base_url=cluster.web) as made:
        yield made
        for name in uploaded(made):
            made.delete(f"/traffic/files/{name}")


def uploaded(web: httpx.Client) -> dict[str, dict[str, Any]]:
    """The files that were sent, by name."""
    rows = web.get("/traffic/files").raise_for_status().json()["files"]
    return {row["name"]: row for row in rows if row["uploaded"]}


def left(cluster: Cluster) -> list[str]:
    """What is in the folder of uploads, what is hidden there included."""
    return sorted(path.name for path in (cluster.state / "uploads").glob("*")) + sorted(
        path.name for path in (cluster.state / "uploads").glob(".*")
    )


def sending(cluster: Cluster, name: str, length: int) -> socket.socket:
    """A connection on which the head of an upload has been sent."""
    made = socket.create_connection(("127.0.0.1", cluster.web_port), timeout=30)
    made.sendall(f"PUT /traffic/files/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode())
    return made


def start(cluster: Cluster, **form: Any) -> None:
    cluster.await_startable()
    answer = cluster.swarm(4, **form)
    assert answer["success"], answer


@pytest.mark.parametrize(
    ("name", "body", "form"),
    [
        ("ñandú.json", GOOD, "a JSON array"),
        ("流量.jsonl", b'{"a":1}\n{"a":2}\n', "JSON Lines"),
        ("two.csv", b"name,msg\nAna,Hola\nBo,Hej\n", "CSV with a header"),
        ("packed.json.gz", gzip.compress(GOOD, mtime=0), "a JSON array, gzip"),
    ],
)
def test_a_good_file_is_there_to_be_chosen(
    cluster: Cluster, web: httpx.Client, name: str, body: bytes, form: str
) -> None:
    said = web.put(f"/traffic/files/{name}", content=body)
    assert said.status_code == 201, said.text
    found = said.json()
    assert (found["name"], found["records"], found["bytes"], found["format"]) == (name, 2, len(body), form)
    assert Path(found["path"]).read_bytes() == body
    assert uploaded(web)[name]["records"] == 2
    assert left(cluster) == [name]


def test_an_uploaded_file_is_delivered_and_is_nobodys_to_change_meanwhile(
    cluster: Cluster, web: httpx.Client, api: FakeApi
) -> None:
    body = json.dumps([{"n": at} for at in range(200)]).encode()
    path = web.put("/traffic/files/many.json", content=body).json()["path"]
    api.always(Step(delay=0.1))
    start(cluster, traffic_file=path)
    cluster.await_state("running")
    for refused in (web.put("/traffic/files/many.json", content=GOOD), web.delete("/traffic/files/many.json")):
        assert refused.status_code == 409
        assert "many.json is being read by the live run" in refused.json()["error"]
    assert Path(path).read_bytes() == body
    api.always(Step())
    assert cluster.await_state("completed")["counts"]["delivered"] == 200
    assert web.put("/traffic/files/many.json", content=GOOD).json()["records"] == 2
    assert web.delete("/traffic/files/many.json").json() == {"ok": True, "traffic_file": "data/traffic.json"}
    assert web.delete("/traffic/files/many.json").status_code == 404
    assert left(cluster) == []


def test_a_broken_file_is_refused_with_each_fault_and_not_kept(cluster: Cluster, web: httpx.Client) -> None:
    refused = web.put("/traffic/files/bad.jsonl", content=b'{"a":1}\n{"a":}\n 42\n')
    assert refused.status_code == 422
    said = refused.json()
    assert said["error"].startswith("bad.jsonl has 2 faults:")
    assert [fault.split(":")[0] for fault in said["findings"]] == ["line 2, column 6", "line 3, column 2"]
    assert str(cluster.state) not in refused.text
    assert left(cluster) == []


def test_a_broken_file_leaves_the_good_one_of_its_name(cluster: Cluster, web: httpx.Client) -> None:
    path = web.put("/traffic/files/a.json", content=GOOD).json()["path"]
    assert web.put("/traffic/files/a.json", content=b"[{").status_code == 422
    assert Path(path).read_bytes() == GOOD


@pytest.mark.parametrize("name", [".hidden.json", "..%2fa.json", "a%2fb.json", "a%00.json", "%ff.json"])
def test_a_name_that_is_no_plain_file_name_is_refused(cluster: Cluster, web: httpx.Client, name: str) -> None:
    refused = web.put(f"/traffic/files/{name}", content=GOOD)
    assert refused.status_code == 400
    assert "a file's name must" in refused.json()["error"]
    assert left(cluster) == []


def test_a_file_must_say_how_long_it_is(web: httpx.Client) -> None:
    refused = web.put("/traffic/files/a.json", content=iter([GOOD]))
    assert refused.status_code == 411


def test_a_file_that_finds_no_room_is_refused_before_it_is_sent(cluster: Cluster, web: httpx.Client) -> None:
    with sending(cluster, "huge.json", 10**15) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert left(cluster) == []


def test_what_had_come_before_the_connection_broke_is_not_kept(cluster: Cluster, web: httpx.Client) -> None:
    with sending(cluster, "half.json", 10 * MEGABYTE) as connection:
        connection.sendall(bytes(MEGABYTE))
        cluster.until(lambda: any(name.startswith(".incoming") for name in left(cluster)), "the file is under way")
        assert uploaded(web) == {}
    cluster.until(lambda: left(cluster) == [], "what had come is gone")


def test_while_a_large_file_comes_in_and_is_checked_the_run_loses_no_worker(
    cluster: Cluster, web: httpx.Client, api: FakeApi
) -> None:
    (cluster.folder / "data").mkdir(exist_ok=True)
    file = cluster.folder / "data" / "run.json"
    file.write_text(json.dumps([{"n": at} for at in range(400)]))
    api.always(Step(delay=0.1))
    start(cluster, traffic_file=file)
    cluster.await_state("running")
    ask = web.get("/traffic/live").json()["events"]["next"]
    record = b'{"msg": "' + b"x" * 1000 + b'"},\n'
    large = b"[" + record * 60_000 + b"{}]"
    assert web.put("/traffic/files/large.json", content=large).json()["records"] == 60_001
    events = web.get("/traffic/live", params={"event": ask}).json()["events"]["rows"]
    lost = [event for event in events if event["kind"] in ("worker-gone", "lease-reclaimed", "run-paused")]
    assert lost == []
    api.always(Step())
    counts = cluster.await_state("completed")["counts"]
    assert (counts["delivered"], counts["attempts"], counts["resent"]) == (400, 400, 0)


def test_a_disk_that_is_full_before_the_file_is_there_is_said_and_nothing_is_left(
    shared_api: FakeApi, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "disk", "40m") as disk,
        Cluster(tmp_path / "c", shared_api.url, workers=1, web=True, TRAFFIC_STATE_DIR=disk) as cluster,
    ):
        cluster.await_web(1)
        with sending(cluster, "a.json", 4 * MEGABYTE) as connection:
            connection.sendall(bytes(MEGABYTE))
            cluster.until(lambda: list((disk / "uploads").glob(".incoming*/*")), "the file is under way")
            fill(disk)
            connection.sendall(bytes(3 * MEGABYTE))
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 507 ")
        cluster.until(lambda: list((disk / "uploads").iterdir()) == [], "what had come is gone")


def test_an_uploaded_file_is_held_against_the_schema(shared_api: FakeApi, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"required": ["msg"], "properties": {"name": {"type": "string"}}}')
    with Cluster(tmp_path, shared_api.url, workers=1, web=True, TRAFFIC_SCHEMA=schema) as cluster:
        cluster.await_web(1)
        with plain_http.client(base_url=cluster.web) as web:
            refused = web.put("/traffic/files/a.json", content=b'[{"name": "Ana"},\n{"name": 7, "msg": ""}]')
            assert refused.status_code == 422
            assert [found.partition(". ")[0] for found in refused.json()["findings"]] == [
                "line 1, column 2: record 0 (counted from 0) breaks the schema's rule required: "
                '"msg" is a required property',
                "line 2, column 1: record 1 (counted from 0) breaks the schema's rule properties/name/type at /name: "
                '7 is not of type "string"',
            ]
            assert left(cluster) == []
            assert web.put("/traffic/files/a.json", content=GOOD).json()["records"] == 2
            schema.write_text("[")
            broken = web.put("/traffic/files/b.json", content=GOOD)
            assert (broken.status_code, left(cluster)) == (500, ["a.json"])
            assert broken.json()["error"].startswith(f"The file cannot be checked: {schema}")


def test_in_a_folder_that_is_not_ours_nothing_is_kept_and_nothing_deleted(cluster: Cluster, web: httpx.Client) -> None:
    assert web.put("/traffic/files/mine.json", content=GOOD).status_code == 201
    marker = cluster.state / "TRAFFIC-STATE"
    mark, foreign = marker.read_bytes(), cluster.state / "thesis.tex"
    try:
        marker.unlink()
        foreign.touch()
        refused = web.put("/traffic/files/more.json", content=GOOD)
        assert (refused.status_code, "holds 'thesis.tex'" in refused.json()["error"]) == (500, True)
        assert web.delete("/traffic/files/mine.json").status_code == 404
        assert left(cluster) == ["mine.json"]
    finally:
        foreign.unlink()
        marker.write_bytes(mark)
    assert web.delete("/traffic/files/mine.json").status_code == 200
