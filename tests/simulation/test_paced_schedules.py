"""The promises hold in runs with a rate, too, and records are sent when they are due."""

import pytest

from simulation.blocks import blocks
from simulation.mutations import PACE_MUTATIONS
from simulation.paced import run_paced_schedule
from simulation.search import check_noticed

BLOCK = 10
SEARCH = 400
# A schedule in which each mutation was noticed, soon if there are several; the search begins there.
NOTICED = {
    "hand_out_before_it_is_due": 0,
    "stamp_before_the_journal": 43,
    "deal_to_the_silent": 2,
    "let_the_schedule_run_in_a_pause": 3,
    "work_off_a_backlog_at_once": 4,
    "forget_the_rate_in_a_break": 13,
    "deal_what_comes_due_to_one": 1,
    "forget_another_rate": 5,
    "move_what_is_dealt": 5,
}


@pytest.mark.parametrize("block", blocks(4))
def test_the_promises_hold_in_every_schedule_with_a_pace(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        run_paced_schedule(seed)


@pytest.mark.parametrize("name", PACE_MUTATIONS)
def test_the_simulation_finds_a_rule_of_the_pace_that_was_taken_away(name: str) -> None:
    check_noticed(name, run_paced_schedule, (NOTICED[name], *range(SEARCH)))
