"""Workers that get nothing done, as real processes: one that cannot reach the API, and an API that answers nobody."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Step

pytestmark = pytest.mark.timeout(180)

RECORDS = 200
# The worker that is the first to start cannot connect while a file says so.
LOCUSTFILE = """
import errno, os, pathlib, sys
from traffic import ReplayUser
from traffic.http import connector

FOLDER = pathlib.Path(os.environ["SWITCHES"])
CHOSEN = False
if "--worker" in sys.argv:
    try:
        os.close(os.open(FOLDER / "chosen", os.O_CREAT | os.O_EXCL))
        CHOSEN = True
    except FileExistsError:
        pass

class Socket(connector._Socket):
    def connect_ex(self, address):
        if CHOSEN and (FOLDER / "blind").exists():
            return errno.EHOSTUNREACH
        return super().connect_ex(address)

connector._Socket = Socket

class Replay(ReplayUser):
    pass
"""


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("switches")


@pytest.fixture(scope="module")
def shared_cluster(shared_api: FakeApi, switches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    file = tmp_path_factory.getbasetemp() / "none.json"  # the form may name files of its folder: each test's own
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_TIMEOUT": 0.7, "SWITCHES": switches, "TRAFFIC_ORDER": "file"}
    with Cluster(folder, shared_api.url, web=True, locustfile=LOCUSTFILE, **more) as cluster:
        cluster.await_web(2)
        yield cluster


def begin(cluster: Cluster, tmp_path: Path) -> None:
    answer = cluster.swarm(4, traffic_file=records_file(tmp_path, RECORDS))
    assert answer["success"], answer


def troubles(status: dict[str, Any]) -> list[str]:
    return [row["trouble"] for row in status["workers"] if row["trouble"]]


def check_each_was_sent_once(report: dict[str, Any], api: FakeApi) -> None:
    counts = report["counts"]
    assert (counts["delivered"], counts["attempts"]) == (RECORDS, RECORDS)
    assert (counts["resent"], counts["maybe_resent"]) == (0, 0)
    assert Counter(post.index for post in api.posts()) == dict.fromkeys(range(RECORDS), 1)


def test_the_records_of_a_worker_that_cannot_reach_the_api_go_to_one_that_can(
    cluster: Cluster, api: FakeApi, switches: Path, tmp_path: Path
) -> None:
    (switches / "blind").touch()
    before = len(cluster.master.log)
    api.always(Step(delay=0.2))  # the other one is not to have sent everything before this one has tried
    begin(cluster, tmp_path)
    cluster.until(lambda: troubles(cluster.status), "a worker is in trouble")
    api.always(Step())
    report = cluster.await_state("completed")
    check_each_was_sent_once(report, api)
    (blind,) = [row for row in report["workers"] if not row["delivered"]]
    said = "the API cannot be reached: OSError: [Errno 113] No route to host"
    assert (blind["trouble"], blind["slice"], blind["moved"]) == (said, RECORDS // 2, -RECORDS // 2)
    assert troubles(report) == [said], "and of nobody else"
    log = cluster.master.log[before:]
    assert f"worker {blind['id']} is in trouble: {said}" in log
    assert "the run is paused" not in log


def test_it_takes_part_again_once_it_can(cluster: Cluster, api: FakeApi, switches: Path, tmp_path: Path) -> None:
    (switches / "blind").touch()
    api.always(Step(delay=0.2))
    begin(cluster, tmp_path)
    cluster.until(lambda: troubles(cluster.status), "a worker is in trouble")
    (switches / "blind").unlink()
    cluster.until(lambda: not troubles(cluster.status), "it is out of it")
    api.always(Step())
    report = cluster.await_state("completed")
    check_each_was_sent_once(report, api)
    assert all(row["delivered"] for row in report["workers"])


def test_an_api_that_answers_nobody_pauses_the_run_and_is_only_probed(
    cluster: Cluster, api: FakeApi, switches: Path, tmp_path: Path
) -> None:
    (switches / "blind").unlink(missing_ok=True)
    api.always(Step(act="hang"))
    begin(cluster, tmp_path)
    status = cluster.await_state("paused")
    said = "the API does not answer: TimeoutError: timed out after 0.7 s; a later answer is not waited for"
    assert status["reason"] == said
    assert troubles(status) == [said] * 2
    assert api.count < RECORDS / 4, "what is not answered is not hammered with all that there is"
    api.always(Step())
    report = cluster.await_state("completed")
    counts = report["counts"]
    assert (counts["delivered"], counts["resent"]) == (RECORDS, 0)
    assert counts["attempts"] == len(api.posts()) == RECORDS + counts["maybe_resent"]
