"""RangeSet is a Python set of integers, whatever is done to it, and stays sorted, disjoint and non-adjacent."""

from itertools import pairwise
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from traffic.core.ranges import RangeSet

TOP = 40
bounds = st.tuples(st.integers(0, TOP), st.integers(0, TOP))
ranges = st.lists(bounds, max_size=8)
sets = st.sets(st.integers(0, TOP))
sizes = st.integers(-1, TOP + 5)


def model(pairs):
    return {member for start, stop in pairs for member in range(start, stop)}


def check(made: RangeSet, members: set[int]) -> None:
    """The set holds `members`, and is in its canonical form."""
    pairs = list(made)
    assert model(pairs) == members
    assert made.count == len(made) == len(members)
    assert bool(made) == bool(members)
    assert all(start < stop for start, stop in pairs)
    assert all(before < start for (_, before), (start, _) in pairwise(pairs))


class SetMachine(RuleBasedStateMachine):
    """Every method that changes the set, in any order, beside a Python set."""

    def __init__(self):
        super().__init__()
        self.made, self.model = RangeSet(), set()

    @rule(bound=bounds)
    def add(self, bound):
        self.made.add(*bound)
        self.model |= model([bound])

    @rule(bound=bounds)
    def remove(self, bound):
        gone = self.model & model([bound])
        assert self.made.remove(*bound) == len(gone)
        self.model -= gone

    @rule(others=ranges)
    def update(self, others):
        self.made.update(RangeSet(others))
        self.model |= model(others)

    @rule(others=ranges)
    def subtract(self, others):
        self.made.subtract(RangeSet(others))
        self.model -= model(others)

    @rule(others=ranges, crowd=st.sampled_from([0, 1, 64]))
    def meet(self, others, crowd):
        other = model(others)
        with patch("traffic.core.ranges._MANY", crowd):
            check(self.made.common(RangeSet(others)), self.model & other)
            check(self.made.minus(RangeSet(others)), self.model - other)
            both = self.made.copy()
            both.update(RangeSet(others))
            check(both, self.model | other)
        check(RangeSet.of_array(self.made.array()), self.model)

    @rule(bound=bounds)
    def look(self, bound):
        start, _ = bound
        assert (start in self.made) == (start in self.model)

    @rule(most=sizes)
    def look_at_the_ends(self, most):
        ordered = sorted(self.model)
        check(self.made.head(most), set(ordered[: max(most, 0)]))
        check(self.made.tail(most), set(ordered[max(0, len(ordered) - max(most, 0)) :]))

    @rule(ways=st.integers(1, 9))
    def cut(self, ways):
        parts = self.made.parts(ways)
        counts = [part.count for part in parts]
        assert len(parts) == ways
        assert max(counts) - min(counts) <= 1
        assert counts == sorted(counts, reverse=True)
        assert [member for part in parts for member in part.members()] == sorted(self.model)

    @invariant()
    def same_as_the_model(self):
        check(self.made, self.model)
        assert list(self.made.members()) == self.made.array().tolist() == sorted(self.model)
        assert self.made == RangeSet.of(self.model)


TestSetMachine = SetMachine.TestCase


@given(pairs=ranges)
def test_ranges_in_any_order_and_overlapping_make_the_union(pairs):
    check(RangeSet(pairs), model(pairs))


@given(members=st.lists(st.integers(0, TOP)))
def test_members_in_any_order_and_repeated_are_compressed(members):
    check(RangeSet.of(members), set(members))


@given(ours=sets, theirs=sets)
def test_minus_is_the_difference_and_changes_neither(ours, theirs):
    left, right = RangeSet.of(ours), RangeSet.of(theirs)
    check(left.minus(right), ours - theirs)
    check(left, ours)
    check(right, theirs)


@given(ours=sets, theirs=sets)
def test_sets_are_equal_exactly_where_their_members_are(ours, theirs):
    assert (RangeSet.of(ours) == RangeSet.of(theirs)) == (ours == theirs)


@given(members=sets, bound=bounds)
def test_a_copy_and_its_origin_never_share_a_change(members, bound):
    origin = RangeSet.of(members)
    copy = origin.copy()
    copy.add(*bound)
    origin.remove(*bound)
    check(copy, members | model([bound]))
    check(origin, members - model([bound]))
