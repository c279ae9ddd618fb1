"""Workers that are killed, frozen, sent away, cut off, or that join: nothing is lost, and what is sent twice is known.
Nor does a peer that is no worker make a record vanish.

The API answers slowly while a fault lasts and at once afterwards, so that a run is as long as its fault.
"""

import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from support.cluster import Cluster, Process, cable, records_file
from support.deadlines import stretched
from support.fake_api import FakeApi, Post, Step, fake_api
from support.stranger import stranger
from traffic.core.protocol import Ack

pytestmark = pytest.mark.timeout(180)

SLOWLY, AT_ONCE = Step(delay=0.2), Step()
LEASE_S = 5.0
# After so long, about, Locust strikes a missing worker off its list.
FORGOTTEN_S = 60.0


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.always(SLOWLY)
        yield api


def begin(folder: Path, api: FakeApi, *, records: int, workers: int, users: int = 12, **variables: Any) -> Cluster:
    """A cluster in the file's order, so that a position is an index."""
    file = records_file(folder, records)
    return Cluster(folder, api.url, workers=workers, users=users, TRAFFIC_FILE=file, TRAFFIC_ORDER="file", **variables)


def await_everyone(cluster: Cluster, api: FakeApi) -> None:
    """Wait until each worker has sent something."""
    ids = set(cluster.await_ids())
    cluster.until(lambda: ids <= {post.worker for post in api.posts()}, "every worker sends")


def reclaimed(log: str, worker: str) -> set[int]:
    """The positions that the master says it took back from a worker."""
    found: set[int] = set()
    for spelled in re.findall(rf"\(positions? ([\d, -]+)\) reclaimed from {worker}", log):
        for piece in spelled.split(", "):
            first, _, last = piece.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
    return found


def senders(posts: Iterable[Post]) -> dict[int, list[str]]:
    """Who sent each index, in order."""
    made: dict[int, list[str]] = defaultdict(list)
    for post in posts:
        made[post.index].append(post.worker)
    return made


def check_all_delivered(cluster: Cluster, records: int, code: int) -> dict[str, Any]:
    """The report, which says that everything is delivered and adds up."""
    report = cluster.report
    assert (code, report["state"]) == (0, "completed"), cluster.master.log[-3000:]
    counts = report["counts"]
    assert (counts["records"], counts["delivered"]) == (records, records)
    assert counts["rejected"] == counts["in_doubt"] == counts["unsent"] == counts["leased"] == 0
    assert sum(row["delivered"] for row in report["workers"]) == records
    return report


def row_of(report: dict[str, Any], worker: Process) -> dict[str, Any]:
    return next(row for row in report["workers"] if row["id"] == worker.id)


def test_a_worker_that_is_killed_loses_nothing_and_only_what_it_held_is_sent_again(
    tmp_path: Path, api: FakeApi
) -> None:
    records = 600
    with begin(tmp_path, api, records=records, workers=4) as cluster:
        await_everyone(cluster, api)
        victim = cluster.workers[0]
        victim.kill()
        # The lease lapses soon after Locust's own verdict, and not only when Locust forgets the worker, a minute later.
        cluster.await_log("setting state to missing")
        cluster.await_log(f"reclaimed from {victim.id}", FORGOTTEN_S / 2)
        api.always(AT_ONCE)
        report = check_all_delivered(cluster, records, cluster.wait())
        log = cluster.master.log
    sent = senders(api.posts())
    again = {index: names for index, names in sent.items() if len(names) > 1}
    assert sorted(sent) == list(range(records))
    assert set(again) <= reclaimed(log, victim.id)
    assert all(names[0] == victim.id and victim.id not in names[1:] and len(names) == 2 for names in again.values())
    mine = row_of(report, victim)
    assert mine["moved"] == mine["delivered"] - mine["slice"] < 0


def test_a_frozen_worker_is_fenced_and_its_late_acks_count_once(tmp_path: Path, api: FakeApi) -> None:
    records = 1200
    with begin(tmp_path, api, records=records, workers=3) as cluster:
        await_everyone(cluster, api)
        frozen = cluster.workers[0]
        frozen.send(signal.SIGSTOP)
        cluster.await_log(f"reclaimed from {frozen.id}")
        taken = reclaimed(cluster.master.log, frozen.id)
        others = lambda: {post.index for post in api.posts() if post.worker != frozen.id}  # noqa: E731
        cluster.until(lambda: taken & others(), "others send what was the frozen worker's")
        thaw = time.monotonic()
        frozen.send(signal.SIGCONT)
        cluster.until(lambda: any(p.worker == frozen.id and p.at > thaw for p in api.posts()), "it takes part again")
        api.always(AT_ONCE)
        check_all_delivered(cluster, records, cluster.wait())
    posts = api.posts()
    sent = senders(posts)
    assert sorted(sent) == list(range(records))
    mine = [post for post in posts if post.worker == frozen.id]
    before, after = ({p.index for p in mine if p.at < thaw}, [p.index for p in mine if p.at > thaw])
    foreign = others()
    # A request that a user was about to write at the freeze may still leave; there is time for no more than that.
    assert len([index for index in after if index in foreign]) <= 1
    assert not before & set(after)
    again = {index for index, names in sent.items() if len(names) > 1}
    # In flight at the freeze: one of each of its four users, and what they had done since its latest ack.
    assert len(again & before) <= 3 * 4


def forge(port: int, run: str, records: int) -> None:
    """Say over Locust's port that all was delivered, as no worker that was ever leased a record."""
    ack = Ack(1, 1, 0, run, ((0, records),), (), (), 100, 5 * records, records, 5, "", leaving=False)
    with stranger(port, b"forger") as peer:
        peer.send(msgpack.packb((ack.type, ack.to_wire(), "forger")))  # as Locust writes its messages
        assert peer.poll(10_000), "the master answers, with a welcome"


def test_a_peer_that_was_never_leased_a_record_settles_none(tmp_path: Path, api: FakeApi) -> None:
    records = 100
    with begin(tmp_path, api, records=records, workers=1) as cluster:
        await_everyone(cluster, api)
        begun = re.search(r"run (\S+): \d+ records of", cluster.master.log)
        assert begun
        forge(cluster.port, begun[1], records)
        cluster.await_log("'forger' says what became of positions 0-99, which it was never given in this run")
        api.always(AT_ONCE)
        report = check_all_delivered(cluster, records, cluster.wait())
        honest = cluster.workers[0].id
    assert sorted(senders(api.posts())) == list(range(records))
    assert report["counts"]["attempts"] == records
    assert [row["id"] for row in report["workers"]] == [honest]


def test_a_worker_that_is_sent_away_hands_back_what_it_holds_and_one_that_joins_gets_a_slice(
    tmp_path: Path, api: FakeApi
) -> None:
    records = 400
    with begin(tmp_path, api, records=records, workers=3) as cluster:
        await_everyone(cluster, api)
        leaver = cluster.workers[0]
        leaver.send(signal.SIGTERM)
        assert leaver.wait(20) == 0, leaver.log
        cluster.await_log(f"worker {leaver.id} is gone (it left)")
        (joiner,) = cluster.add_workers(1)
        await_everyone(cluster, api)
        api.always(AT_ONCE)
        report = check_all_delivered(cluster, records, cluster.wait())
    assert max(Counter(post.index for post in api.posts()).values()) == 1
    assert report["counts"]["attempts"] == records
    assert report["counts"]["resent"] == 0
    assert row_of(report, leaver)["delivered"] > 0
    joined = row_of(report, joiner)
    assert joined["slice"] > 0
    assert joined["delivered"] > 0


def test_a_run_that_has_lost_all_its_workers_goes_on_with_the_next(tmp_path: Path, api: FakeApi) -> None:
    records = 300
    # A lease that lapsed on a busy machine would break nothing here.
    with begin(tmp_path, api, records=records, workers=2, TRAFFIC_LEASE=1) as cluster:
        await_everyone(cluster, api)
        for worker in cluster.workers:
            worker.kill()
        cluster.await_log("the run is paused: no worker is there")
        api.always(AT_ONCE)
        (heir,) = cluster.add_workers(1)
        report = check_all_delivered(cluster, records, cluster.wait())
    sent = senders(api.posts())
    assert sorted(sent) == list(range(records))
    assert all(names[-1] == heir.id for names in sent.values() if len(names) > 1)
    assert row_of(report, heir)["delivered"] > 0


def test_a_run_that_nobody_serves_any_more_ends_with_a_report(tmp_path: Path, api: FakeApi) -> None:
    records, give_up = 300, 4
    with begin(tmp_path, api, records=records, workers=1, TRAFFIC_GIVE_UP=give_up) as cluster:
        await_everyone(cluster, api)
        cluster.workers[0].kill()
        code = cluster.wait(FORGOTTEN_S)  # it does not wait until Locust forgets the worker
        report = cluster.report
        unsent = cluster.file_of_run("unsent.txt")
    counts = report["counts"]
    assert (code, report["state"]) == (3, "failed")
    assert report["reason"] == f"no worker is there; given up after {give_up} s without progress"
    assert counts["delivered"] + counts["in_doubt"] + counts["unsent"] == records
    assert counts["unsent"] == len(unsent) > 0
    # What it may have sent is in doubt, and what is said to be unsent was not sent.
    assert counts["in_doubt"] > 0
    assert not {int(index) for index in unsent} & {post.index for post in api.posts()}


def test_workers_that_are_cut_off_for_a_while_are_fenced_and_come_back(tmp_path: Path, api: FakeApi) -> None:
    records, late_s = 1500, min(2.0, stretched(1.0))  # the run is to outlast the cut
    cut_s = LEASE_S + 2 * late_s
    with (
        begin(tmp_path, api, records=records, workers=1, expect=3) as cluster,
        cable(cluster.port) as stalled,
        cable(cluster.port) as broken,
    ):
        lost = [cluster.add_workers(1, port=laid.port)[0] for laid in (stalled, broken)]
        await_everyone(cluster, api)
        cut = time.monotonic()
        stalled.stall()
        broken.cut()
        for worker in lost:
            cluster.await_log(f"reclaimed from {worker.id}")
        cluster.until(lambda: time.monotonic() - cut > cut_s, "the cut lasts")
        mended = time.monotonic()
        stalled.mend()
        broken.mend()
        ids = {worker.id for worker in lost}
        cluster.until(lambda: ids <= {post.worker for post in api.posts() if post.at > mended}, "both take part again")
        api.always(AT_ONCE)
        check_all_delivered(cluster, records, cluster.wait())
    posts = api.posts()
    assert {post.index for post in posts} == set(range(records))
    for worker in lost:
        mine = [post for post in posts if post.worker == worker.id]
        # Its lease is counted from its last answered ack, so it ends within the lease's time after the cut.
        assert not [post for post in mine if cut + LEASE_S + late_s < post.at < mended]
        last = {post.index: post.at for post in mine}
        foreign = {post.index: post.at for post in posts if post.worker != worker.id}
        assert not [index for index, at in last.items() if index in foreign and foreign[index] < at]
