"""A master, its workers and the wire between them, under a virtual clock.

Every message is packed and unpacked as on Locust's wire. What the world checks at every step is written down from
the promises P1 to P6, P8 and P9, from what a pause is, and from who can know what became of a record, not from the
code.
"""

import heapq
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgpack

from simulation.api import TIMEOUT_S, Api
from simulation.host import Host, Network
from simulation.master import Master
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.decisions import Decision, Reopened
from traffic.core.master.invariants import check_ledger
from traffic.core.master.run import Run
from traffic.core.order import Order
from traffic.core.outcome import RULES, Answer
from traffic.core.protocol import FROM_MASTER, FROM_WORKER, Ack, Failure, Message, RunConfig
from traffic.core.ranges import RangeSet
from traffic.core.record_state import SETTLED, DeadLetter, RecordState
from traffic.core.worker.feed import Feed, Record
from traffic.core.worker.link import LeaseClient
from traffic.dataset.dataset import Dataset

POLL_S, TICK_S = 0.05, 0.25
# What a worker sees that cannot reach the API.
BLIND = Answer(0, "unreachable", sent=False)
KINDS = {kind.type: kind for kind in (*FROM_MASTER, *FROM_WORKER)}
_FOLDER = Path(mkdtemp(prefix="traffic-simulation-"))


class BrokenPromiseError(AssertionError):
    """The run did what a promise rules out."""


def dataset(records: int) -> Dataset:
    """A file of that many small records."""
    path = _FOLDER / f"{os.getpid()}-{records}.json"
    if not path.exists():
        path.write_text("[" + ",".join(f'{{"n":{n}}}' for n in range(records)) + "]")
    return Dataset.open(path)


class World:
    """Advance it with `run_for`; break things in between with the other methods. Raises BrokenPromiseError."""

    def __init__(self, seed: int, records: int = 40, policy: str = "at-least-once", max_attempts: int = 4) -> None:
        self.chance = random.Random(seed)
        self.now = 1000.0
        self.terms = LeaseTerms(lease_records=8, window_records=12)
        self.network, self.api = Network(), Api(self.chance)
        self.master = Master(
            self.terms,
            lambda seconds, act: self._at(self.now + seconds, act),
            lambda worker, message: self._send("master", worker, message),
            random.Random(f"leases {seed}"),
        )
        self.hosts: dict[str, Host] = {}
        self.policy, self.max_attempts, self.records = policy, max_attempts, records
        self.run: Run | None = None
        self.faults = False
        # A random number generator of its own, so that a world without forgers is what it would be otherwise.
        self._forging = random.Random(f"forging {seed}")
        # What the master needs for each outcome in an ack, in seconds; and when it will have read what has come.
        self.reading_s = 0.0
        self._read_until = 0.0
        # The latest reopening of dead letters, and what these had been.
        self.reopened = Reopened(RangeSet())
        self.former: dict[int, DeadLetter] = {}
        self._master_acted = False
        self._presses = 0
        self._seen_delivered: set[int] = set()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._arrival: dict[tuple[str, str], float] = {}
        self._names = itertools.count(1)
        self._at(self.now + TICK_S, self._tick_master)

    @property
    def settled(self) -> bool:
        """Whether the master has said that every record is settled."""
        return self.master.settled

    # What happens.

    def start(self) -> None:
        """Begin a run with the hosts there are."""
        terms = RunConfig("run", "POST", "/", (0.0, 0.0), self.max_attempts, self.policy)
        data = dataset(self.records)
        self.run = Run.of(terms, data, Order(data.records, self.chance.randrange(1 << 32), "random"))
        self._carry_out(self.master.coordinator.start(self.run, [host.name for host in self.alive()], self.now))

    def close(self) -> None:
        """Let go of the file."""
        if self.run is not None:
            assert isinstance(self.run.dataset, Dataset)
            self.run.dataset.close()

    def join(self, users: int = 2) -> Host:
        """A new worker process comes up."""
        feed = Feed(random.Random(self.chance.random()))
        host = Host(f"w{next(self._names)}", LeaseClient(feed, self.terms), users, self.chance.uniform(-500, 500))
        self.hosts[host.name] = host
        self._poll(host)
        return host

    def alive(self) -> list[Host]:
        """The worker processes that run, frozen ones included."""
        return [host for host in self.hosts.values() if host.alive]

    def staying(self) -> list[Host]:
        """Those of them that nobody has sent away."""
        return [host for host in self.alive() if not host.link.leaving]

    def crash(self, host: Host) -> None:
        """Kill -9: what it had in hand is gone with it."""
        self.faults = True
        host.alive = False
        host.flying.clear()

    def freeze(self, host: Host, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while; what was sent to it waits meanwhile."""
        self.faults = True
        host.frozen_until = self.now + seconds
        self._at(host.frozen_until, lambda: self._thaw(host))

    def forge(self) -> None:
        """A peer that is no worker, says no hello and does not listen, says what became of records."""
        if self.run is None:
            return
        chance, run = self._forging, self.run
        start = chance.randrange(self.records)
        places = ((start, chance.randint(start + 1, self.records)),)
        delivered = chance.random() < 0.5
        failures = () if delivered else (Failure(places, chance.random() < 0.5, 1, 404, "forged"),)
        ack = Ack(
            session=chance.choice(
                [0, 999_983, *(session.number for session in self.master.coordinator.sessions.values())]
            ),
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
        self._arrive(f"forger-{chance.randint(1, 3)}", "master", ack.type, msgpack.packb(ack.to_wire()))

    def cut(self, host: Host, seconds: float) -> None:
        """Lose every message from and to it for a while."""
        self.faults = True
        self.network.cut.add(host.name)
        self._at(self.now + seconds, lambda: self.network.cut.discard(host.name))

    def crash_master(self, seconds: float) -> None:
        """Kill -9 of the master, and a new one on its journal after a while."""
        if self.master.up and not self.settled:
            self.faults = True
            self.master.crash()
            self._at(self.now + seconds, self._restart_master)

    def pause_for(self, seconds: float) -> None:
        """A person pauses the run, if there is a master to hear it, and lets it go on after a while."""
        if self.master.up and not self.settled:
            self._press(paused=True)
            self._unpause(after=seconds)

    def check_still(self, after: float, seconds: float) -> None:
        """A person pauses the run: from `after` seconds later on nothing moves for `seconds`; then it goes on."""
        while not self.master.up:
            self.run_for(0.1)
        assert self.run
        self._press(paused=True)
        self.run_for(after)
        sent, leased = self.api.posts.total(), list(self.run.ledger.positions(RecordState.LEASED))
        self.run_for(seconds)
        self._promise(self.api.posts.total() == sent, "the pause: records are sent")
        self._promise(
            list(self.run.ledger.positions(RecordState.LEASED)) == leased, "the pause: workers lose what they hold"
        )
        self._press(paused=False)

    def check_mute(self, within: float, seconds: float) -> None:
        """The API answers nothing: `within` seconds the run says so, and from then on workers only probe it."""
        while not self.master.up:
            self.run_for(0.1)
        assert self.run
        self.faults = self.api.mute = True
        self.run_for(within)
        if self.run.ledger.unsettled and any(host.users for host in self.alive()):
            self._promise(bool(self.master.coordinator.stalled), "an API that answers nothing goes unnoticed")
        sent = self.api.posts.total()
        self.run_for(seconds)
        most = len(self.alive()) * (seconds / TIMEOUT_S + 1)
        self._promise(self.api.posts.total() - sent <= most, "an API that answers nothing gets more than probes")
        self.api.mute = False

    def leave(self, host: Host) -> None:
        """SIGTERM: the worker hands in what it has, as the adapter does, and exits."""
        host.link.leaving = True
        host.link.feed.close()
        self._depart(host, self.now + 10.0)

    def stop(self, patience: float) -> None:
        """A person stops the run: last acks are waited for so long, then it is closed."""
        while not self.master.up:
            self.run_for(0.1)
        self._carry_out(self.master.coordinator.stop())
        until = self.now + patience
        while not self.master.coordinator.nothing_leased and self.now < until:
            self.run_for(0.1)
        self._carry_out(self.master.coordinator.close())
        self.check()

    def end(self) -> None:
        """Every record is settled: the master closes the run."""
        self._carry_out(self.master.coordinator.close())
        self.run_for(1.0)  # for the last outcomes to get onto the disk

    def resend(self, *, restarted: bool) -> None:
        """Have the dead letters of the run, which has ended, sent again, by the same master or a new one."""
        assert self.run
        self.faults = self._master_acted = True
        dead = self.run.ledger.dead
        self.run, self.reopened = self.master.resend(self.run, self.now, restarted=restarted)
        self.former = {position: dead[position] for position in self.reopened.positions.members()}
        for key in (f"run-{index}" for index in self.run.order.indexes(self.reopened.positions.array()).tolist()):
            if self.policy == "at-most-once":
                self._promise(key not in self.api.stored, f"P4: {key} is stored, and is to be sent again")
                self.api.acted_on[key] = 0

    def run_for(self, seconds: float) -> None:
        """Let the world go on, checking the promises after everything that happens."""
        until = self.now + seconds
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
            self.check()
        self.now = until

    def run_until_settled(self, within: float) -> None:
        """P9: with a worker alive and the faults over, the run ends by itself."""
        until = self.now + within
        while not self.settled and self.now < until:
            self.run_for(0.5)
        if not self.settled:
            assert self.run
            raise BrokenPromiseError(f"P9: not settled after {within} s; counts {self.run.ledger.counts}")

    # What must hold.

    def check(self) -> None:
        """Every promise that can be seen from outside at any moment."""
        if self.run is None:
            return
        if self._master_acted and self.master.up:
            self._master_acted = False
            check_ledger(self.run.ledger)
            self._check_delivered()
            self._check_journaled()
            self._check_answers()
            self._check_words()
        for host in self.alive():
            in_hand = host.link.feed.waiting + host.link.feed.in_hand
            most = self.terms.window_records + self.terms.lease_records + host.users
            self._promise(in_hand <= most, f"P8: {host.name} holds {in_hand} records")

    def check_end(self) -> None:
        """What the report may say at the end, held against the API's own books."""
        assert self.run
        counts, stored = self.run.ledger.counts, len(self.api.stored)
        self._promise(sum(counts[RecordState.DELIVERED :]) == self.records, "P2: the outcomes do not add up")
        self._promise(counts[RecordState.DELIVERED] <= stored <= self.records, "P2: delivered more than was stored")
        if not self.faults:
            self._promise(set(self.api.posts.values()) <= {1}, f"P3: {self.api.posts.most_common(3)}")
            self._promise(not self.master.lapsed, f"no lapse without a fault: {self.master.lapsed[:1]}")
            attempts, resent = sum(self.run.attempts.values()), sum(self.run.resent.values())
            self._promise((attempts, resent) == (self.records, 0), f"P3: {attempts} attempts, {resent} of them again")
        if self.policy == "at-most-once":
            self._promise(set(self.api.acted_on.values()) <= {0, 1}, "P4: sent twice at-most-once")
        self._check_reopened(settled=True)

    def check_stopped(self) -> None:
        """P2 of a run that was stopped: what it calls unsent was never stored, and nothing is leased for ever."""
        assert self.run
        ledger = self.run.ledger
        self._promise(ledger.counts[RecordState.LEASED] == 0, "P2: a closed run has leases")
        unsent = self.run.order.indexes(ledger.positions(RecordState.PENDING).array()).tolist()
        lies = [index for index in unsent if f"run-{index}" in self.api.stored]
        self._promise(not lies, f"P2: called unsent, and stored: {lies}")
        self._check_reopened(settled=False)

    def _check_reopened(self, *, settled: bool) -> None:
        """A dead letter that was to be sent again was leased again; where the run was stopped before, it is as it was.

        Unless a worker came back meanwhile that had seen it delivered.
        """
        assert self.run
        ledger = self.run.ledger
        leased = self.master.leased_since(self.reopened) if self.former else RangeSet()
        for position, letter in self.former.items():
            state = RecordState(int(ledger.states[position]))
            self._promise(state in SETTLED, f"P2: position {position} was a dead letter, and is {state.name.lower()}")
            if position in leased or state is RecordState.DELIVERED:
                continue
            self._promise(not settled, f"position {position} was to be sent again, and nobody had it")
            self._promise(ledger.dead[position] == letter, f"position {position} was not sent, and is another letter")

    def _check_answers(self) -> None:
        """While a person pauses the run each answer of the master's says so, and no other."""
        wrong = self.master.contradictions
        self._promise(not wrong, f"the pause: {wrong[:1]} says something else than the master knows")

    def _check_words(self) -> None:
        """Who is no worker takes no part, counts nothing, and has no say in what became of a record."""
        assert self.run
        ledger = self.run.ledger
        named = {*ledger.assignment.remainders, *ledger.shares, *self.run.attempts, *self.master.coordinator.sessions}
        named |= {letter.worker for letter in ledger.dead.values()}
        self._promise(named <= set(self.hosts), f"forged: {named - set(self.hosts)} takes part")

    def _check_delivered(self) -> None:
        assert self.run
        delivered = set(self.run.ledger.positions(RecordState.DELIVERED).members())
        self._promise(delivered >= self._seen_delivered, "a delivered record was undelivered")
        fresh = sorted(delivered - self._seen_delivered)
        for index in self.run.order.indexes(fresh).tolist():
            self._promise(f"run-{index}" in self.api.stored, f"P2: record {index} delivered, but never stored")
        self._seen_delivered = delivered

    def _check_journaled(self) -> None:
        """P6: what a worker was told to be booked is booked, whatever became of the master since."""
        assert self.run
        lost = self.master.told_delivered.minus(self.run.ledger.positions(RecordState.DELIVERED))
        self._promise(not lost, f"P6: {lost} was confirmed as delivered, and is so no more")
        lost = self.master.told_settled.minus(self.run.ledger.positions(*SETTLED))
        self._promise(not lost, f"P6: the outcome of {lost} was confirmed, and is lost")

    def _check_fence(self, host: Host, record: Record) -> None:
        """P5: a record is handed out only by the worker that the master thinks has it."""
        assert self.run
        if self.master.up and RecordState(int(self.run.ledger.states[record.position])) is RecordState.LEASED:
            held = any(record.position in lease.open for lease in self.run.ledger.leases.of(host.name))
            self._promise(held, f"P5: {host.name} hands out position {record.position}, leased to another")

    def _promise(self, holds: bool, what: str) -> None:
        if not holds:
            raise BrokenPromiseError(f"{what} (at {self.now - 1000:.2f} s)")

    def _check_pause(self, host: Host, record: Record) -> None:
        """No attempt begins on a worker that has heard of the pause."""
        self._promise(not host.still, f"the pause: {host.name} knows of it, and hands out position {record.position}")

    # How it is done.

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._ticket), act))

    def _tick_master(self) -> None:
        if self.master.up:
            self._carry_out(self.master.coordinator.expire(self.now))
        self._at(self.now + TICK_S, self._tick_master)

    def _restart_master(self) -> None:
        assert self.run
        self._master_acted = True
        self.run = self.master.restart(self.run, self.now)
        self._seen_delivered = set()
        coordinator = self.master.coordinator
        kept = coordinator.paused or coordinator.over or not self.master.said_paused
        self._promise(kept, "P6: the pause was told to a worker, and is forgotten")
        if coordinator.paused and not self.master.wanted_paused:
            self._unpause(after=0.5)  # the one before died too early; the person sees it

    def _press(self, *, paused: bool) -> None:
        self._master_acted = True
        self._presses += 1
        self.master.press(paused=paused)

    def _unpause(self, after: float) -> None:
        """Later a person lets the run go on, unless that was pressed, or pause again; and waits for a master to."""
        latest = self._presses

        def unpause() -> None:
            if self._presses == latest and self.master.up:
                self._press(paused=False)
            elif self._presses == latest:
                self._at(self.now + 0.5, unpause)

        self._at(self.now + after, unpause)

    def _carry_out(self, decisions: list[Decision]) -> None:
        self._master_acted |= bool(decisions)
        self.master.carry_out(decisions)

    def _send(self, sender: str, receiver: str, message: Message) -> None:
        data = msgpack.packb(message.to_wire())
        copies = 1 + (self.chance.random() < self.network.double)
        for _ in range(copies):
            if {sender, receiver} & self.network.cut or self.chance.random() < self.network.lose:
                continue
            when = self.now + self.chance.uniform(0.0001, self.network.slow_s)
            if self.network.in_order:
                when = max(when, self._arrival.get((sender, receiver), 0.0))
                self._arrival[sender, receiver] = when
            self._at(when, lambda: self._arrive(sender, receiver, message.type, data))

    def _arrive(self, sender: str, receiver: str, kind: str, data: bytes) -> None:
        message: Any = KINDS[kind].from_wire(msgpack.unpackb(data))
        if receiver == "master":
            self._read(sender, message)
            return
        host = self.hosts.get(receiver)
        if host is not None and host.alive:
            self._when_awake(host, lambda: self._hear(host, message))

    def _read(self, sender: str, message: Message) -> None:
        """The master reads one message after the other; where that takes time, the next ones wait."""

        def read() -> None:
            self._master_acted = True
            self.master.receive(sender, message, self.now)

        if not self.reading_s:
            read()
            return
        outcomes = RangeSet(message.delivered).count if isinstance(message, Ack) else 0
        for failure in message.failed if isinstance(message, Ack) else ():
            outcomes += RangeSet(failure.positions).count
        self._read_until = max(self.now, self._read_until) + outcomes * self.reading_s
        self._at(self._read_until, read)

    def _hear(self, host: Host, message: Message) -> None:
        host.link.receive(message, self._clock(host))
        host.read(message)

    def _when_awake(self, host: Host, act: Callable[[], None]) -> None:
        if self.now < host.frozen_until:
            host.backlog.append(act)
        else:
            act()

    def _thaw(self, host: Host) -> None:
        if host.alive and self.now >= host.frozen_until:
            backlog, host.backlog = host.backlog, []
            # Whatever comes first after a freeze: users, timers or what was received.
            self.chance.shuffle(backlog)
            for act in backlog:
                act()

    def _clock(self, host: Host) -> float:
        return self.now + host.skew

    def _poll(self, host: Host) -> None:
        if not host.alive:
            return
        if self.now >= host.frozen_until:
            self._step(host)
        self._at(self.now + POLL_S * self.chance.uniform(0.5, 1.5), lambda: self._poll(host))

    def _step(self, host: Host) -> None:
        """One turn of a worker: its users take records, its link says what is due."""
        acts = [lambda: self._take(host), lambda: self._speak(host)]
        self.chance.shuffle(acts)
        for act in acts:
            act()

    def _take(self, host: Host) -> None:
        host.link.users = host.users
        while len(host.flying) < host.users:
            taken = host.link.feed.take_batch(self._clock(host), 1)
            if not taken:
                return
            (record,) = taken
            self._check_fence(host, record)
            self._check_pause(host, record)
            host.flying[id(record)] = record
            answer, after = (BLIND, self.chance.uniform(0.001, 0.1)) if host.blind else self.api.post(record.key)
            # Where nothing leaves a worker, or the API says no for good, nothing is sent twice (P3).
            self.faults |= answer.status not in {201, 404} and not host.blind
            answer = answer if answer.status else replace(answer, waited=after)
            self._at(self.now + after, partial(self._when_awake, host, partial(self._book, host, record, answer)))

    def _book(self, host: Host, record: Record, answer: Answer) -> None:
        if host.alive and host.flying.pop(id(record), None) is not None:
            outcome = RULES[self.policy].judge(answer)  # type: ignore[index]
            host.link.feed.record_outcome(record, answer, outcome, self._clock(host))

    def _speak(self, host: Host) -> None:
        message = host.link.poll(self._clock(host))
        if message is not None:
            self._send(host.name, "master", message)

    def _depart(self, host: Host, until: float) -> None:
        if not host.alive:
            return
        if self.now >= host.frozen_until and not host.flying:
            message = host.link.flush(self._clock(host))
            if message is not None:
                self._send(host.name, "master", message)
            if host.link.all_confirmed or self.now >= until:
                self._promise(self.faults or host.link.all_confirmed, f"{host.name} leaves with records that it keeps")
                host.alive = False
                return
        self._at(self.now + 0.1, lambda: self._depart(host, until))
