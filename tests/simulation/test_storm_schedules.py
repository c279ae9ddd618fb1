"""A run whose API refuses nearly everything stops, and loses no record; the simulation notices if it does not."""

import pytest

from simulation.blocks import blocks
from simulation.mutations import STORM_MUTATIONS
from simulation.search import check_noticed
from simulation.storms import run_storm_schedule

BLOCK = 5
SEARCH = 200
# A schedule in which each mutation was noticed, soon if there are several; the search begins there.
NOTICED = dict.fromkeys(STORM_MUTATIONS, 0) | {
    "trip_on_any_rejections": 3,
    "stop_again_for_the_same_reason": 20,
    "forget_the_storm": 47,
}


@pytest.mark.parametrize("block", blocks(4))
def test_the_promises_hold_in_every_schedule_with_a_storm(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        run_storm_schedule(seed)


@pytest.mark.parametrize("name", STORM_MUTATIONS)
def test_the_simulation_finds_a_rule_of_the_brake_that_was_taken_away(name: str) -> None:
    check_noticed(name, run_storm_schedule, (NOTICED[name], *range(SEARCH)))
