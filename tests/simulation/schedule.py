"""One seed, one schedule: which faults happen when. The same seed makes the same world, to the last message."""

import random
from collections.abc import Iterable

from simulation.api import Behaviour
from simulation.world import World

HORIZON_S = 12.0
# The longest that a run may still take once the faults are over: leases lapse, backoffs end.
GRACE_S = 240.0
# The share of runs that a person stops, and of those whose dead letters are sent again, some of them several times.
STOPPED = 0.15
RESENT = 0.5
MOST_RESENT = 3
# The share of runs that a person pauses once the faults are over.
PAUSED = 0.15
# The share of runs that have a worker which cannot reach the API, and of those whose API answers nothing for a while.
UNREACHABLE = 0.3
SILENT = 0.06
# The share of runs whose master dies while a worker is cut off, and is back at once.
ALONE = 0.1
# One of so many schedules has no faults, but an API that rejects much and a busy master; one has no faults, but workers
# that are told to leave.
KINDS = 8
BUSY, LEAVING = 7, 1
# After so long, workers that were frozen or cut off are back, and so is the master.
BACK_S = 30.0


def run_schedule(seed: int) -> World:
    """Live through the schedule of `seed`. Returns the world at its end; raises BrokenPromiseError."""
    chance, later = random.Random(seed), random.Random(f"more {seed}")
    if seed % KINDS in {BUSY, LEAVING}:
        return _run_busy(seed, chance) if seed % KINDS == BUSY else _run_leaving(seed, chance)
    policy = "at-most-once" if chance.random() < 0.2 else "at-least-once"
    world = World(seed, records=chance.choice([1, 7, 40, 60]), policy=policy, max_attempts=chance.choice([1, 3, 6]))
    try:
        live(world, chance, later)
    finally:
        world.close()
    return world


def _run_busy(seed: int, chance: random.Random) -> World:
    """No fault, and a master that needs most of a second to read all that its workers can report: no lease lapses."""
    world = World(seed, records=chance.choice([60, 200]))
    try:
        hosts = [world.join(users=chance.choice([2, 5])) for _ in range(chance.randint(1, 5))]
        world.api.behaviour = Behaviour(reject=chance.choice([0.5, 1.0]))
        world.run_for(1.0)
        most = len(hosts) * (world.terms.window_records + world.terms.lease_records)
        world.reading_s = chance.uniform(0.5, 0.9) / most
        world.start()
        settle(world)
    finally:
        world.close()
    return world


def _run_leaving(seed: int, chance: random.Random) -> World:
    """No fault: one worker after the other is asked to leave while leases are on their way to it; another joins."""
    world = World(seed, records=100, policy=chance.choice(["at-most-once", "at-least-once"]))
    world.network.slow_s = chance.choice([0.05, 0.2, 0.5])
    try:
        start_with(world, (chance.choice([2, 5]) for _ in range(chance.randint(2, 4))))
        for _ in range(6):
            world.run_for(chance.uniform(0.0, 0.5))
            world.leave(chance.choice(world.not_leaving()))
            world.join(users=chance.choice([2, 5]))
        settle(world)
    finally:
        world.close()
    return world


def live(world: World, chance: random.Random, later: random.Random) -> None:
    """Live through all parts of a schedule. `later` draws what was added later: older draws stay as they were."""
    for _ in range(chance.randint(1, 5)):
        world.join(users=chance.choice([0, 1, 2, 5]))
    if later.random() < UNREACHABLE:
        later.choice(world.alive()).api_unreachable = True
    if chance.random() < 0.8:
        _make_hostile(world, chance)
    world.run_for(chance.choice([0.0, 0.2, 1.0]))
    world.start()
    if later.random() < ALONE:
        world.api.behaviour = Behaviour(slow_s=6.0)  # so that it has records for as long as its lease lasts
        world.run_for(later.uniform(0.3, 1.0))
        world.cut(later.choice(world.alive()), 9.0)
        world.crash_master(0.1)
    _live_to_the_end(world, chance, later)
    for _ in range(MOST_RESENT):
        if chance.random() >= RESENT:
            return
        world.run_for(chance.choice([0.0, 0.5, 8.0]))
        if chance.random() < 0.5:
            _make_hostile(world, chance)
        world.resend(restarted=chance.random() < 0.5)
        _live_to_the_end(world, chance, later)


def _live_to_the_end(world: World, chance: random.Random, later: random.Random) -> None:
    """Live on until all is settled, or a person stops the run."""
    _live_through(world, chance)
    if chance.random() < STOPPED and not world.settled:
        world.person.stop(patience=chance.choice([0.0, 2.0, 13.0]))
        world.run_for(1.0)
        world.promises.check_stopped()
        return
    _end_faults(world)
    world.join(users=3)
    if chance.random() < PAUSED and not world.settled:
        world.person.check_pause(after=BACK_S, seconds=20.0)
    if later.random() < SILENT and not world.settled:
        world.promises.check_silent_api(within=BACK_S, seconds=20.0)
    world.run_until_settled(GRACE_S)
    world.end()
    world.promises.check_end()


def _make_hostile(world: World, chance: random.Random) -> None:
    net = world.network
    net.lose = chance.choice([0.0, 0.05, 0.3])
    net.double = chance.choice([0.0, 0.1])
    net.slow_s = chance.choice([0.01, 0.2, 3.0])
    net.in_order = chance.random() < 0.5
    world.master.slow_disk_s = chance.choice([0.0, 0.02, 0.5])
    world.faults |= net.lose > 0 or net.slow_s > 1
    share = chance.choice([0.0, 0.1, 0.25])
    kinds = ["refuse", "fail", "reject", "lose_before", "lose_after"]
    world.api.behaviour = Behaviour(
        **dict.fromkeys(chance.sample(kinds, 2), share), slow_s=chance.choice([0.02, 0.5, 8.0])
    )


def _live_through(world: World, chance: random.Random) -> None:
    end = world.now + chance.uniform(0.5, HORIZON_S)
    while world.now < end and not world.settled:
        world.run_for(chance.expovariate(1.0))
        world.forge()
        hosts = world.alive()
        fault = chance.choice(["crash", "freeze", "cut", "leave", "join", "master", "pause", "none", "none"])
        if fault == "join" and len(hosts) < 7:
            world.join(users=chance.choice([1, 3]))
        elif fault == "master":
            world.crash_master(chance.choice([0.1, 2.0, 6.0, 20.0]))
        elif fault == "pause":
            world.person.pause_for(chance.choice([0.02, 0.5, 3.0, 8.0]))
        elif hosts and fault not in {"join", "none"}:
            _inject_fault(world, chance, fault)


def _inject_fault(world: World, chance: random.Random, fault: str) -> None:
    host = chance.choice(world.alive())
    if fault == "crash":
        world.crash(host)
    elif fault == "leave":
        world.leave(host)
    else:
        getattr(world, fault)(host, chance.choice([0.5, 3.0, 5.5, 9.0]))


def _end_faults(world: World) -> None:
    """End all faults: from here on the run has to end by itself."""
    net = world.network
    net.lose = net.double = 0.0
    net.slow_s = 0.01
    world.api.behaviour = Behaviour()


def start_with(world: World, users: Iterable[int]) -> None:
    """Let workers with so many users each join, and begin the run a second later."""
    for many in users:
        world.join(users=many)
    world.run_for(1.0)
    world.start()


def settle(world: World) -> None:
    """Let the run come to its end by itself, and check what must hold then."""
    world.run_until_settled(GRACE_S)
    world.end()
    world.promises.check_end()
