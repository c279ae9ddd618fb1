"""Schedules of runs whose API refuses nearly everything from some moment on: one seed, one world, as in `schedule`."""

import random
from math import ceil

from simulation.schedule import GRACE_S, live, settle, start_with
from simulation.world import World
from traffic.core.record_state import RecordState
from traffic.core.worker.brake import SHARE

RECORDS, LOOKED_AT, USERS = 400, 10, 3
# From a worker's last answer until its ack has been read, its pause journaled, and all have been told.
TOLD_S = 3.0


def run_storm_schedule(seed: int) -> World:
    """Live through the storm schedule of `seed`. Returns the world at its end; raises BrokenPromiseError."""
    chance = random.Random(f"storm {seed}")
    act = (_correct, _restart, _go_on_regardless, _calm, None, _restart_and_go_on)[seed % 6]
    world = World(seed, RECORDS if act else 60, brake=LOOKED_AT)
    try:
        if act is None:
            live(world, chance, random.Random(f"more {seed}"))
        else:
            world.master.slow_disk_s = chance.choice([0.0, 0.02])
            start_with(world, [USERS] * chance.randint(1, 4))
            act(world, chance)
            settle(world)
    finally:
        world.close()
    return world


def _storm(world: World, chance: random.Random) -> int:
    """Let the API refuse everything, from some moment on; return how many were refused when the run has stopped."""
    world.run_for(chance.choice([0.0, 0.4]))
    before = _rejected(world)
    world.api.behaviour.reject = 1.0
    world.run_for(TOLD_S)
    promise, hosts = world.promises.promise, len(world.hosts)
    promise(world.master.coordinator.paused, "the brake: the run goes on though everything is refused")
    stopped, sent = _rejected(world) - before, world.api.posts.total()
    most = hosts * (LOOKED_AT + USERS)
    promise(ceil(SHARE * LOOKED_AT) <= stopped <= most, f"the brake: {stopped} were refused, {most} at most")
    world.run_for(5.0)
    promise(world.api.posts.total() == sent, "the brake: it was stopped, and something was sent")
    return stopped


def _rejected(world: World) -> int:
    return sum(share.rejected for share in world.run.ledger.shares.values()) if world.run else 0


def _correct(world: World, chance: random.Random) -> None:
    """Correct the API: what was not sent in the storm is delivered."""
    _storm(world, chance)
    refused = _rejected(world)
    world.api.behaviour.reject = 0.0
    world.master.set_paused(paused=False)
    world.run_until_settled(GRACE_S)
    assert world.run
    delivered = world.run.ledger.counts[RecordState.DELIVERED]
    world.promises.promise(delivered == RECORDS - refused, f"the brake: {RECORDS - refused - delivered} are lost")


def _restart(world: World, chance: random.Random) -> None:
    """Kill the master while the run is stopped: the next one keeps it so."""
    _storm(world, chance)
    world.crash_master(chance.choice([0.1, 3.0]))
    world.run_until_master_is_up()
    sent = world.api.posts.total()
    world.run_for(10.0)
    world.promises.promise(world.api.posts.total() == sent, "the brake: a restarted master goes on by itself")
    world.api.behaviour.reject = 0.0
    world.master.set_paused(paused=False)


def _restart_and_go_on(world: World, chance: random.Random) -> None:
    """Kill the master as soon as it has stopped the run; the next one is told to go on before it hears a worker."""
    world.run_for(0.4)
    world.api.behaviour.reject = 1.0
    while not (world.master.wanted_paused or world.settled):
        world.run_for(0.05)
    world.run_for(chance.choice([0.0, 0.05, 0.3]))
    world.crash_master(0.1)
    world.run_until_master_is_up()
    known = world.master.coordinator.paused  # by the journal
    world.api.behaviour.reject = 0.0
    world.master.set_paused(paused=False)
    world.run_for(2 * TOLD_S)
    again = world.master.coordinator.paused
    world.promises.promise(not (known and again), "the brake: it stops again for what a person has decided on")
    if again:
        world.master.set_paused(paused=False)
    world.run_until_settled(GRACE_S)


def _go_on_regardless(world: World, chance: random.Random) -> None:
    """Let the run go on though nothing was corrected: it goes on to its end, and does not stop again."""
    _storm(world, chance)
    world.master.set_paused(paused=False)
    world.run_until_settled(GRACE_S)
    world.promises.promise(not world.master.coordinator.paused, "the brake: it stops again for the same reason")


def _calm(world: World, _chance: random.Random) -> None:
    """Refuse one record in five: that is no storm."""
    world.api.behaviour.reject = 0.2
    world.run_until_settled(GRACE_S)
    world.promises.promise(not world.run or not world.run.storm.status, "the brake: it trips though most is taken")
