"""Schedules of runs whose API takes no more than a quota: one seed, one world, as in `schedule`.

Most are quiet but for one thing, so that it can be said when a record may be handed out at all; some are hostile.
"""

import random
from collections.abc import Callable

from simulation.api import Quota
from simulation.schedule import live, settle, start_with
from simulation.world import World
from traffic.core.pace.config import PaceConfig
from traffic.core.pace.profile import Profile
from traffic.core.record_state import RecordState

# A run of 60 records with a quota of 5 in 3 s waits a dozen times.
RECORDS = 60


def run_quota_schedule(seed: int) -> World:
    """Live through the quota schedule of `seed`. Returns the world at its end; raises BrokenPromiseError."""
    chance = random.Random(f"quota {seed}")
    act = (_nothing, _restart, _lose_the_prober, _pause, _unsaid, None)[seed % 6]
    records, rate = RECORDS, chance.choice([None, None, 20])
    pace = PaceConfig.of(f"{rate}/s", Profile.level(rate), "even") if rate else None
    world = World(seed, records, max_attempts=1 if act else 3, pace=pace, holds=True)
    try:
        world.api.quota = Quota(chance.choice([5, 20]), chance.choice([3.0, 8.0]), says=act is not _unsaid)
        if act is None:
            live(world, chance, random.Random(f"more {seed}"))
        else:
            _live_quietly(world, chance, act)
    finally:
        world.close()
    return world


def _live_quietly(world: World, chance: random.Random, act: Callable[[World, random.Random], None]) -> None:
    world.master.slow_disk_s = chance.choice([0.0, 0.02])
    start_with(world, (chance.choice([2, 5]) for _ in range(chance.randint(2, 4))))
    act(world, chance)
    settle(world)
    assert world.run
    delivered = world.run.ledger.counts[RecordState.DELIVERED]
    world.promises.promise(delivered == RECORDS, f"the quota: {RECORDS - delivered} records are dead letters")


def _run_until_held(world: World) -> None:
    """Let the world go on until the run waits for the API, or is settled."""
    while not (world.master.coordinator.hold.held or world.settled):
        world.run_for(0.1)


def _nothing(world: World, _chance: random.Random) -> None:
    world.strict_about_waits = True


def _restart(world: World, chance: random.Random) -> None:
    """Kill the master in a wait: the next one keeps it."""
    world.strict_about_waits = True
    _run_until_held(world)
    world.run_for(1.0)
    if world.master.coordinator.hold.held:
        world.crash_master(chance.choice([0.1, 0.5]))


def _lose_the_prober(world: World, _chance: random.Random) -> None:
    """Crash the worker that is to try the API: another one does."""
    _run_until_held(world)
    while world.master.coordinator.hold.held and not world.master.coordinator.hold.prober:
        world.run_for(0.1)
    prober = world.hosts.get(world.master.coordinator.hold.prober)
    if prober is not None:
        world.crash(prober)


def _pause(world: World, _chance: random.Random) -> None:
    """Let a person pause the run in a wait, for longer than that."""
    world.strict_about_waits = True
    _run_until_held(world)
    world.person.pause_for(12.0)


def _unsaid(world: World, _chance: random.Random) -> None:
    """Let the API answer 429 without saying for how long: the run comes down to what the API takes."""
    world.run_for(20.0)
    begun, refused = world.api.posts.total(), world.api.refused
    world.run_for(10.0)
    if not world.settled:
        share = (world.api.refused - refused) / max(1, world.api.posts.total() - begun)
        world.promises.promise(share <= 0.7, f"the quota: {share:.0%} of the requests are refused, and it goes on")
