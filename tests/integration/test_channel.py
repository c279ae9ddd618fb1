"""The channel between master and workers in real processes: who has the secret takes part, and nobody else can read."""

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from support.cluster import REPLAY, Cluster, cable, records_file
from support.deadlines import until
from support.fake_api import FakeApi, Step, fake_api
from support.secret import SECRET
from support.stranger import ODD, stranger
from traffic.channel.refusals import GONE

pytestmark = pytest.mark.timeout(180)

ANOTHER = "another secret, which is as long as the first"
NONE_HERE = "it has a secret, and this {me} has none: give this {me} the same TRAFFIC_SECRET_FILE"
NONE_THERE = "it has no secret, and this {me} has one: give the {other} the same TRAFFIC_SECRET_FILE"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as made:
        yield made


def refused_for(cluster: Cluster, why: str) -> bool:
    return f"a peer at the workers' port was refused: {why}" in cluster.master.log


@pytest.mark.parametrize(
    ("of_master", "of_worker", "at_master", "at_worker"),
    [
        (SECRET, ANOTHER, "it has another secret than this master", "it has another secret than this worker, or"),
        (SECRET, "", NONE_THERE.format(me="master", other="worker"), NONE_HERE.format(me="worker")),
        ("", SECRET, NONE_HERE.format(me="master"), NONE_THERE.format(me="worker", other="master")),
    ],
    ids=["another", "none at the worker", "none at the master"],
)
def test_a_worker_with_another_secret_is_refused_with_words_on_both_sides_and_the_run_goes_on(
    tmp_path: Path, api: FakeApi, of_master: str, of_worker: str, at_master: str, at_worker: str
) -> None:
    file = records_file(tmp_path, 20)
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_SECRET": of_master}
    with Cluster(tmp_path, api.url, workers=0, expect=1, locustfile=REPLAY, **more) as cluster:
        (stranger,) = cluster.add_workers(TRAFFIC_SECRET=of_worker)
        cluster.until(lambda: refused_for(cluster, at_master) or refused_for(cluster, GONE), "the master says so")
        until(lambda: f"the connection to the master was refused: {at_worker}" in stranger.log, "the worker says so")
        if not (of_master and of_worker):  # with another secret it tries again: the master's may be changed
            assert stranger.wait() == 4
            assert f"refused to start: the master does not take this worker: {at_worker}" in stranger.log
        assert "Traceback" not in stranger.log
        cluster.add_workers()
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        took_part = set(re.findall(r"runners: (\S+) .* reported as ready", cluster.master.log))
        assert took_part == {cluster.workers[1].id}
        assert cluster.report["counts"]["delivered"] == 20
    assert [post.worker for post in api.posts()] == [cluster.workers[1].id] * 20


def test_odd_messages_and_junk_of_strangers_change_nothing(tmp_path: Path, api: FakeApi) -> None:
    file = records_file(tmp_path, 60)
    api.always(Step(delay=0.1))
    with Cluster(tmp_path, api.url, users=4, locustfile=REPLAY, TRAFFIC_FILE=file) as cluster:
        until(lambda: api.count > 0, "the run has begun")
        with contextlib.ExitStack() as strangers:
            for secret in ("", ANOTHER, SECRET):
                odd = strangers.enter_context(stranger(cluster.port, f"stranger {secret[:1]}".encode(), secret))
                for parts in ODD:
                    with contextlib.suppress(*(() if secret == SECRET else (zmq.Again,))):  # no way to the master
                        odd.send_multipart(parts, zmq.NOBLOCK)
            for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, b""):
                with socket.create_connection(("127.0.0.1", cluster.port)) as line:
                    line.sendall(junk)
            cluster.await_log("dropped a message from b'stranger a'")
        assert cluster.wait() == 0, cluster.master.log[-3000:]
        assert "b'stranger '" not in cluster.master.log, "without the secret nothing reaches the loop that reads"
        assert cluster.report["counts"]["attempts"] == 60
    assert sorted(post.index for post in api.posts()) == [*range(60)]


@pytest.mark.parametrize("secret", [SECRET, pytest.param("", id="open, which shows that the relay sees it all")])
def test_who_reads_along_learns_no_record_no_key_and_no_secret(tmp_path: Path, api: FakeApi, secret: str) -> None:
    file = records_file(tmp_path, 50, mark=" a secret of Leonel's")
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_SECRET": secret}
    with Cluster(tmp_path, api.url, workers=0, expect=1, locustfile=REPLAY, **more) as cluster:
        with cable(cluster.port) as relay:
            cluster.add_workers(port=relay.port)
            assert cluster.wait() == 0, cluster.master.log[-3000:]
        run = cluster.report["run"].encode()
    seen = bytes(relay.seen)
    assert len(seen) > 50 * len(" a secret of Leonel's")
    for told in (b"Leonel", b"traffic.lease", b"client_ready", run):
        assert (told in seen) == (not secret), told
    assert SECRET.encode() not in seen


def test_where_there_must_be_a_secret_and_is_none_nothing_starts(tmp_path: Path, api: FakeApi) -> None:
    more: dict[str, Any] = {"TRAFFIC_FILE": records_file(tmp_path, 5), "TRAFFIC_SECRET": ""}
    with Cluster(tmp_path, api.url, workers=1, options=["--traffic-secret", "required"], **more) as cluster:
        assert cluster.wait() == 4
        assert "refused to start: --traffic-secret says that there must be a secret" in cluster.master.log
        (late,) = cluster.add_workers(TRAFFIC_SECRET="short")
        assert late.wait() == 4
        assert "refused to start: the secret in TRAFFIC_SECRET has 5 characters" in late.log
    assert api.count == 0
