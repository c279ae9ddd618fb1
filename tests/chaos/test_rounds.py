"""Rounds of every fault on real processes: the promises hold. And what a round may not come to."""

import os
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import Verdict
from chaos.faults import DEADLY, Act, Scenario
from chaos.rounds import Result, live
from support.mongod import NoMongodError, find_mongod

ROUNDS = {
    "a worker is killed and another joins while the API fails": Scenario(
        1,
        records=600,
        workers=3,
        misbehave="error=503@0.05, reset-after@0.05, cut@0.03",
        acts=(Act("kill", 1.0), Act("join", 1.5), Act("api", 2.5, lasts=1.0)),
    ),
    "a worker is frozen past its lease and another leaves": Scenario(
        2, records=600, workers=3, acts=(Act("freeze", 1.0, lasts=3.5), Act("term", 2.0, worker=1)), lease_s=2.0
    ),
    "workers are cut off and nothing may be sent twice": Scenario(
        3,
        records=600,
        workers=3,
        policy="at-most-once",
        misbehave="error=503@0.05, close-after@0.02",
        acts=(Act("cut", 1.0, lasts=2.0), Act("hole", 1.5, worker=1, lasts=6.0), Act("half", 4.0, lasts=1.5)),
    ),
    "the master is killed": Scenario(4, records=600, workers=3, acts=(Act("master", share=0.4, lasts=1.0),)),
    "the master is killed twice and a worker in between while the API fails": Scenario(
        5,
        records=500,
        workers=3,
        misbehave="error=503@0.05, reset-after@0.05, cut@0.03",
        acts=(Act("master", share=0.2), Act("kill", share=0.5), Act("master", share=0.7)),
    ),
    "the master is killed when the last record has been sent": Scenario(
        7, records=300, workers=3, misbehave="latency=0.2-0.4", acts=(Act("master", share=1.0),), deadline_s=40
    ),
    "the master is suspended twice while the API fails": Scenario(
        8,
        records=600,
        workers=3,
        misbehave="error=503@0.05, reset-after@0.05",
        acts=(Act("suspend", share=0.3), Act("suspend", share=0.6, lasts=1.0)),
    ),
    "everything is killed at once and MongoDB too": Scenario(
        6, records=400, workers=3, acts=(Act("everything", share=0.4, lasts=0.5),), store="mongodb"
    ),
}


# `make test` lives through these; `make test-all` through the others, too.
USUAL = (
    "a worker is frozen past its lease and another leaves",
    "the master is killed twice and a worker in between while the API fails",
    "everything is killed at once and MongoDB too",
)


@pytest.mark.parametrize(
    "name", [*USUAL, *(pytest.param(name, marks=pytest.mark.slow) for name in ROUNDS if name not in USUAL)]
)
def test_the_promises_hold_where(name: str, tmp_path: Path) -> None:
    scenario = ROUNDS[name]
    if scenario.store == "mongodb":
        need_mongod()
    result = live(scenario, tmp_path)
    assert result.faults() == []
    assert len(result.done) >= min(2, len(scenario.acts)), f"the run was over before the faults came: {result.done}"
    assert len(result.takings_up) == sum(act.kind in DEADLY for act in scenario.acts), result.takings_up


def need_mongod() -> None:
    """Skip if there is no mongod; fail in CI."""
    try:
        find_mongod()
    except NoMongodError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI MongoDB must be killed: {error}")
        pytest.skip(str(error))


def ended(state: str, unsent: int, **other: Any) -> Result:
    made = Result(Scenario(1), Path(), ended=True, verdict=Verdict(records=9), state=state, counts={"unsent": unsent})
    for name, value in other.items():
        setattr(made, name, value)
    return made


def test_a_run_may_be_left_unfinished_only_where_its_last_worker_left() -> None:
    assert ended("completed", 0).good
    assert not ended("stopped", 2).good
    assert not ended("completed", 2).good
    assert ended("stopped", 2, deserted=True).good


@pytest.mark.parametrize("verdict", [Verdict(9, lost=[1]), Verdict(9, duplicated=[1]), Verdict(9, lies=["one"])])
def test_a_run_that_its_last_worker_left_must_still_be_true_to_the_store(verdict: Verdict) -> None:
    assert ended("stopped", 2, deserted=True, verdict=verdict).faults() == [str(verdict)]


def test_a_run_without_an_end_or_without_a_report_is_broken() -> None:
    assert ended("completed", 0, ended=False).faults() == ["did not end within 120 s"]
    assert ended("", 0, verdict=None, fault="left no report").faults() == ["left no report"]
