"""One seed, one schedule: which faults happen when. The same seed makes the same world, to the last message."""

import random

from simulation.api import Weather
from simulation.world import World

HORIZON_S = 12.0
# The longest an honest run may still take once the faults are over: leases lapse, backoffs end.
GRACE_S = 240.0
# The share of runs that a person stops, and of those whose dead letters are sent again, some of them several times.
STOPPED = 0.15
RESENT = 0.5
MOST_RESENT = 3
# The share of runs that a person pauses once the faults are over.
STILL = 0.15
# The share of runs that have a worker which cannot reach the API, and of those whose API answers nothing for a while.
BLIND = 0.3
MUTE = 0.06
# The share of runs whose master dies while a worker is cut off, and is back at once.
ALONE = 0.1
# Of so many schedules one is without faults, in which the API says no to much, and the master is busy; and one without
# faults, in which workers are sent away.
KINDS = 8
BUSY, LEAVING = 7, 1
# By then whoever was frozen or cut off is back, and so is the master.
BACK_S = 30.0


def run_schedule(seed: int) -> World:
    """Live through the schedule of `seed`; the world at its end. BrokenPromiseError where a promise was broken."""
    chance, more = random.Random(seed), random.Random(f"more {seed}")
    if seed % KINDS in {BUSY, LEAVING}:
        return _run_busy(seed, chance) if seed % KINDS == BUSY else _run_leaving(seed, chance)
    policy = "at-most-once" if chance.random() < 0.2 else "at-least-once"
    world = World(seed, records=chance.choice([1, 7, 40, 60]), policy=policy, max_attempts=chance.choice([1, 3, 6]))
    try:
        _live(world, chance, more)
    finally:
        world.close()
    return world


def _run_busy(seed: int, chance: random.Random) -> World:
    """No fault, and a master that takes most of a second to read all that its workers can have to say: none lapses."""
    world = World(seed, records=chance.choice([60, 200]))
    try:
        hosts = [world.join(users=chance.choice([2, 5])) for _ in range(chance.randint(1, 5))]
        world.api.weather = Weather(reject=chance.choice([0.5, 1.0]))
        world.run_for(1.0)
        most = len(hosts) * (world.terms.window_records + world.terms.lease_records)
        world.reading_s = chance.uniform(0.5, 0.9) / most
        world.start()
        world.run_until_settled(GRACE_S)
        world.end()
        world.check_end()
    finally:
        world.close()
    return world


def _run_leaving(seed: int, chance: random.Random) -> World:
    """No fault: one worker after the other is sent away, with leases on their way to it, and another comes."""
    world = World(seed, records=100, policy=chance.choice(["at-most-once", "at-least-once"]))
    world.network.slow_s = chance.choice([0.05, 0.2, 0.5])
    try:
        for _ in range(chance.randint(2, 4)):
            world.join(users=chance.choice([2, 5]))
        world.run_for(1.0)
        world.start()
        for _ in range(6):
            world.run_for(chance.uniform(0.0, 0.5))
            world.leave(chance.choice(world.staying()))
            world.join(users=chance.choice([2, 5]))
        world.run_until_settled(GRACE_S)
        world.end()
        world.check_end()
    finally:
        world.close()
    return world


def _live(world: World, chance: random.Random, more: random.Random) -> None:
    """`more` is for what was thought of later: the schedules from before stay as they were."""
    for _ in range(chance.randint(1, 5)):
        world.join(users=chance.choice([0, 1, 2, 5]))
    if more.random() < BLIND:
        more.choice(world.alive()).blind = True
    if chance.random() < 0.8:
        _make_hostile(world, chance)
    world.run_for(chance.choice([0.0, 0.2, 1.0]))
    world.start()
    if more.random() < ALONE:
        world.api.weather = Weather(slow_s=6.0)  # so that it has records for as long as its lease lasts
        world.run_for(more.uniform(0.3, 1.0))
        world.cut(more.choice(world.alive()), 9.0)
        world.crash_master(0.1)
    _live_to_the_end(world, chance, more)
    for _ in range(MOST_RESENT):
        if chance.random() >= RESENT:
            return
        world.run_for(chance.choice([0.0, 0.5, 8.0]))
        if chance.random() < 0.5:
            _make_hostile(world, chance)
        world.resend(restarted=chance.random() < 0.5)
        _live_to_the_end(world, chance, more)


def _live_to_the_end(world: World, chance: random.Random, more: random.Random) -> None:
    """Until all is settled, or a person stops the run."""
    _live_through(world, chance)
    if chance.random() < STOPPED and not world.settled:
        world.stop(patience=chance.choice([0.0, 2.0, 13.0]))
        world.run_for(1.0)
        world.check_stopped()
        return
    _calm(world)
    world.join(users=3)
    if chance.random() < STILL and not world.settled:
        world.check_still(after=BACK_S, seconds=20.0)
    if more.random() < MUTE and not world.settled:
        world.check_mute(within=BACK_S, seconds=20.0)
    world.run_until_settled(GRACE_S)
    world.end()
    world.check_end()


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
    world.api.weather = Weather(**dict.fromkeys(chance.sample(kinds, 2), share), slow_s=chance.choice([0.02, 0.5, 8.0]))


def _live_through(world: World, chance: random.Random) -> None:
    end = world.now + chance.uniform(0.5, HORIZON_S)
    while world.now < end and not world.settled:
        world.run_for(chance.expovariate(1.0))
        world.forge()
        hosts = world.alive()
        act = chance.choice(["crash", "freeze", "cut", "leave", "join", "master", "pause", "none", "none"])
        if act == "join" and len(hosts) < 7:
            world.join(users=chance.choice([1, 3]))
        elif act == "master":
            world.crash_master(chance.choice([0.1, 2.0, 6.0, 20.0]))
        elif act == "pause":
            world.pause_for(chance.choice([0.02, 0.5, 3.0, 8.0]))
        elif hosts and act not in {"join", "none"}:
            _hurt(world, chance, act)


def _hurt(world: World, chance: random.Random, act: str) -> None:
    host = chance.choice(world.alive())
    if act == "crash":
        world.crash(host)
    elif act == "leave":
        world.leave(host)
    else:
        getattr(world, act)(host, chance.choice([0.5, 3.0, 5.5, 9.0]))


def _calm(world: World) -> None:
    """The faults are over: from here on the run has to end by itself."""
    net = world.network
    net.lose = net.double = 0.0
    net.slow_s = 0.01
    world.api.weather = Weather()
