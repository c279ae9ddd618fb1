"""What cannot be replayed is refused before anything is sent, and a headless run says so with exit code 4."""

import gzip
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, records_file
from support.recorder import recording
from support.stack import Done, chosen_values, replay


@dataclass(frozen=True)
class Case:
    """A file's bytes (None: there is none; "": the project's own), or options; and what is to be said of them."""

    name: str
    says: tuple[str, ...]
    content: bytes | None = b"[{}]"
    options: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("missing", ("--traffic-file", "looked for: "), content=None),
    Case("empty", ("is empty",), content=b""),
    Case("not JSON", ("line 2, column 11", "record 1"), content=b'[{"a": 1},\n {"name": Ana}]'),
    Case("cut short", ("line 1, column ", "record 1"), content=b'[{"a": 1}, {"name": "An'),
    Case("not an array", ("line 1, column 1", "an object", "array"), content=b'{"name": "Ana"}'),
    Case("holds a string", ("line 3, column 1", "record 2", "a string"), content=b'[{}, {},\n\n"Ana"]'),
    Case("no records", ("line 1, column ", "empty"), content=b"[ ]"),
    Case("JSON Lines", ("line 2, column 1", "record 1", "a number (7)"), content=b'{"a": 1}\n7\n{"a": 2}\n'),
    Case("CSV", ("line 3, column 1", "record 1", "has 1 field, and the header names 2"), content=b"a,b\n1,2\n3\n"),
    Case("half a gzip file", ("ends before its gzip data does",), content=gzip.compress(b"[{}]", mtime=0)[:-5]),
    Case("UTF-32", ("UTF-32", "save it as UTF-8"), content='[{"a": 1}]'.encode("utf-32")),
    Case("nothing chosen", ("the file has 1 record", "--traffic-offset 1"), options={"TRAFFIC_OFFSET": "1"}),
    Case("limit 0", ("--traffic-limit", "'0'", "TRAFFIC_LIMIT"), options={"TRAFFIC_LIMIT": "0"}),
    Case("no schema", ("--traffic-schema", "cannot be read"), options={"TRAFFIC_SCHEMA": "nowhere.json"}),
    Case("seed abc", ("--traffic-seed", "'abc'", "TRAFFIC_SEED"), options={"TRAFFIC_SEED": "abc"}),
    Case("wait 3-1", ("--traffic-wait", "'3-1'", "TRAFFIC_WAIT"), options={"TRAFFIC_WAIT": "3-1"}),
    Case("order sideways", ("--traffic-order", "'sideways'", "random"), options={"TRAFFIC_ORDER": "sideways"}),
    Case("mistyped", ("TRAFFIC_WATI", "nearly TRAFFIC_WAIT"), options={"TRAFFIC_WATI": "0"}),
    Case("lease 0", ("--traffic-lease", "'0'", "TRAFFIC_LEASE"), options={"TRAFFIC_LEASE": "0"}),
    Case("two faults", ("--traffic-path", "--traffic-seed"), options={"TRAFFIC_PATH": "x", "TRAFFIC_SEED": "-1"}),
]
# `make test` has these refused; `make test-all` the others, too, whose reasons the unit tests have.
USUAL = ("missing", "not JSON", "seed abc", "mistyped")
CHOICE = [case if case.name in USUAL else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


@dataclass(frozen=True)
class Refused:
    """What came of a case."""

    file: Path
    done: Done
    requests: int


def attempt(case: Case, folder: Path) -> Refused:
    file = folder / "records.json"
    if case.content is not None:
        file.write_bytes(case.content)
    with recording() as api:
        done = replay(folder / "state", HOST=api.url, FILE=file, WORKERS=1, USERS=2, **case.options)
        return Refused(file, done, api.requests)


@pytest.fixture(scope="module")
def attempts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future]]:
    """All cases that were chosen, under way, two at a time."""
    pool = ThreadPoolExecutor(2)
    chosen = {case.name: case for case in chosen_values(request, "case")}
    yield {name: pool.submit(attempt, case, tmp_path_factory.mktemp("refused")) for name, case in chosen.items()}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CHOICE, ids=lambda case: case.name)
def test_it_is_refused_with_the_reason_before_anything_is_sent(case: Case, attempts: dict[str, Future]) -> None:
    refused: Refused = attempts[case.name].result()
    done = refused.done
    assert done.code == 4, done.err
    assert refused.requests == 0
    assert done.out == ""
    reason = done.err.splitlines()[-1]
    assert reason.startswith("refused to start: ")
    assert [said for said in case.says if said not in reason] == [], reason
    assert bool(case.options) or str(refused.file) in reason
    assert not (done.state / "report.json").exists()


@pytest.mark.parametrize("case", CHOICE, ids=lambda case: case.name)
def test_a_refusal_does_not_look_like_a_crash(case: Case, attempts: dict[str, Future]) -> None:
    assert "Traceback" not in attempts[case.name].result().done.log


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("-u", "0"), "The number of users must be a whole number from 1 to 1000000, not '0': without users nothing"),
        (("-r", "1e-9"), "The users started a second must be from 0.0001 to 1000000, not '1e-09'."),
    ],
    ids=["no users", "a rate of one in thirty years"],
)
def test_users_that_never_come_are_refused_and_nothing_hangs(
    option: tuple[str, str], says: str, tmp_path: Path
) -> None:
    file = records_file(tmp_path, 3)
    with recording() as api, Cluster(tmp_path, api.url, workers=1, options=option, TRAFFIC_FILE=file) as cluster:
        assert cluster.wait() == 4, cluster.master.log
        assert f"refused to start: {says}" in cluster.master.log
        assert api.requests == 0
