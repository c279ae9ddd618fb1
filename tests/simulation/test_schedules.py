"""The promises hold in hostile worlds, and the simulation notices if one does not."""

import pytest

from simulation.blocks import blocks
from simulation.mutations import MUTATIONS
from simulation.schedule import run_schedule
from simulation.search import check_noticed
from simulation.world import World
from traffic.core.record_state import RecordState

SEEDS = 240
# A mutation is searched for in so many schedules; the rarest shows in about one of two thousand.
SEARCH = 4000
BLOCKS = 6
# The schedule in which each mutation was noticed. The search begins there, and goes on with the others if it is not.
NOTICED = {
    "no_fencing": 646,
    "ack_before_the_answer": 6,
    "ignore_sessions": 925,
    "never_return_lost_leases": 9,
    "cut_a_remainder_twice": 3,
    "confirm_before_the_journal": 44,
    "lease_at_once_after_a_restart": 411,
    "forget_what_was_leased": 54,
    "hand_out_while_paused": 18,
    "report_the_pause_once": 3,
    "lease_while_paused": 3,
    "forget_the_pause": 6,
    "forget_the_reopening": 123,
    "take_reopened_letters_for_leased": 123,
    "accept_stale_failures": 205,
    "call_reopened_letters_unsent": 45,
    "keep_records_in_trouble": 13,
    "ignore_missing_answers": 92,
    "accept_reports_of_anyone": 0,
    "forget_who_was_leased_what": 18,
    "assign_to_unconfirmed_peers": 2,
    "repeat_outcomes_at_the_full_rate": 7,
    "keep_a_lease_when_leaving": 25,
    "forget_the_longest_lease": 411,
    "begin_anew_by_an_old_hello": 90,
    "note_every_time": 2,
    "forget_the_times": 13,
    "add_up_what_is_told_again": 1,
    "keep_the_last_times": 1,
    "keep_rows_that_come_again": 6,
    "confirm_rows_before_they_are_written": 3,
    "keep_rows_for_later": 0,
    "never_send_rows_again": 18,
}


@pytest.mark.parametrize("block", blocks(BLOCKS))
def test_the_promises_hold_in_every_schedule(block: int) -> None:
    for seed in range(block * SEEDS // BLOCKS, (block + 1) * SEEDS // BLOCKS):
        run_schedule(seed)


def test_one_seed_makes_one_world() -> None:
    first, second = run_schedule(7), run_schedule(7)
    assert first.now == second.now
    assert first.api.posts == second.api.posts
    assert first.run
    assert second.run
    assert first.run.ledger.shares == second.run.ledger.shares


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_simulation_finds_a_rule_that_was_taken_away(name: str) -> None:
    check_noticed(name, run_schedule, (NOTICED[name], *range(SEARCH)))


def test_without_faults_each_record_is_posted_once_and_slices_are_equal() -> None:
    world = World(seed=1, records=60)
    for _ in range(4):
        world.join()
    world.run_for(1.0)
    world.start()
    assert world.run
    assert [share.slice for share in world.run.ledger.shares.values()] == [15, 15, 15, 15]
    world.run_until_settled(30.0)
    world.promises.check_end()
    assert set(world.api.posts.values()) == {1}
    assert world.run.ledger.counts[2] == 60


def test_a_worker_without_users_does_not_keep_its_slice_from_the_others() -> None:
    world = World(seed=2, records=60)
    busy, *_ = [world.join(users=1), world.join(users=0), world.join(users=0)]
    world.run_for(1.0)
    world.start()
    world.run_until_settled(60.0)
    assert world.run
    assert world.run.ledger.shares[busy.name].delivered == 60


def test_over_any_number_of_pauses_each_record_is_posted_once_and_stays_with_its_worker() -> None:
    world = World(seed=3, records=60)
    world.api.behaviour.slow_s = 2.0
    for _ in range(3):
        world.join()
    world.run_for(1.0)
    world.start()
    pauses = 0
    while not world.settled:
        world.run_for(0.4)
        world.person.check_pause(after=3.0, seconds=4 * world.terms.lease_s)
        pauses += 1
    world.promises.check_end()
    assert pauses > 5
    assert set(world.api.posts.values()) == {1}
    assert world.run
    assert world.run.ledger.counts[RecordState.DELIVERED] == 60


def test_a_run_whose_last_records_are_in_flight_completes_in_a_pause() -> None:
    world = World(seed=4, records=5)
    world.api.behaviour.slow_s = 2.0
    world.join(users=5)
    world.run_for(1.0)
    world.start()
    world.run_for(0.3)
    assert world.api.posts.total() == 5
    assert not world.settled
    world.person.pause_for(1000.0)
    world.run_until_settled(5.0)
    world.promises.check_end()
