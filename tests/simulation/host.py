"""What is hurt in the simulation: the network, and the worker processes at it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from traffic.core.protocol import AckReply, LeaseGrant, Message, Welcome
from traffic.core.worker.feed import Record
from traffic.core.worker.link import LeaseClient


@dataclass
class Network:
    """How likely a message is lost or doubled, and how long it travels at most, in seconds; who is cut off."""

    lose: float = 0.0
    double: float = 0.0
    slow_s: float = 0.01
    in_order: bool = True
    cut: set[str] = field(default_factory=set)


@dataclass
class Host:
    """One worker process. `skew` is how far its clock is ahead of the master's; no two agree.

    `blind`: it cannot reach the API. `still`: by the newest answer that it has read, a person pauses the run.
    """

    name: str
    link: LeaseClient
    users: int
    skew: float
    alive: bool = True
    blind: bool = False
    frozen_until: float = 0.0
    flying: dict[int, Record] = field(default_factory=dict)
    backlog: list[Callable[[], None]] = field(default_factory=list)
    still: bool = False
    _welcomed: int = 0
    _newest: tuple[int, int] = (0, 0)

    def read(self, message: Message) -> None:
        """Note what a message says of a pause: it counts in the session of the newest welcome, and no older does."""
        if isinstance(message, Welcome):
            self._welcomed = max(self._welcomed, message.session)
        elif isinstance(message, AckReply | LeaseGrant) and message.session == self._welcomed:
            number = (message.session, message.seq)
            if number > self._newest:
                self._newest, self.still = number, isinstance(message, AckReply) and message.paused
