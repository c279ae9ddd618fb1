"""RangeSet: what each method says it does, at its edges."""

import numpy as np
import pytest

from traffic.core.ranges import RangeSet


def test_a_new_set_is_empty():
    empty = RangeSet()
    assert (list(empty), len(empty), bool(empty), list(empty.members())) == ([], 0, False, [])


def test_adjacent_ranges_become_one():
    assert list(RangeSet([(0, 5), (5, 9)])) == [(0, 9)]
    assert list(RangeSet([(5, 9), (0, 5)])) == [(0, 9)]


def test_a_range_that_closes_a_gap_joins_its_neighbours():
    ranges = RangeSet([(0, 3), (6, 9)])
    ranges.add(3, 6)
    assert list(ranges) == [(0, 9)]


def test_a_range_that_spans_several_swallows_them():
    ranges = RangeSet([(1, 2), (4, 5), (7, 8), (20, 30)])
    ranges.add(0, 10)
    assert list(ranges) == [(0, 10), (20, 30)]
    assert len(ranges) == 20


def test_adding_what_is_there_changes_nothing():
    ranges = RangeSet([(0, 10)])
    ranges.add(3, 7)
    assert (list(ranges), ranges.count) == ([(0, 10)], 10)


def test_of_many_ranges_the_same_comes_as_of_few():
    """Many are merged in one pass over both sets."""
    many = RangeSet((start, start + 2) for start in range(0, 900, 5))
    others = RangeSet((start, start + 4) for start in range(3, 900, 7))
    model, other = set(many.members()), set(others.members())
    assert set(many.minus(others).members()) == model - other
    assert set(many.common(others).members()) == model & other
    both = many.copy()
    both.update(others)
    for made in (both, many.minus(others), many.common(others), RangeSet.of_array(both.array())):
        assert made == RangeSet.of(made.members())
        assert made.count == len(set(made.members()))
    assert set(both.members()) == model | other
    many.subtract(RangeSet([(0, 900)]))
    assert (list(many), many.count) == ([], 0)


def test_an_empty_range_is_neither_added_nor_removed():
    ranges = RangeSet([(2, 4)])
    ranges.add(9, 9)
    ranges.add(9, 5)
    assert ranges.remove(3, 3) == 0
    assert ranges.remove(4, 2) == 0
    assert list(ranges) == [(2, 4)]


def test_removing_from_the_middle_leaves_both_ends():
    ranges = RangeSet([(0, 10)])
    assert ranges.remove(3, 6) == 3
    assert list(ranges) == [(0, 3), (6, 10)]


def test_removing_says_how_many_were_members():
    ranges = RangeSet([(0, 3), (5, 8)])
    assert ranges.remove(2, 6) == 2
    assert ranges.remove(100, 200) == 0
    assert list(ranges) == [(0, 2), (6, 8)]


def test_a_copy_is_independent():
    ranges = RangeSet([(0, 3)])
    copy = ranges.copy()
    copy.add(9, 10)
    ranges.remove(0, 1)
    assert (list(ranges), list(copy)) == ([(1, 3)], [(0, 3), (9, 10)])


def test_minus_leaves_the_set_as_it_was():
    ranges = RangeSet([(0, 10)])
    assert list(ranges.minus(RangeSet([(2, 3)]))) == [(0, 2), (3, 10)]
    assert list(ranges) == [(0, 10)]


def test_a_set_can_be_added_to_and_taken_out_of_itself():
    ranges = RangeSet([(0, 3), (5, 8)])
    ranges.update(ranges)
    assert list(ranges) == [(0, 3), (5, 8)]
    ranges.subtract(ranges)
    assert not ranges


def test_members_are_compressed_whatever_their_order_and_repeats():
    assert list(RangeSet.of([7, 3, 5, 4, 3, 9])) == [(3, 6), (7, 8), (9, 10)]
    assert not RangeSet.of([])


def test_the_array_is_of_unsigned_64_bit_integers_also_where_it_is_empty():
    assert RangeSet().array().dtype == np.uint64
    assert RangeSet().array().shape == (0,)
    array = RangeSet([(2, 4), (8, 9)]).array()
    assert array.dtype == np.uint64
    assert array.tolist() == [2, 3, 8]


def test_positions_beyond_32_bits_are_kept_exactly():
    far = 2**40
    ranges = RangeSet([(far, far + 2)])
    assert far + 1 in ranges
    assert ranges.array().tolist() == [far, far + 1]


def test_parts_put_the_larger_ones_first_and_may_be_empty():
    assert [len(part) for part in RangeSet([(0, 10)]).parts(4)] == [3, 3, 2, 2]
    assert [list(part) for part in RangeSet([(0, 2)]).parts(3)] == [[(0, 1)], [(1, 2)], []]


def test_no_parts_cannot_be_cut():
    with pytest.raises(ZeroDivisionError):
        RangeSet([(0, 2)]).parts(0)


def test_sets_are_equal_where_their_members_are():
    assert RangeSet([(0, 2), (2, 5)]) == RangeSet([(0, 5)])
    assert RangeSet([(0, 5)]) != RangeSet([(0, 4)])
    assert RangeSet([(0, 5)]) != [(0, 5)]


def test_a_mutable_set_has_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(RangeSet())


def test_its_text_can_be_read_back():
    ranges = RangeSet([(0, 2), (4, 5)])
    assert repr(ranges) == "RangeSet([(0, 2), (4, 5)])"
    assert eval(repr(ranges)) == ranges
