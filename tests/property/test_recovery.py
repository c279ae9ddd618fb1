"""Whatever happens in a run, and whenever its master ends: what it had journaled gives back the account that it kept.

The master of the simulation journals at once, so that at every moment its ledger and its journal must agree.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from property.test_protocol import Protocol
from traffic.core.master.decisions import Decision, OutcomesRecorded
from traffic.core.master.invariants import check_ledger
from traffic.core.master.ledger import Ledger
from traffic.core.master.recovery import Recovery
from traffic.core.master.run import Run
from traffic.core.ranges import RangeSet
from traffic.core.record_state import SETTLED, RecordState


def settled_by(ledger: Ledger) -> dict[str, tuple[int, int, int]]:
    """How many records each worker settled, and how; without those that settled none."""
    shares = {name: (one.delivered, one.rejected, one.in_doubt) for name, one in ledger.shares.items()}
    return {name: settled for name, settled in shares.items() if any(settled)}


class Recovering(Protocol):
    """The protocol's world, with a master that may crash, too, beside a recovery that reads its journal all along."""

    recovery: Recovery

    @initialize(seed=st.integers(0, 2**32), records=st.integers(1, 50), workers=st.integers(0, 4))
    def begin(self, seed: int, records: int, workers: int) -> None:
        super().begin(seed=seed, records=records, workers=workers)
        master = self.world.master
        self.recovery, self.taken = Recovery(self.world.records), 0
        self.counted: dict[str, tuple[int, int]] = {}
        carry_out = master.carry_out

        def carry_out_and_compare(decisions: list[Decision]) -> None:
            carry_out(decisions)
            self.read_on()
            self.compare()

        carry_out_and_compare([])
        master.carry_out = carry_out_and_compare  # type: ignore[method-assign]

    @rule(seconds=st.sampled_from([0.1, 2.0, 7.0]))
    @precondition(lambda self: self.world.master.up)
    def the_master_crashes(self, seconds: float) -> None:
        self.world.crash_master(seconds)

    @rule(patience=st.sampled_from([0.0, 6.0]), restarted=st.booleans())
    @precondition(lambda self: self.world.master.up)
    def the_run_ends_and_its_dead_letters_are_sent_again(self, patience: float, restarted: bool) -> None:
        self.world.person.stop(patience)
        self.world.resend(restarted=restarted)
        self.compare()

    @property
    def run(self) -> Run:
        """The run as the master has it; as it had it, if it has closed it."""
        run = self.world.master.coordinator.run or self.world.run
        assert run
        return run

    def read_on(self) -> None:
        """Take what is new in the journal; after each entry the ledger must be right."""
        run = self.run
        for entry in self.world.master.journal[self.taken :]:
            self.recovery.take(entry)
            check_ledger(self.recovery.ledger)
            if isinstance(entry, OutcomesRecorded) and entry.attempts:
                self.counted[entry.worker] = (run.attempts[entry.worker], run.resent[entry.worker])
        self.taken = len(self.world.master.journal)

    def compare(self) -> None:
        """Hold what could be recovered now against what the master knows."""
        run = self.run
        live, found = run.ledger, self.recovery.ledger
        for state in SETTLED:
            assert found.positions(state) == live.positions(state), state.name
        assert (found.dead, found.prior_attempts.former) == (live.dead, live.prior_attempts.former)
        assert settled_by(found) == settled_by(live)
        assert found.leases.made == live.leases.made
        counts = {worker: (self.recovery.attempts[worker], self.recovery.resent[worker]) for worker in self.counted}
        assert counts == self.counted
        self.compare_held(live)

    def compare_held(self, live: Ledger) -> None:
        held = self.recovery.held()
        assert all(held.values()), "nobody is named who has nothing"
        for lease in live.leases:
            assert not lease.open.minus(held.get(lease.worker, RangeSet())), f"lease {lease.number} of {lease.worker}"
        for positions in held.values():
            assert not positions.minus(live.positions(RecordState.PENDING, RecordState.LEASED)), "it has its outcome"

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "world"):
            self.compare()


TestRecovery = Recovering.TestCase
TestRecovery.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
