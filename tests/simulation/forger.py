"""Peers that are no workers: they say no hello, do not listen, and report what became of records."""

import random

from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.run import Run
from traffic.core.protocol import Ack, Failure


class Forger:
    """Makes acks that no worker sent. It draws from a generator of its own, so a world without it stays as it is."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"forging {seed}")

    def forge(self, run: Run, coordinator: LeaseCoordinator) -> tuple[str, Ack]:
        """Return a sender's name and an ack that reports outcomes of `run`."""
        chance, records = self._chance, run.order.records
        start = chance.randrange(records)
        places = ((start, chance.randint(start + 1, records)),)
        delivered = chance.random() < 0.5
        failures = () if delivered else (Failure(places, chance.random() < 0.5, 1, 404, "forged"),)
        ack = Ack(
            session=chance.choice([0, 999_983, *(session.number for session in coordinator.sessions.values())]),
            seq=chance.randint(1, 99),
            heard=chance.randint(0, 99),
            run=run.config.run,
            delivered=places if delivered else (),
            failed=failures,
            holds=(),
            wants=8,
            attempts=99,
            resent=9,
            users=5,
            trouble="forged",
            leaving=chance.random() < 0.2,
        )
        return f"forger-{chance.randint(1, 3)}", ack
