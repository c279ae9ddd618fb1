"""Workers that merely count: they take leases and ack them over Locust's real wire, and send nothing anywhere.

    python bench/counting_workers.py MASTER_PORT WORKERS COUNTS SLOT [--rate RECORDS_A_SECOND_OF_EACH]

Started by bench/capacity.py. Each worker is a ZMQ client of its own with the product's Link; only the users are not
there, and the feed books whole ranges where they would take records one by one. COUNTS is a file of int64, one slot for
each process, in which this one's count stands.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from locust import __version__
from locust.rpc import Message as LocustMessage
from locust.rpc.zmqrpc import Client
from typing_extensions import override

from traffic.core.lease_terms import LeaseTerms
from traffic.core.protocol import FROM_MASTER, Failure, LeaseGrant, Message, RunConfig
from traffic.core.ranges import RangeSet
from traffic.core.worker.feed import Feed
from traffic.core.worker.link import LeaseClient
from traffic.locust_patches.channel import close_channel
from traffic.master.finish import refuse_to_start

TICK_S = 0.02
HEARTBEAT_S = 1.0
ALL = 1 << 62


class CountingFeed(Feed):
    """A feed whose records count as delivered, in whole ranges, when `consume` says so."""

    def __init__(self) -> None:
        super().__init__(random.Random())
        self._ready, self._done = RangeSet(), RangeSet()

    @property
    @override
    def waiting(self) -> int:
        """Records that could be consumed."""
        return self._ready.count

    @property
    @override
    def unreported(self) -> int:
        """How many outcomes no ack has carried yet."""
        return self._done.count

    @override
    def begin(self, session: int, run: RunConfig | None) -> None:
        """As the feed does."""
        if self.run is None or run is None or run.run != self.run.run:
            self._done = RangeSet()
        super().begin(session, run)

    @override
    def add_lease(self, grant: LeaseGrant, now: float) -> None:
        """Take a lease in, its bodies read as a feed reads them, and let go of."""
        grant.index_list()
        positions = RangeSet(grant.positions)
        self._held.update(positions)
        self._ready.update(positions)

    def consume(self, most: int, now: float) -> int:
        """Count up to `most` records as delivered; how many."""
        if self.closed or now >= self.deadline:
            return 0
        taken = self._ready.head(most)
        self._ready.subtract(taken)
        self._done.update(taken)
        self.counts.taken += taken.count
        return taken.count

    @override
    def drain_outcomes(self) -> tuple[RangeSet, tuple[Failure, ...]]:
        """Remove and return the outcomes since the last ack."""
        done, self._done = self._done, RangeSet()
        self._held.subtract(done)
        return done, ()

    @override
    def restore(self, delivered: RangeSet, failed: Any) -> None:
        """Take outcomes back that nobody confirmed."""
        self._done.update(delivered)

    @override
    def _drop_waiting(self) -> None:
        self._held.subtract(self._ready)
        self._ready = RangeSet()


class CountingWorker:
    """One worker: what Locust's master expects of one, and the product's side of the protocol."""

    def __init__(self, name: str, port: int, rate: float, counts: "np.memmap[Any, Any]", slot: int) -> None:
        self.name, self._rate, self._counts, self._slot = name, rate, counts, slot
        self._client = Client("127.0.0.1", port, name)
        self._feed = CountingFeed()
        self._link = LeaseClient(self._feed, LeaseTerms())
        self._kinds = {kind.type: kind for kind in FROM_MASTER}
        self._consumed_at, self._gone = time.monotonic(), False

    def serve(self) -> None:
        """Be a worker until the master says to quit."""
        self._say("client_ready", __version__)
        greenlets = [gevent.spawn(self._beat), gevent.spawn(self._tick)]
        while not self._gone:
            self._handle(self._client.recv())
        gevent.killall(greenlets)

    def _say(self, kind: str, data: Any) -> None:
        self._client.send(LocustMessage(kind, data, self.name))

    def _beat(self) -> None:
        while True:
            self._say("heartbeat", {"state": "running" if self._link.users else "ready", "current_cpu_usage": 0})
            gevent.sleep(HEARTBEAT_S)

    def _tick(self) -> None:
        while True:
            self._move()
            gevent.sleep(TICK_S)

    def _handle(self, message: Any) -> None:
        if message.type in self._kinds:
            self._link.receive(self._kinds[message.type].from_wire(message.data), time.monotonic())
            self._move()
        elif message.type == "spawn":
            counts = message.data["user_classes_count"]
            # As many as a worker at full speed would have, whatever Locust thinks.
            self._link.users = 50
            self._say("spawning", None)
            self._say("spawning_complete", {"user_classes_count": counts, "user_count": sum(counts.values())})
        elif message.type == "stop":
            self._link.users = 0
            self._say("client_stopped", None)
            self._say("client_ready", __version__)
        self._gone = message.type == "quit"

    def _move(self) -> None:
        """Consume what is due, and say what is to be said."""
        now = time.monotonic()
        due = round(self._rate * (now - self._consumed_at)) if self._rate else ALL
        if due:
            self._counts[self._slot] += self._feed.consume(due, now)
            self._consumed_at = now
        said: Message | None = self._link.poll(now)
        if said is not None:
            self._say(said.type, said.to_wire())


def main() -> None:
    """Run the workers of this process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("workers", type=int)
    parser.add_argument("counts", type=Path)
    parser.add_argument("slot", type=int)
    parser.add_argument("--rate", type=float, default=0, help="of each worker; 0: as fast as the master deals")
    asked = parser.parse_args()
    close_channel(refuse_to_start)  # if there is a secret, the master has it, too
    counts: np.memmap[Any, Any] = np.memmap(asked.counts, np.int64, "r+")
    names = [f"counting-{asked.slot}-{nth}" for nth in range(asked.workers)]
    gevent.joinall(
        [gevent.spawn(CountingWorker(name, asked.port, asked.rate, counts, asked.slot).serve) for name in names],
        raise_error=True,
    )


if __name__ == "__main__":
    main()
