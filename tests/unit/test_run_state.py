"""Which states are live, which are an end; and that they are the words that programs read."""

import json

import pytest

from traffic.core.master.run_state import RunState

LIVE = {"running", "paused", "stopping"}
ENDED = {"completed", "stopped", "failed"}
NEITHER = {"ready", "reading", "cut off", "unknown"}


@pytest.mark.parametrize("state", RunState)
def test_a_state_is_live_or_an_end_or_neither(state: RunState) -> None:
    assert (state.live, state.ended) == (state in LIVE, state in ENDED)


def test_the_states_are_these_words_in_json_too() -> None:
    assert set(RunState) == LIVE | ENDED | NEITHER
    assert json.loads(json.dumps({"state": RunState.CUT_OFF})) == {"state": "cut off"}
