"""Whole runs with real processes: every record once, in equal slices, in the order asked for, byte for byte."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.recorder import Post, recording
from support.stack import ROOT, Done, chosen_values, replay
from support.stub_process import running_stub

RECORDS = 100
SIZES = [(workers, users) for workers in (1, 2, 4, 7) for users in (1, 10, 100)]
# `make test` runs these; `make test-all` the others, too: a run of four workers starts six processes.
USUAL = [(1, 10), (2, 1), (4, 100), (7, 10)]
# A run is seconds of waiting and little work: two at a time, on two cores.
AT_ONCE = 2

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(AT_ONCE)
    yield pool
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def stub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An API stub that outlives the runs."""
    with running_stub(f"sqlite:///{tmp_path_factory.mktemp('stub') / 'messages.db'}") as stub:
        yield stub.url


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, pool: ThreadPoolExecutor, stub_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[int, int], Future[Done]]:
    """The runs of all sizes that were chosen, under way."""
    chosen = set(chosen_values(request, "size"))
    folder = tmp_path_factory.mktemp("runs")

    def run(size: tuple[int, int]) -> Done:
        workers, users = size
        return replay(folder / f"{workers}-{users}", HOST=stub_url, WORKERS=workers, USERS=users, TRAFFIC_WAIT=0)

    return {size: pool.submit(run, size) for size in sorted(chosen)}


@pytest.mark.parametrize(
    "size",
    [size if size in USUAL else pytest.param(size, marks=pytest.mark.slow) for size in SIZES],
    ids=lambda size: f"{size[0]} workers, {size[1]} users",
)
def test_every_record_is_stored_once_from_equal_slices(
    size: tuple[int, int], runs: dict[tuple[int, int], Future[Done]], stub_url: str
) -> None:
    done = runs[size].result()
    report = done.report
    assert done.code == 0, done.err
    assert report == json.loads((done.state / "report.json").read_text())
    audit = httpx.get(f"{stub_url}/audit", params={"run": report["run"]}).json()
    assert (audit["stored"], audit["posts"], audit["replayed"], audit["conflicts"]) == (RECORDS, RECORDS, 0, 0)
    assert (audit["indexes"]["max"], audit["indexes"]["missing_below_max"]) == (RECORDS - 1, [])
    slices = [worker["slice"] for worker in report["workers"]]
    assert (len(slices), sum(slices)) == (size[0], RECORDS)
    assert max(slices) - min(slices) <= 1
    counts = report["counts"]
    assert (counts["delivered"], counts["attempts"], counts["resent"]) == (RECORDS, RECORDS, 0)
    assert sum(worker["delivered"] for worker in report["workers"]) == RECORDS


@pytest.fixture(scope="module")
def sent(pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Future[list[Post]]]:
    """Replay by one worker and one user; what arrives, in the order of its arrival."""

    def run(variables: dict[str, Any]) -> list[Post]:
        with recording() as api:
            folder = tmp_path_factory.mktemp("sent")
            done = replay(folder / "state", HOST=api.url, WORKERS=1, USERS=1, TRAFFIC_WAIT=0, **variables)
            assert done.code == 0, done.err
            return api.posts

    return lambda **variables: pool.submit(run, variables)


def test_one_seed_sends_in_one_order(sent: Callable[..., Future[list[Post]]]) -> None:
    runs = [sent(TRAFFIC_SEED=7), sent(TRAFFIC_SEED=7), sent(TRAFFIC_SEED=8)]
    first, again, other = ([post.index for post in run.result()] for run in runs)
    assert sorted(first) == sorted(other) == list(range(RECORDS))
    assert first == again
    assert first != other
    assert first != sorted(first)


def test_the_file_s_order_is_kept_where_it_is_asked_for(sent: Callable[..., Future[list[Post]]]) -> None:
    posts = sent(TRAFFIC_ORDER="file").result()
    assert [post.index for post in posts] == list(range(RECORDS))
    assert [json.loads(post.body) for post in posts] == json.loads((ROOT / "data/traffic.json").read_bytes())


ODD_RECORDS = [
    rb'{"name": "escapes", "msg": "\" \\ \/ \b \f \n \r \t \u0000 \u001f \u00e9 \uD83D\uDE00 \ud800 \u2028"}',
    '{"name": "Ñandú Ελλάδα Հայերեն العربية हिन्दी 日本語", "msg": "¡¿ñ? 👩‍👩‍👧‍👦 é \u2028 \u2029 \x7f"}'.encode(),
    b'{"name": "long", "msg": "' + "ñ€😀x".encode() * 20_000 + b'"}',
    b'{"name": "numbers", "big": [9223372036854775807, -9223372036854775808, 18446744073709551615], '
    b'"odd": [-0, -0.0, 1E400, 1.10, 1e-7, 0.1e+1, 123456789012345678901234567890]}',
    b'{ "name"\t:"spaces" ,\r\n  "msg" : [ null,true , false,{},[ ],"" , {"" : {"a":[[[]]]}} ] }',
    b'{"name": "twice", "name": "the same name"}',
    b"{}",
]


def test_a_record_arrives_byte_for_byte_as_it_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    file.write_bytes(b" [\n" + b" ,\n\t".join(ODD_RECORDS) + b"\r\n]\n")
    with recording() as api:
        done = replay(tmp_path / "state", HOST=api.url, FILE=file, WORKERS=2, USERS=2, TRAFFIC_WAIT=0)
    assert done.code == 0, done.err
    by_index = {post.index: post for post in api.posts}
    assert len(api.posts) == len(ODD_RECORDS)
    assert sorted(by_index) == list(range(len(ODD_RECORDS)))
    assert [by_index[index].body for index in sorted(by_index)] == ODD_RECORDS
    assert {post.content_type for post in api.posts} == {"application/json"}
    assert {post.key.rpartition("-")[0] for post in api.posts} == {done.report["run"]}
    assert len(ODD_RECORDS[2]) > 200_000
