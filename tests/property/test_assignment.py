"""Workers join, run dry, lease, leave; positions come back: every pending position is in one remainder (P1, P2)."""

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from traffic.core.master.assignment import Assignment
from traffic.core.ranges import RangeSet

NAMES = st.sampled_from([f"worker-{nth}" for nth in range(5)])


@given(records=st.integers(0, 500), workers=st.integers(1, 40))
def test_slices_are_equal_to_within_one_record(records, workers):
    reported = Assignment().assign(RangeSet([(0, records)]), [f"worker-{nth}" for nth in range(workers)])
    assert sum(reported.values()) == records
    assert max(reported.values()) - min(reported.values()) <= 1


class AssignmentMachine(RuleBasedStateMachine):
    """Beside it: which positions are pending, and who has each (None: nobody)."""

    @initialize(records=st.integers(0, 60), workers=st.lists(NAMES, unique=True))
    def deal_at_the_start(self, records, workers):
        self.assignment = Assignment()
        reported = self.assignment.assign(RangeSet([(0, records)]), workers)
        self.pending, self.elsewhere = set(range(records)), set()
        assert sum(reported.values()) == (records if workers else 0)
        assert not reported or max(reported.values()) - min(reported.values()) <= 1

    def sizes(self):
        return {name: remainder.count for name, remainder in self.assignment.remainders.items()}

    def moved(self, before, after, unassigned):
        """Who lost how much, from sizes before and after."""
        lost = {name: before[name] - after.get(name, 0) for name in before if before[name] > after.get(name, 0)}
        return lost | ({None: unassigned} if unassigned else {})

    @rule(worker=NAMES)
    def join(self, worker):
        assume(not self.assignment.remainders.get(worker))
        before, unassigned = self.sizes(), self.assignment.unassigned.count
        taken = self.assignment.join(worker)
        after = self.sizes()
        share = len(self.pending) // len(after)
        assert after[worker] == sum(taken.values()) >= min(share, len(self.pending))
        assert taken == self.moved(before, after, unassigned)
        assert not self.assignment.unassigned
        assert all(after[name] >= share for name in taken if name is not None)

    @precondition(lambda self: self.assignment.remainders)
    @rule(data=st.data(), least=st.integers(1, 10))
    def steal(self, data, least):
        worker = data.draw(st.sampled_from(sorted(self.assignment.remainders)))
        assume(not self.assignment.remainders[worker])
        before, unassigned = self.sizes(), self.assignment.unassigned.count
        moved = self.assignment.steal(worker, least)
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
        assume(self.assignment.remainders)
        worker = data.draw(st.sampled_from(sorted(self.assignment.remainders)))
        had = set(self.assignment.remainders[worker].members())
        left = self.assignment.leave(worker)
        assert set(left.members()) == had
        reported = self.assignment.assign(left, list(self.assignment.remainders) if successors else [])
        assert sum(reported.values()) == (len(had) if reported else 0)
        assert not reported or max(reported.values()) - min(reported.values()) <= 1

    @rule(data=st.data(), most=st.integers(1, 10))
    def lease(self, data, most):
        assume(self.assignment.remainders)
        worker = data.draw(st.sampled_from(sorted(self.assignment.remainders)))
        positions = self.assignment.remainders[worker].head(most)
        self.assignment.remove(positions, worker)
        self.pending -= set(positions.members())
        self.elsewhere |= set(positions.members())

    @precondition(lambda self: self.elsewhere)
    @rule(data=st.data(), workers=st.lists(NAMES, unique=True))
    def come_back(self, data, workers):
        back = data.draw(st.sets(st.sampled_from(sorted(self.elsewhere))))
        self.assignment.assign(RangeSet.of(back), workers)
        self.elsewhere -= back
        self.pending |= back

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def discard(self, data):
        position = data.draw(st.sampled_from(sorted(self.pending)))
        owner = next((name for name, rest in self.assignment.remainders.items() if position in rest), None)
        assert self.assignment.discard(RangeSet([(position, position + 1)])) == {owner: 1}
        self.pending.remove(position)
        self.elsewhere.add(position)

    @invariant()
    def every_pending_position_is_in_exactly_one_place(self):
        places = [self.assignment.unassigned, *self.assignment.remainders.values()]
        found = [position for place in places for position in place.members()]
        assert sorted(found) == sorted(self.pending)
        assert self.assignment.pending == len(self.pending)


TestAssignmentMachine = AssignmentMachine.TestCase
