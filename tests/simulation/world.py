"""A master, its workers and the wire between them, under a virtual clock.

Every message is packed and unpacked as on Locust's wire. `promises` checks after every step what must hold.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgpack

from simulation.api import Api
from simulation.files import dataset
from simulation.forger import Forger
from simulation.host import Host, Network
from simulation.master import Master
from simulation.person import Person
from simulation.promises import BrokenPromiseError, Promises
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.decisions import Decision
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.pacer import Pacer
from traffic.core.master.run import Run
from traffic.core.order import Order
from traffic.core.outcome import RULES, Answer
from traffic.core.pace.config import PaceConfig
from traffic.core.protocol import FROM_MASTER, FROM_WORKER, Ack, Message, RunConfig
from traffic.core.ranges import RangeSet
from traffic.core.results import ALL
from traffic.core.stamp import Stamp
from traffic.core.timings import Request
from traffic.core.worker.feed import Feed, Record
from traffic.core.worker.link import LeaseClient
from traffic.core.worker.result_log import ResultLog
from traffic.dataset.dataset import Dataset

POLL_S, TICK_S = 0.05, 0.25
# How long rows of results are waited for.
ROWS_S = 5.0
# What a worker sees that cannot reach the API.
UNREACHABLE = Answer(0, "unreachable", sent=False)
REQUEST = Request("/", "POST")
KINDS = {kind.type: kind for kind in (*FROM_MASTER, *FROM_WORKER)}


class World:
    """A world that `run_for` advances and the other methods break in between. Both raise BrokenPromiseError.

    `faults` says whether anything was broken by which a record may be sent twice, or a lease lapse.
    """

    def __init__(
        self,
        seed: int,
        records: int = 40,
        policy: str = "at-least-once",
        max_attempts: int = 4,
        pace: PaceConfig | None = None,
        *,
        holds: bool = False,
        brake: int = 0,
    ) -> None:
        self.chance = random.Random(seed)
        self.now = 1000.0
        self.terms = LeaseTerms(lease_records=8, window_records=12) if pace is None else LeaseTerms()
        self.network, self.api = Network(), Api(self.chance)
        self.master = Master(
            self.terms,
            lambda seconds, act: self.at(self.now + seconds, act),
            self._send_by_master,
            random.Random(f"leases {seed}"),
            self.handed_out,
        )
        self.hosts: dict[str, Host] = {}
        self.policy, self.max_attempts, self.records = policy, max_attempts, records
        self.schedule = None if pace is None else pace.schedule(records, seed)
        self.master.begin_pace(pace, seed)
        self.run: Run | None = None
        self.faults = False
        # Whether the run waits if the API asks for it; and whether it can be said when a record may be handed out.
        self.holds, self.strict_about_waits, self._brake = holds, False, brake
        self._forger = Forger(seed)
        # How many attempts of each worker left it and are over.
        self.ended: Counter[str] = Counter()
        # What the master needs for each outcome in an ack, in seconds; and when it will have read what has come.
        self.reading_s = 0.0
        self._read_until = 0.0
        self.promises, self.person = Promises(self), Person(self)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._names = itertools.count(1)
        self.at(self.now + TICK_S, self._tick_master)

    @property
    def settled(self) -> bool:
        """Whether the master has said that every record is settled."""
        return self.master.settled

    def start(self) -> None:
        """Begin a run with the hosts there are."""
        paced = self.schedule is not None
        terms = RunConfig("run", "POST", "/", (0.0, 0.0), self.max_attempts, self.policy, paced=paced, holds=self.holds)
        terms = replace(terms, brake=self._brake, results=ALL)
        data = dataset(self.records)
        self.run = Run.of(terms, data, Order(data.records, self.chance.randrange(1 << 32), "random"))
        if self.schedule is not None:
            self.run.pacer = Pacer(self.schedule)
        self.run.handed_out = self.handed_out()
        self.carry_out(self.master.coordinator.start(self.run, [host.name for host in self.alive()], self.now))

    def handed_out(self) -> HandedOut:
        """Return the times of a run's records, of which none has been handed out yet."""
        return HandedOut(Stamp("at", "ms"), self.records, lambda: round(1000 * self.now))

    def close(self) -> None:
        """Close the file."""
        if self.run is not None:
            assert isinstance(self.run.dataset, Dataset)
            self.run.dataset.close()

    def join(self, users: int = 2) -> Host:
        """Start a worker process."""
        name = f"w{next(self._names)}"
        feed = Feed(random.Random(self.chance.random()), lambda run: ResultLog(run, name, bytes))
        host = Host(name, LeaseClient(feed, self.terms), users, self.chance.uniform(-500, 500))
        self.hosts[host.name] = host
        self._poll(host)
        return host

    def alive(self) -> list[Host]:
        """Return the worker processes that run, frozen ones included."""
        return [host for host in self.hosts.values() if host.alive]

    def not_leaving(self) -> list[Host]:
        """Return those of them that were not asked to leave."""
        return [host for host in self.alive() if not host.link.leaving]

    def crash(self, host: Host) -> None:
        """Kill -9 of a worker: what it had in hand is lost."""
        self.faults = True
        host.alive = False
        host.flying.clear()

    def freeze(self, host: Host, seconds: float) -> None:
        """SIGSTOP of a worker, and SIGCONT after a while; messages to it wait meanwhile."""
        self.faults = True
        host.frozen_until = self.now + seconds
        self.at(host.frozen_until, lambda: host.thaw(self.now, self.chance))

    def forge(self) -> None:
        """Let a peer that is no worker report what became of records."""
        if self.run is not None:
            sender, ack = self._forger.forge(self.run, self.master.coordinator)
            self._arrive(sender, "master", ack.type, msgpack.packb(ack.to_wire()))

    def cut(self, host: Host, seconds: float) -> None:
        """Lose every message from and to it for a while."""
        self.faults = True
        self.network.cut.add(host.name)
        self.at(self.now + seconds, lambda: self.network.cut.discard(host.name))

    def crash_master(self, seconds: float) -> None:
        """Kill -9 of the master, and a new one on its journal after a while."""
        if self.master.up and not self.settled:
            self.faults = True
            self.master.crash()
            self.at(self.now + seconds, self._restart_master)

    def leave(self, host: Host) -> None:
        """SIGTERM of a worker: it reports what it has, as the adapter does, and exits."""
        host.link.leaving = True
        host.link.feed.close()
        self._depart(host, self.now + 10.0)

    def end(self) -> None:
        """Close the run, of which every record is settled; wait for rows of results before, as the finisher does."""
        deadline = self.now + ROWS_S
        while (
            self.run is not None and self.now < deadline and self.run.results.awaits(self.master.coordinator.sessions)
        ):
            self.run_for(0.1)
        self.carry_out(self.master.coordinator.close())
        self.run_for(1.0)  # for the last outcomes to get onto the disk

    def resend(self, *, restarted: bool) -> None:
        """Have the dead letters of the run, which has ended, sent again, by the same master or a new one."""
        assert self.run
        self.faults = self.promises.master_acted = True
        dead = self.run.ledger.dead
        self.run, reopened = self.master.resend(self.run, self.now, restarted=restarted)
        self.promises.note_reopened(reopened, {position: dead[position] for position in reopened.positions.members()})
        for key in (f"run-{index}" for index in self.run.order.indexes(reopened.positions.array()).tolist()):
            if self.policy == "at-most-once":
                self.promises.promise(key not in self.api.stored, f"P4: {key} is stored, and is to be sent again")
                self.api.acted_on[key] = 0

    def run_for(self, seconds: float) -> None:
        """Let the world go on, and check the promises after everything that happens."""
        until = self.now + seconds
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
            self.promises.check()
        self.now = until

    def run_until_settled(self, within: float) -> None:
        """Check P9: with a worker alive and the faults over, the run ends by itself."""
        until = self.now + within
        while not self.settled and self.now < until:
            self.run_for(0.5)
        if not self.settled:
            assert self.run
            raise BrokenPromiseError(f"P9: not settled after {within} s; counts {self.run.ledger.counts}")

    def run_until_master_is_up(self) -> None:
        """Let the world go on until it has a master."""
        while not self.master.up:
            self.run_for(0.1)

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Have `act` called at a time."""
        heapq.heappush(self._agenda, (when, next(self._ticket), act))

    def _tick_master(self) -> None:
        if self.master.up:
            self.carry_out(self.master.coordinator.expire(self.now))
        self.at(self.now + TICK_S, self._tick_master)

    def _restart_master(self) -> None:
        assert self.run
        self.run = self.master.restart(self.run, self.now)
        self.promises.note_restart()
        if self.master.coordinator.paused and not self.master.wanted_paused:
            self.person.unpause_later(after=0.5)  # the one before died too early; the person sees it

    def carry_out(self, decisions: list[Decision]) -> None:
        """Have the master carry out decisions."""
        self.promises.master_acted |= bool(decisions)
        self.master.carry_out(decisions)

    def _send_by_master(self, worker: str, message: Message) -> None:
        stamped = self.master.coordinator.stamped(worker, message, self.now)
        self.master.note_sent(worker, stamped)
        self._send("master", worker, stamped)

    def _send(self, sender: str, receiver: str, message: Message) -> None:
        data = msgpack.packb(message.to_wire())
        for when in self.network.arrivals(sender, receiver, self.now, self.chance):
            self.at(when, lambda: self._arrive(sender, receiver, message.type, data))

    def _arrive(self, sender: str, receiver: str, kind: str, data: bytes) -> None:
        message: Any = KINDS[kind].from_wire(msgpack.unpackb(data))
        if receiver == "master":
            self._read_by_master(sender, message)
            return
        host = self.hosts.get(receiver)
        if host is not None and host.alive:
            host.when_awake(self.now, lambda: self._deliver(host, message))

    def _read_by_master(self, sender: str, message: Message) -> None:
        """Let the master read a message after those before it; if that takes time, the next ones wait."""

        def read() -> None:
            self.promises.master_acted = True
            self.master.receive(sender, message, self.now)

        if not self.reading_s:
            read()
            return
        outcomes = RangeSet(message.delivered).count if isinstance(message, Ack) else 0
        for failure in message.failed if isinstance(message, Ack) else ():
            outcomes += RangeSet(failure.positions).count
        self._read_until = max(self.now, self._read_until) + outcomes * self.reading_s
        self.at(self._read_until, read)

    def _deliver(self, host: Host, message: Message) -> None:
        host.link.receive(message, host.clock(self.now))
        host.read(message)

    def _poll(self, host: Host) -> None:
        if not host.alive:
            return
        if self.now >= host.frozen_until:
            self._step(host)
        self.at(self.now + POLL_S * self.chance.uniform(0.5, 1.5), lambda: self._poll(host))

    def _step(self, host: Host) -> None:
        """Let a worker's users take records and its lease client send what is due, in any order."""
        acts = [lambda: self._take_records(host), lambda: self._poll_link(host)]
        self.chance.shuffle(acts)
        for act in acts:
            act()

    def _take_records(self, host: Host) -> None:
        host.link.users = host.users
        while len(host.flying) < host.users:
            taken = host.link.feed.take_batch(host.clock(self.now), 1)
            if not taken:
                return
            (record,) = taken
            self.promises.check_taken(host, record)
            self.promises.check_pace(host, record)
            self.promises.check_wait(host, record)
            host.flying[id(record)] = record
            record.sent, record.request = host.clock(self.now), REQUEST
            answer, after = (
                (UNREACHABLE, self.chance.uniform(0.001, 0.1))
                if host.api_unreachable
                else self.api.post(record.key, self.now)
            )
            # If nothing leaves a worker, or the API refuses a record for good, nothing is sent twice (P3).
            self.faults |= answer.status not in {201, 404} and not host.api_unreachable
            answer = answer if answer.status else replace(answer, waited=after)
            self.at(
                self.now + after, partial(self._when_awake, host, partial(self._record_outcome, host, record, answer))
            )

    def _when_awake(self, host: Host, act: Callable[[], None]) -> None:
        host.when_awake(self.now, act)

    def _record_outcome(self, host: Host, record: Record, answer: Answer) -> None:
        if host.alive and host.flying.pop(id(record), None) is not None:
            outcome = RULES[self.policy].judge(answer)  # type: ignore[index]
            self.promises.note_answer(record, answer)
            self.ended[host.name] += answer.sent
            host.link.feed.record_outcome(record, answer, outcome, host.clock(self.now))

    def _poll_link(self, host: Host) -> None:
        self._send_by_worker(host, host.link.poll(host.clock(self.now)))

    def _send_by_worker(self, host: Host, message: Message | None) -> None:
        """Send a message, and the rows of results before it, as the adapter does."""
        for one in [*host.link.result_batches(host.clock(self.now), message), *filter(None, [message])]:
            self._send(host.name, "master", one)

    def _depart(self, host: Host, until: float) -> None:
        if not host.alive:
            return
        if self.now >= host.frozen_until and not host.flying:
            self._send_by_worker(host, host.link.flush(host.clock(self.now)))
            if host.link.all_confirmed or self.now >= until:
                self.promises.promise(
                    self.faults or host.link.all_confirmed, f"{host.name} leaves with records that it keeps"
                )
                host.alive = False
                return
        self.at(self.now + 0.1, lambda: self._depart(host, until))
