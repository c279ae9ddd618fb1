"""Whatever is asked of a run, it ends at most once, and only by way of its report."""

from hypothesis import given
from hypothesis import strategies as st

from traffic.master.lifecycle import Lifecycle, Phase, TransitionError


@given(first=st.sampled_from([Phase.RUNNING, Phase.PAUSED]), asked=st.lists(st.sampled_from(Phase), max_size=30))
def test_a_run_ends_once_by_way_of_its_report_and_stays_ended(first: Phase, asked: list[Phase]) -> None:
    life, entered = Lifecycle(first), [first]
    for to in asked:
        try:
            life.transition(to)
        except TransitionError:
            continue
        entered.append(life.phase)
    ends = [at for at, phase in enumerate(entered) if phase in (Phase.COMPLETED, Phase.STOPPED, Phase.FAILED)]
    assert ends in ([], [len(entered) - 1])
    assert all(entered[at - 1] is Phase.REPORTING for at in ends)
    assert entered.count(Phase.REPORTING) <= 1
    assert life.state.ended == bool(ends)
