"""What must hold in a world.

Guarded here: the checks are written down from the promises P1 to P6, P8 and P9, from what a pause is, and from who can
know what became of a record; not from the code.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING

from simulation.api import TIMEOUT_S
from simulation.host import Host
from traffic.core.master.decisions import Reopened
from traffic.core.master.invariants import check_ledger
from traffic.core.master.run import Run
from traffic.core.outcome import Answer
from traffic.core.ranges import RangeSet
from traffic.core.record_state import SETTLED, DeadLetter, RecordState
from traffic.core.worker.feed import Record

if TYPE_CHECKING:
    from simulation.world import World


# So soon every worker knows of a wait.
TOLD_S = 1.0


class BrokenPromiseError(AssertionError):
    """The run did what a promise rules out."""


class Promises:
    """Checks a world. Each check raises BrokenPromiseError, or BrokenInvariantError, if something does not hold."""

    def __init__(self, world: "World") -> None:
        self._world = world
        # Whether the master has done anything since the ledger was checked last.
        self.master_acted = False
        # The latest reopening of dead letters, and what these had been.
        self._reopened = Reopened(RangeSet())
        self._former: dict[int, DeadLetter] = {}
        self._seen_delivered: set[int] = set()
        # When each record of a paced run was handed out first, and how many seconds late, by what its worker knew.
        self.paced: list[tuple[float, float]] = []
        # Since when, and until when, the API has asked the run to wait; and what was handed out since then.
        self._wait: tuple[float, float] | None = None
        self._tries: set[int] = set()
        # Each record as it was handed out first, by its key.
        self._bodies: dict[str, bytes] = {}

    def promise(self, holds: bool, what: str) -> None:
        """Raise BrokenPromiseError unless `holds`."""
        if not holds:
            raise BrokenPromiseError(f"{what} (at {self._world.now - 1000:.2f} s)")

    @property
    def _run(self) -> Run:
        assert self._world.run
        return self._world.run

    def check(self) -> None:
        """Check every promise that can be seen from outside at any moment."""
        world = self._world
        if world.run is None:
            return
        if self.master_acted and world.master.up:
            self.master_acted = False
            check_ledger(world.run.ledger)
            self._check_delivered()
            self._check_journaled()
            self._check_answers()
            self._check_timings()
            self._check_rows()
            self._check_forgers()
        for host in world.alive():
            in_hand = host.link.feed.waiting + host.link.feed.in_hand
            most = world.terms.window_records + world.terms.lease_records + host.users
            self.promise(in_hand <= most, f"P8: {host.name} holds {in_hand} records")

    def check_end(self) -> None:
        """Check what the report may say at the end against the API's own counts."""
        world, run = self._world, self._run
        counts, stored = run.ledger.counts, len(world.api.stored)
        self.promise(sum(counts[RecordState.DELIVERED :]) == world.records, "P2: the outcomes do not add up")
        for host in world.alive():
            made, kept, still = run.results.made_by(host.name), run.results.kept_of(host.name), host.link.feed.results
            there = still is not None and host.name in world.master.coordinator.sessions
            lost = made - kept if there and world.network.in_order else 0  # batches out of order take a while
            self.promise(lost <= 0, f"the rows: {host.name} is in the run, and {lost} of its rows are lost")
        known = run.results.kept + run.results.lost
        self.promise(known >= sum(run.attempts.values()), f"the rows: {known} of more attempts are known")
        self.promise(counts[RecordState.DELIVERED] <= stored <= world.records, "P2: delivered more than was stored")
        if not world.faults:
            self.promise(set(world.api.posts.values()) <= {1}, f"P3: {world.api.posts.most_common(3)}")
            self.promise(not world.master.reclaimed, f"no lapse without a fault: {world.master.reclaimed[:1]}")
            attempts, resent = sum(run.attempts.values()), sum(run.resent.values())
            self.promise((attempts, resent) == (world.records, 0), f"P3: {attempts} attempts, {resent} of them again")
            measured = run.timings.total().service.total
            self.promise(measured == attempts, f"the times: {measured} of {attempts} attempts were measured")
            rows, lost = run.results.kept, run.results.lost
            self.promise((rows, lost) == (attempts, 0), f"the rows: {rows} of {attempts} attempts, and {lost} are lost")
        if world.policy == "at-most-once":
            self.promise(set(world.api.acted_on.values()) <= {0, 1}, "P4: sent twice at-most-once")
        self._check_reopened(settled=True)

    def check_stopped(self) -> None:
        """Check P2 of a run that was stopped: what it calls unsent was never stored, and nothing is leased for ever."""
        ledger = self._run.ledger
        self.promise(ledger.counts[RecordState.LEASED] == 0, "P2: a closed run has leases")
        unsent = self._run.order.indexes(ledger.positions(RecordState.PENDING).array()).tolist()
        lies = [index for index in unsent if f"run-{index}" in self._world.api.stored]
        self.promise(not lies, f"P2: called unsent, and stored: {lies}")
        self._check_reopened(settled=False)

    def note_reopened(self, reopened: Reopened, former: dict[int, DeadLetter]) -> None:
        """Note which dead letters are to be sent again, and what they had been, by position."""
        self._reopened, self._former = reopened, former

    def note_restart(self) -> None:
        """Note that the master was restarted: its run is recovered from the journal, so check everything again."""
        self.master_acted = True
        self._seen_delivered = set()
        master = self._world.master
        changes = len(master.pace.changes) if master.pace is not None else 0
        self.promise(changes >= master.changes_told, "P6: a worker felt another rate, and it is forgotten")
        kept = master.coordinator.paused or master.coordinator.over or not master.pause_reported
        self.promise(kept, "P6: the pause was told to a worker, and is forgotten")

    def check_taken(self, host: Host, record: Record) -> None:
        """Check that a worker may hand a record out: it is not leased to another (P5), and it knows of no pause."""
        states, leases = self._run.ledger.states, self._run.ledger.leases
        if self._world.master.up and RecordState(int(states[record.position])) is RecordState.LEASED:
            held = any(record.position in lease.open for lease in leases.of(host.name))
            self.promise(held, f"P5: {host.name} hands out position {record.position}, leased to another")
        place = f"position {record.position}"
        same = self._bodies.setdefault(record.key, record.body) == record.body
        self.promise(same, f"the time: {place} goes out by one key with two bodies")
        self.promise(not host.told_paused, f"the pause: {host.name} knows of it, and hands out {place}")

    def check_pace(self, host: Host, record: Record) -> None:
        """Check that a record is not handed out before it is due, but for the error of the worker's estimate.

        The newest answer that the worker has read said what second it was as it left; the simulation knows how long ago
        that is.
        """
        run, stamp = self._run, host.stamp
        if run.pacer is None or record.attempts > 1 or record.unreached:
            return
        due = float(run.pacer.schedule.due([record.position])[0])
        self.promise(stamp is not None, f"the pace: {host.name} knows of no schedule, and hands out {record.position}")
        assert stamp is not None
        second = stamp.second + (self._world.now - stamp.left) * stamp.speed
        early = due - second - host.link.feed.schedule.delay_s / 2
        self.promise(early <= 1e-6, f"the pace: {host.name} hands out {record.position}, {early:.3f} s early")
        if not self._world.faults:
            self.promise(due - second <= self._world.network.slow_s, f"the pace: {record.position} is early")
        self.paced.append((self._world.now, second - due))

    def note_answer(self, record: Record, answer: Answer) -> None:
        """Note what the API has answered: whether it asks to wait, or takes requests again."""
        tried = id(record) in self._tries
        self._tries.discard(id(record))
        if answer.asks_to_wait and answer.retry_after is not None:
            until = self._world.now + answer.retry_after
            self._wait = (self._wait[0] if self._wait and not tried else self._world.now, until)
        elif tried and answer.status:
            self._wait = None

    def check_wait(self, host: Host, record: Record) -> None:
        """Check that nothing is handed out while the API wants no request, and one record first afterwards."""
        if self._wait is None or not self._world.strict_about_waits:
            return
        since, until = self._wait
        told = self._world.now > since + TOLD_S
        over = self._world.now >= until - 1e-6
        place = f"{host.name} hands out position {record.position}"
        self.promise(over or not told, f"the quota: {place}, {until - self._world.now:.2f} s too early")
        if over:
            self.promise(not self._tries, f"the quota: {place} before the first one is answered")
            self._tries.add(id(record))

    def check_lateness(self, most_s: float, but: int = 0) -> None:
        """Check that no record of a paced run was handed out later than that, except so many."""
        late = sorted(late_s for _, late_s in self.paced if late_s > most_s)
        self.promise(len(late) <= but, f"the pace: {len(late)} records more than {most_s} s late, {late[-3:]}")

    def check_catch_up(self, most: float, window_s: float = 1.0) -> None:
        """Check that in no time of `window_s` seconds more records of a paced run were handed out than `most`."""
        times = sorted(now for now, _ in self.paced)
        for at, begin in enumerate(times):
            within = bisect_left(times, begin + window_s) - at
            self.promise(within <= most, f"the pace: {within} records within {window_s} s from {begin - 1000:.2f}")

    def check_silent_api(self, within: float, seconds: float) -> None:
        """Let the API answer nothing: `within` seconds the run is stalled, and from then on workers only probe."""
        world = self._world
        world.run_until_master_is_up()
        world.faults = world.api.silent = True
        world.run_for(within)
        if self._run.ledger.unsettled and any(host.users for host in world.alive()):
            self.promise(bool(world.master.coordinator.stalled), "an API that answers nothing goes unnoticed")
        sent = world.api.posts.total()
        world.run_for(seconds)
        most = len(world.alive()) * (seconds / TIMEOUT_S + 1)
        self.promise(world.api.posts.total() - sent <= most, "an API that answers nothing gets more than probes")
        world.api.silent = False

    def _check_reopened(self, *, settled: bool) -> None:
        """Check that a dead letter that was to be sent again was leased again; if not, the run was stopped before.

        It is as it was then, unless a worker came back that had seen it delivered.
        """
        ledger = self._run.ledger
        leased = self._world.master.leased_since(self._reopened) if self._former else RangeSet()
        for position, letter in self._former.items():
            state = RecordState(int(ledger.states[position]))
            self.promise(state in SETTLED, f"P2: position {position} was a dead letter, and is {state.name.lower()}")
            if position in leased or state is RecordState.DELIVERED:
                continue
            self.promise(not settled, f"position {position} was to be sent again, and nobody had it")
            self.promise(ledger.dead[position] == letter, f"position {position} was not sent, and is another letter")

    def _check_answers(self) -> None:
        """Check that the master's answers say that the run is paused if it is, and only then."""
        wrong = self._world.master.contradictions
        self.promise(not wrong, f"the pause: {wrong[:1]} says something else than the master knows")

    def _check_timings(self) -> None:
        """Check that no attempt counts twice in what attempts took."""
        for name, ended in self._world.ended.items():
            measured = self._run.timings.attempts(name)
            self.promise(measured <= ended, f"the times: {measured} attempts of {name} are measured, of {ended}")

    def _check_rows(self) -> None:
        """Check that no attempt has two rows, and that those that are kept or lost are no more than there were."""
        rows, results = self._world.master.rows, self._run.results
        early = self._world.master.rows_confirmed_too_early
        self.promise(not early, f"the rows: those of {early} are confirmed, and not on the disk")
        once = len(set(rows))
        self.promise(once == len(rows) == results.kept, f"the rows: {len(rows)}, {once} of them once, {results.kept}")
        ended = self._world.ended.total()
        self.promise(results.kept + results.lost <= ended, f"the rows: {results.kept} and {results.lost} of {ended}")

    def _check_forgers(self) -> None:
        """Check that a peer that is no worker takes no part, counts nothing, and decides no outcome."""
        run, sessions = self._run, self._world.master.coordinator.sessions
        named = {*run.ledger.assignment.remainders, *run.ledger.shares, *run.attempts, *sessions, *run.timings.workers}
        named |= {letter.worker for letter in run.ledger.dead.values()}
        self.promise(named <= set(self._world.hosts), f"forged: {named - set(self._world.hosts)} takes part")

    def _check_delivered(self) -> None:
        delivered = set(self._run.ledger.positions(RecordState.DELIVERED).members())
        self.promise(delivered >= self._seen_delivered, "a delivered record was undelivered")
        fresh = sorted(delivered - self._seen_delivered)
        for index in self._run.order.indexes(fresh).tolist():
            self.promise(f"run-{index}" in self._world.api.stored, f"P2: record {index} delivered, but never stored")
        self._seen_delivered = delivered

    def _check_journaled(self) -> None:
        """Check P6: an outcome that was confirmed to a worker is recorded, whatever became of the master since."""
        master, ledger = self._world.master, self._run.ledger
        lost = master.confirmed_delivered.minus(ledger.positions(RecordState.DELIVERED))
        self.promise(not lost, f"P6: {lost} was confirmed as delivered, and is so no more")
        lost = master.confirmed_settled.minus(ledger.positions(*SETTLED))
        self.promise(not lost, f"P6: the outcome of {lost} was confirmed, and is lost")
