"""Three rounds of every fault on real processes: the promises hold."""

from pathlib import Path

import pytest

from chaos.faults import Act, Scenario
from chaos.rounds import live

ROUNDS = {
    "a worker is killed and another joins while the API fails": Scenario(
        1,
        records=600,
        workers=3,
        misbehave="error=503@0.05, reset-after@0.05, cut@0.03",
        acts=(Act("kill", 1.0), Act("join", 1.5), Act("api", 2.5, lasts=1.0)),
    ),
    "a worker is frozen past its lease and another leaves": Scenario(
        2, records=600, workers=3, acts=(Act("freeze", 1.0, lasts=6.5), Act("term", 2.0, worker=1))
    ),
    "workers are cut off and nothing may be sent twice": Scenario(
        3,
        records=600,
        workers=3,
        policy="at-most-once",
        misbehave="error=503@0.05, close-after@0.02",
        acts=(Act("cut", 1.0, lasts=2.0), Act("hole", 1.5, worker=1, lasts=6.0), Act("half", 4.0, lasts=1.5)),
    ),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_the_promises_hold_where(name: str, tmp_path: Path) -> None:
    result = live(ROUNDS[name], tmp_path)
    assert result.faults() == []
    assert len(result.done) >= 2, f"the run was over before the faults came: {result.done}"
