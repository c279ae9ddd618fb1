"""Whatever the workers and the network do, in whatever order: P1, P2, P5 and P8 hold at every step, P3 without faults,
and a worker that has heard of a pause begins no attempt.

The world is the simulation's; here Hypothesis chooses what happens next, and shrinks what goes wrong.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from simulation.api import Behaviour
from simulation.world import Host, World

SHARES = st.sampled_from([0.0, 0.1, 0.4])


class Protocol(RuleBasedStateMachine):
    """Workers join, work, crash, freeze, are cut off and leave; messages are lost, repeated and reordered."""

    world: World

    @initialize(seed=st.integers(0, 2**32), records=st.integers(1, 50), workers=st.integers(0, 4))
    def begin(self, seed: int, records: int, workers: int) -> None:
        self.world = World(seed, records=records)
        for _ in range(workers):
            self.world.join()
        self.world.run_for(0.5)
        self.world.start()

    @rule(seconds=st.floats(0.01, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.world.run_for(seconds)

    @precondition(lambda self: len(self.world.alive()) < 6)
    @rule(users=st.integers(0, 4))
    def a_worker_joins(self, users: int) -> None:
        self.world.join(users)

    @precondition(lambda self: self.world.alive())
    @rule(data=st.data())
    def a_worker_crashes(self, data: st.DataObject) -> None:
        self.world.crash(self._one(data))

    @precondition(lambda self: self.world.alive())
    @rule(data=st.data(), seconds=st.floats(0.1, 8.0))
    def a_worker_freezes(self, data: st.DataObject, seconds: float) -> None:
        self.world.freeze(self._one(data), seconds)

    @precondition(lambda self: self.world.alive())
    @rule(data=st.data(), seconds=st.floats(0.1, 8.0))
    def a_worker_is_cut_off(self, data: st.DataObject, seconds: float) -> None:
        self.world.cut(self._one(data), seconds)

    @precondition(lambda self: self.world.alive())
    @rule(data=st.data())
    def a_worker_leaves(self, data: st.DataObject) -> None:
        self.world.leave(self._one(data))

    @rule()
    def a_peer_forges_outcomes(self) -> None:
        self.world.forge()

    @precondition(lambda self: not self.world.settled)
    @rule(seconds=st.floats(0.01, 10.0))
    def a_person_pauses(self, seconds: float) -> None:
        self.world.person.pause_for(seconds)

    @rule(lose=SHARES, double=SHARES, slow_s=st.sampled_from([0.01, 0.5, 4.0]), in_order=st.booleans())
    def the_network_changes(self, lose: float, double: float, slow_s: float, in_order: bool) -> None:
        network = self.world.network
        network.lose, network.double, network.slow_s, network.in_order = lose, double, slow_s, in_order
        self.world.faults |= lose > 0 or slow_s > 1

    @rule(fail=SHARES, lose_after=SHARES)
    def the_api_changes(self, fail: float, lose_after: float) -> None:
        self.world.api.behaviour = Behaviour(fail=fail, lose_after=lose_after)

    def _one(self, data: st.DataObject) -> Host:
        return data.draw(st.sampled_from(self.world.alive()))

    def teardown(self) -> None:
        """However it went, once the faults are over the run ends by itself and adds up (P9, P2, P3)."""
        if not hasattr(self, "world"):
            return
        network = self.world.network
        network.lose = network.double = 0.0
        network.slow_s = 0.01
        self.world.api.behaviour = Behaviour()
        self.world.join(users=3)
        self.world.run_until_settled(240.0)
        self.world.promises.check_end()
        self.world.close()


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
