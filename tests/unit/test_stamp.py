"""The time that is put into a record, the same at every attempt, on every worker, after every restart."""

import json

import pytest

from traffic.core.master.decisions import Leased
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.recovery import Recovery
from traffic.core.ranges import RangeSet
from traffic.core.stamp import Stamp
from traffic.runs.journal_codec import entry_from_json, entry_to_json

AT_MS = 1_795_824_000_007


@pytest.mark.parametrize(
    ("stamp", "body", "made"),
    [
        (Stamp("at"), b'{"a": 1}', b'{"a": 1,"at":"2026-11-28T00:00:00.007Z"}'),
        (Stamp("at", "ms"), b"{}", b'{"at":1795824000007}'),
        (Stamp('a"b', "ms"), b'{"a":{}\n }', b'{"a":{},"a\\"b":1795824000007}'),
        (
            Stamp("at", "ms"),
            b'n\r\nPUT /\r\nA: b\r\n\r\n{"a":1}',
            b'n\r\nPUT /\r\nA: b\r\n\r\n{"a":1,"at":1795824000007}',
        ),
    ],
)
def test_it_is_the_last_member_of_the_body(stamp, body, made):
    assert stamp.added(body, AT_MS) == made
    json.loads(made.rpartition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("given", [("",), ("at", "us"), ("", "ms")])
def test_what_is_no_stamp_is_refused(given):
    with pytest.raises(ValueError, match="must be a member's name"):
        Stamp(*given)


def test_a_position_keeps_its_first_time_also_after_a_restart():
    times = iter([5, 6, 7])
    handed_out = HandedOut(Stamp("at", "ms"), 10, lambda: next(times))
    first = Leased(1, "a", RangeSet([(0, 4)]), handed_out.note(RangeSet([(0, 4)])))
    second = Leased(2, "b", RangeSet([(2, 6)]), handed_out.note(RangeSet([(2, 6)])))
    assert handed_out.stamped(RangeSet([(0, 6)]), [b"{}"] * 6) == [b'{"at":5}'] * 4 + [b'{"at":6}'] * 2
    recovery = Recovery(10)
    for entry in (first, second):
        recovery.take(entry_from_json(entry_to_json(entry)))
    again = HandedOut(Stamp("at", "ms"), 10, lambda: next(times))
    again.restore(recovery.handed_out)
    again.note(RangeSet([(0, 8)]))
    assert again.stamped(RangeSet([(3, 8)]), [b"{}"] * 5) == [b'{"at":5}'] + [b'{"at":6}'] * 2 + [b'{"at":7}'] * 2
