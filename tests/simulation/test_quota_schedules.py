"""A run whose API has a quota waits for it as one, and loses no record; the simulation notices if it does not."""

import pytest

from simulation.blocks import blocks
from simulation.mutations import QUOTA_MUTATIONS
from simulation.quota import run_quota_schedule
from simulation.search import check_noticed

BLOCK = 6
SEARCH = 300
# A schedule in which each mutation was noticed, soon if there are several; the search begins there.
NOTICED = dict.fromkeys(QUOTA_MUTATIONS, 0) | {
    "forget_the_wait": 1,
    "probe_with_all_users": 1,
    "wait_for_a_lost_prober": 14,
    "never_slow_down": 16,
}


@pytest.mark.parametrize("block", blocks(4))
def test_the_promises_hold_in_every_schedule_with_a_quota(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        run_quota_schedule(seed)


@pytest.mark.parametrize("name", QUOTA_MUTATIONS)
def test_the_simulation_finds_a_rule_of_the_quota_that_was_taken_away(name: str) -> None:
    check_noticed(name, run_quota_schedule, (NOTICED[name], *range(SEARCH)))
