"""Which phase of a run may follow which: every pair."""

import pytest

from traffic.core.master.run_state import RunState
from traffic.master.lifecycle import Lifecycle, Phase, TransitionError

# A row is the present phase, a column the next one, both in the order of `Phase`; x: the transition is allowed.
TABLE = """
             running paused stopping reporting completed stopped failed
running      .       x      x        x         .         .       .
paused       x       x      x        x         .         .       .
stopping     .       .      x        x         .         .       .
reporting    .       .      .        .         x         x       x
completed    .       .      .        .         .         .       .
stopped      .       .      .        .         .         .       .
failed       .       .      .        .         .         .       .
"""
_HEAD, *_ROWS = (line.split() for line in TABLE.strip().splitlines())
PAIRS = [(Phase(row[0]), Phase(to), mark == "x") for row in _ROWS for to, mark in zip(_HEAD, row[1:], strict=True)]
# How a run gets into each phase.
WAYS = {
    Phase.RUNNING: [],
    Phase.PAUSED: [Phase.PAUSED],
    Phase.STOPPING: [Phase.STOPPING],
    Phase.REPORTING: [Phase.REPORTING],
    **{end: [Phase.REPORTING, end] for end in (Phase.COMPLETED, Phase.STOPPED, Phase.FAILED)},
}


def a_life(phase: Phase) -> Lifecycle:
    life = Lifecycle(Phase.RUNNING)
    for to in WAYS[phase]:
        life.transition(to)
    return life


def test_the_table_has_every_pair_of_phases() -> None:
    assert {(at, to) for at, to, _ in PAIRS} == {(at, to) for at in Phase for to in Phase}


@pytest.mark.parametrize(("at", "to", "allowed"), PAIRS)
def test_a_phase_follows_another_as_the_table_says(at: Phase, to: Phase, allowed: bool) -> None:
    life = a_life(at)
    before = life.phase, life.state, life.reason
    if allowed:
        life.transition(to, "why")
        assert life.phase is to
    else:
        with pytest.raises(TransitionError, match=f"a run cannot be {to} after it was {at}"):
            life.transition(to, "why")
        assert (life.phase, life.state, life.reason) == before


def test_while_its_report_is_made_a_run_is_shown_as_before() -> None:
    life = Lifecycle(Phase.PAUSED, "paused by a person")
    life.transition(Phase.REPORTING)
    assert (life.phase, life.state, life.reason) == (Phase.REPORTING, RunState.PAUSED, "paused by a person")
    life.transition(Phase.FAILED, "the disk is full")
    assert (life.phase, life.state, life.reason) == (Phase.FAILED, RunState.FAILED, "the disk is full")
