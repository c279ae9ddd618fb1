"""What is broken in the simulation: the network, and the worker processes in it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from traffic.core.protocol import AckReply, LeaseGrant, Message, Stamp, Welcome
from traffic.core.worker.feed import Record
from traffic.core.worker.link import LeaseClient


@dataclass
class Network:
    """How likely a message is lost or doubled, how long it travels at most, in seconds, and who is cut off."""

    lose: float = 0.0
    double: float = 0.0
    slow_s: float = 0.01
    in_order: bool = True
    cut: set[str] = field(default_factory=set)
    _latest: dict[tuple[str, str], float] = field(default_factory=dict)

    def arrivals(self, sender: str, receiver: str, now: float, chance: random.Random) -> list[float]:
        """Return when each copy of a message that is sent now arrives; none if it is lost."""
        times = []
        for _ in range(1 + (chance.random() < self.double)):
            if {sender, receiver} & self.cut or chance.random() < self.lose:
                continue
            when = now + chance.uniform(0.0001, self.slow_s)
            if self.in_order:
                when = max(when, self._latest.get((sender, receiver), 0.0))
                self._latest[sender, receiver] = when
            times.append(when)
        return times


@dataclass
class Host:
    """One worker process. `skew` is how far its clock is ahead of the master's; no two agree.

    `api_unreachable`: it cannot reach the API. `told_paused`: the newest answer that it has read says that the run is
    paused. `backlog` is what would have happened while it was frozen.
    """

    name: str
    link: LeaseClient
    users: int
    skew: float
    alive: bool = True
    api_unreachable: bool = False
    frozen_until: float = 0.0
    flying: dict[int, Record] = field(default_factory=dict)
    backlog: list[Callable[[], None]] = field(default_factory=list)
    told_paused: bool = False
    stamp: Stamp | None = None  # of the newest answer in a paced run
    _welcomed: int = 0
    _newest: tuple[int, int] = (0, 0)

    def clock(self, now: float) -> float:
        """Return the worker's time at the master's time `now`."""
        return now + self.skew

    def when_awake(self, now: float, act: Callable[[], None]) -> None:
        """Call `act` now or, if the worker is frozen, once it is not any more."""
        if now < self.frozen_until:
            self.backlog.append(act)
        else:
            act()

    def thaw(self, now: float, chance: random.Random) -> None:
        """Do what waits since the worker was frozen, if it is not frozen any more."""
        if self.alive and now >= self.frozen_until:
            backlog, self.backlog = self.backlog, []
            # Anything may come first after a freeze: users, timers or what was received.
            chance.shuffle(backlog)
            for act in backlog:
                act()

    def read(self, message: Message) -> None:
        """Note what the newest message of the newest session says of a pause."""
        if isinstance(message, Welcome):
            self._welcomed = max(self._welcomed, message.session)
        elif isinstance(message, AckReply | LeaseGrant) and message.session == self._welcomed:
            number = (message.session, message.seq)
            if number > self._newest:
                self._newest, self.told_paused = number, isinstance(message, AckReply) and message.paused
                self.stamp = message.stamp
