"""Workers join, run dry, lease, leave; positions come back: every pending position is in one remainder (P1, P2)."""

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from traffic.core.master.assignment import Assignment
from traffic.core.ranges import RangeSet

NAMES = st.sampled_from([f"worker-{nth}" for nth in range(5)])


@given(records=st.integers(0, 500), workers=st.integers(1, 40))
def test_slices_are_equal_to_within_one_record(records, workers):
    told = Assignment().assign(RangeSet([(0, records)]), [f"worker-{nth}" for nth in range(workers)])
    assert sum(told.values()) == records
    assert max(told.values()) - min(told.values()) <= 1


class PartitionMachine(RuleBasedStateMachine):
    """Beside it: which positions are pending, and who has each (None: nobody)."""

    @initialize(records=st.integers(0, 60), workers=st.lists(NAMES, unique=True))
    def deal_at_the_start(self, records, workers):
        self.partition = Assignment()
        told = self.partition.assign(RangeSet([(0, records)]), workers)
        self.pending, self.elsewhere = set(range(records)), set()
        assert sum(told.values()) == (records if workers else 0)
        assert not told or max(told.values()) - min(told.values()) <= 1

    def sizes(self):
        return {name: remainder.count for name, remainder in self.partition.remainders.items()}

    def moved(self, before, after, unassigned):
        """Who lost how much, from sizes before and after."""
        lost = {name: before[name] - after.get(name, 0) for name in before if before[name] > after.get(name, 0)}
        return lost | ({None: unassigned} if unassigned else {})

    @rule(worker=NAMES)
    def join(self, worker):
        assume(not self.partition.remainders.get(worker))
        before, unassigned = self.sizes(), self.partition.unassigned.count
        taken = self.partition.join(worker)
        after = self.sizes()
        share = len(self.pending) // len(after)
        assert after[worker] == sum(taken.values()) >= min(share, len(self.pending))
        assert taken == self.moved(before, after, unassigned)
        assert not self.partition.unassigned
        assert all(after[name] >= share for name in taken if name is not None)

    @precondition(lambda self: self.partition.remainders)
    @rule(data=st.data(), least=st.integers(1, 10))
    def steal(self, data, least):
        worker = data.draw(st.sampled_from(sorted(self.partition.remainders)))
        assume(not self.partition.remainders[worker])
        before, unassigned = self.sizes(), self.partition.unassigned.count
        moved = self.partition.steal(worker, least)
        after = self.sizes()
        if moved is None:
            assert not self.pending
        else:
            assert {moved[0]: moved[1]} == self.moved(before, after, unassigned)
            assert after[worker] == moved[1] > 0
        if moved is not None and moved[0] is not None:
            richest = max(before.values())
            assert before[moved[0]] == richest
            assert moved[1] == min(richest, max(least, richest // 2))

    @rule(data=st.data(), successors=st.booleans())
    def leave(self, data, successors):
        assume(self.partition.remainders)
        worker = data.draw(st.sampled_from(sorted(self.partition.remainders)))
        had = set(self.partition.remainders[worker].members())
        left = self.partition.leave(worker)
        assert set(left.members()) == had
        told = self.partition.assign(left, list(self.partition.remainders) if successors else [])
        assert sum(told.values()) == (len(had) if told else 0)
        assert not told or max(told.values()) - min(told.values()) <= 1

    @rule(data=st.data(), most=st.integers(1, 10))
    def lease(self, data, most):
        assume(self.partition.remainders)
        worker = data.draw(st.sampled_from(sorted(self.partition.remainders)))
        positions = self.partition.remainders[worker].head(most)
        self.partition.take(positions, worker)
        self.pending -= set(positions.members())
        self.elsewhere |= set(positions.members())

    @precondition(lambda self: self.elsewhere)
    @rule(data=st.data(), workers=st.lists(NAMES, unique=True))
    def come_back(self, data, workers):
        back = data.draw(st.sets(st.sampled_from(sorted(self.elsewhere))))
        self.partition.assign(RangeSet.of(back), workers)
        self.elsewhere -= back
        self.pending |= back

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def discard(self, data):
        position = data.draw(st.sampled_from(sorted(self.pending)))
        owner = self.partition.owner(position)
        assert self.partition.discard(RangeSet([(position, position + 1)])) == {owner: 1}
        self.pending.remove(position)
        self.elsewhere.add(position)

    @invariant()
    def every_pending_position_is_in_exactly_one_place(self):
        places = [self.partition.unassigned, *self.partition.remainders.values()]
        found = [position for place in places for position in place.members()]
        assert sorted(found) == sorted(self.pending)
        assert self.partition.pending == len(self.pending)

    @invariant()
    def the_owner_of_a_position_is_whose_remainder_has_it(self):
        for name, remainder in self.partition.remainders.items():
            assert all(self.partition.owner(position) == name for position in remainder.members())
        assert all(self.partition.owner(position) is None for position in self.partition.unassigned.members())
        assert all(self.partition.owner(position) is None for position in self.elsewhere)


TestPartitionMachine = PartitionMachine.TestCase
