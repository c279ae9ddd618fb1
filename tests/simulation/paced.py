"""Schedules of paced runs: one seed, one world, as in `schedule`; with faults, or quiet but for one thing."""

import random
from collections.abc import Callable

from simulation.api import Behaviour
from simulation.schedule import GRACE_S, live, settle, start_with
from simulation.world import World
from traffic.core.master.pacer import AHEAD_S, SILENT_S
from traffic.core.pace.config import PaceConfig
from traffic.core.pace.profile import Piece, Profile
from traffic.core.protocol import CATCH_UP

# A user looks for records so often in the simulation, at the latest.
LOOK_S = 0.1
USERS = 5


def run_paced_schedule(seed: int) -> World:
    """Live through the paced schedule of `seed`. Returns the world at its end; raises BrokenPromiseError."""
    chance = random.Random(f"paced {seed}")
    act = (None, _nothing, _freeze, _pause, _slow_api, _change_rate, _lose_a_worker_in_a_break)[seed % 7]
    if act is None:
        world = _hostile(seed, chance)
    elif act is _lose_a_worker_in_a_break:
        world = _with_a_break(seed)
    else:
        world = _quiet(seed, chance)
    try:
        if act is None:
            live(world, chance, random.Random(f"more {seed}"))
        else:
            _live_quietly(world, chance, act)
    finally:
        world.close()
    return world


def _hostile(seed: int, chance: random.Random) -> World:
    policy = "at-most-once" if chance.random() < 0.2 else "at-least-once"
    records, rate = chance.choice([1, 7, 40, 60]), chance.choice([2, 10, 40])
    pace = PaceConfig.of(f"{rate}/s", Profile.level(rate), chance.choice(["even", "poisson"]))
    return World(seed, records, policy, max_attempts=chance.choice([1, 3, 6]), pace=pace)


def _quiet(seed: int, chance: random.Random) -> World:
    rate = chance.choice([5, 20])
    records = 12 * rate
    world = World(seed, records, pace=PaceConfig.of(f"{rate}/s", Profile.level(rate), "even"))
    world.master.slow_disk_s = chance.choice([0.0, 0.02, 0.4])
    return world


def _with_a_break(seed: int) -> World:
    rate, until_s, break_s = 40.0, 9.0, 60.0
    pieces = [Piece(rate, rate, until_s), Piece(0, 0, break_s), Piece(rate, rate, 1.0)]
    profile = Profile(pieces)
    return World(seed, round(rate * (until_s + 1)), pace=PaceConfig.of("a break", profile, "even"))


def _live_quietly(world: World, chance: random.Random, act: Callable[[World, random.Random], None]) -> None:
    start_with(world, [USERS] * chance.randint(2, 4))
    world.run_for(4.0)
    act(world, chance)
    settle(world)


def _rate(world: World) -> float:
    assert world.schedule is not None
    return world.schedule.rate(0.0)


def _nothing(world: World, _chance: random.Random) -> None:
    """Check a run in which nothing happens: nothing is late, and everybody has as much to do."""
    world.run_until_settled(GRACE_S)
    world.promises.check_lateness(LOOK_S)
    assert world.run
    slices = [share.slice for share in world.run.ledger.shares.values()]
    world.promises.promise(max(slices) - min(slices) <= 2, f"the pace: unequal parts, {slices}")


def _freeze(world: World, chance: random.Random) -> None:
    """Freeze a worker for nearly a lease: late is only what it was leased, or dealt before it counted as silent."""
    frozen, others = chance.choice(world.alive()), len(world.alive())
    world.freeze(frozen, 4.5)
    world.run_until_settled(GRACE_S)
    most = (AHEAD_S + SILENT_S + 0.5) * _rate(world) / others + 2
    world.promises.check_lateness(1.5, but=int(most))


def _pause(world: World, chance: random.Random) -> None:
    """Let a person pause the run: the schedule shifts, so nothing is late."""
    world.person.pause_for(chance.choice([3.0, 8.0]))
    world.run_until_settled(GRACE_S)
    world.promises.check_lateness(LOOK_S + 0.5)


def _slow_api(world: World, _chance: random.Random) -> None:
    """Let the API be slow until no user is free: what is overdue is worked off at a bounded rate."""
    usual, world.api.behaviour = world.api.behaviour, Behaviour(slow_s=8.0)
    world.run_for(5.0)
    world.api.behaviour = usual
    world.run_until_settled(GRACE_S)
    hosts = len(world.alive())
    world.promises.check_catch_up(CATCH_UP * _rate(world) + 3 * hosts, window_s=1.0)


def _change_rate(world: World, chance: random.Random) -> None:
    """Change the rate, twice, and let the master die in between: what workers were told of it outlives it."""
    world.person.change_rate(chance.choice([2.0, 80.0]))
    world.run_for(chance.choice([1.6, 2.5]))
    world.crash_master(chance.choice([0.1, 3.0]))
    world.run_until_master_is_up()
    world.run_for(chance.choice([0.0, 2.0]))
    world.person.change_rate(40.0)
    world.run_until_settled(GRACE_S)


def _lose_a_worker_in_a_break(world: World, chance: random.Random) -> None:
    """Lose a worker with a backlog while nothing is planned: the others, who get it, work it off at a bounded rate."""
    usual, world.api.behaviour = world.api.behaviour, Behaviour(slow_s=8.0)
    world.run_for(6.5)
    world.crash(chance.choice(world.alive()))
    world.api.behaviour = usual
    world.run_until_settled(GRACE_S)
    world.promises.check_catch_up(CATCH_UP * _rate(world) + 3 * len(world.hosts), window_s=1.0)
