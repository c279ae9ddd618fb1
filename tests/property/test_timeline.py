"""The curve of a run: bounded, with its ends, never falling, and whole for whoever keeps a copy by asking for news."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from traffic.core.master.timeline import COLUMNS, IN_REPORT, Sample, Timeline

SMALL = 8
gaps = st.lists(st.floats(0.0, 5.0, allow_nan=False), min_size=1, max_size=200)


def looks(gaps: list[float]) -> list[Sample]:
    """Looks at these times after one another, of a run that settles a record at each."""
    made, at = [], 0.0
    for settled, gap in enumerate(gaps):
        at += gap
        made.append(Sample(at, settled, 0, 0, 1, len(gaps) - settled, settled))
    return made


@given(gaps)
def test_it_is_bounded_keeps_its_ends_and_never_falls(gaps: list[float]) -> None:
    timeline, taken = Timeline(most=SMALL), looks(gaps)
    for look in taken:
        before = timeline.rows[-1] if timeline.rows else None
        timeline.note(look)
        assert len(timeline.rows) <= SMALL
        assert timeline.rows[0] == taken[0]
        assert before is None or look in timeline.rows or not look.t_s >= before.t_s + timeline.step_s
    end = Sample(taken[-1].t_s, len(taken), 0, 0, 0, 0, len(taken))
    timeline.note(end, last=True)
    assert len(timeline.rows) <= SMALL
    assert timeline.rows[0] == taken[0]
    assert timeline.rows[-1] == end
    times, settled = [look.t_s for look in timeline.rows], [look.delivered for look in timeline.rows]
    assert times == sorted(times)
    assert settled == sorted(settled)


@given(gaps, st.sets(st.integers(0, 199)))
def test_a_copy_kept_by_asking_for_news_is_the_timeline(gaps: list[float], asked: set[int]) -> None:
    timeline, generation = Timeline(generation=7, most=SMALL), 7
    rows: list[Any] = []
    for at, look in enumerate(looks(gaps)):
        timeline.note(look)
        if at in asked or at == len(gaps) - 1:
            answer: dict[str, Any] = timeline.to_json(generation, len(rows))
            rows = [*rows, *answer["rows"]] if answer["generation"] == generation else answer["rows"]
            generation = answer["generation"]
            assert answer["next"] == len(rows)
            assert rows == [look.row for look in timeline.rows]


@given(gaps, st.integers(0, 199))
def test_another_master_goes_on_with_the_rows_that_were_kept(gaps: list[float], at: int) -> None:
    taken, whole, former = looks(gaps), Timeline(most=SMALL), Timeline(most=SMALL)
    for look in taken:
        whole.note(look)
    kept = [look for look in taken[:at] if former.note(look)]
    latter = Timeline(generation=1, most=SMALL, former=kept)
    assert (latter.rows, latter.step_s) == (former.rows, former.step_s)
    assert latter.latest_s == max((look.t_s for look in kept), default=0.0)
    for look in taken[at:]:
        latter.note(look)
    assert latter.rows == whole.rows


def test_when_it_is_full_every_other_row_goes_and_the_step_doubles() -> None:
    timeline = Timeline(most=4)
    for second in range(7):
        timeline.note(Sample(float(second), second, 0, 0, 0, 0, 0))
    assert [look.t_s for look in timeline.rows] == [0.0, 2.0, 4.0, 6.0]
    assert (timeline.step_s, timeline.generation) == (2.0, 1)


def test_a_row_stands_in_the_order_of_the_columns() -> None:
    assert dict(zip(COLUMNS, Sample(1.26, 2, 3, 4, 5, 6, 7, 8, 9, 0.0123456789).row, strict=True)) == {
        "t_s": 1.3,
        "delivered": 2,
        "rejected": 3,
        "in_doubt": 4,
        "leased": 5,
        "pending": 6,
        "attempts": 7,
        "due": 8,
        "sent": 9,
        "p50_s": 0.012346,
        "p99_s": None,
    }


@given(gaps)
def test_the_report_has_the_course_in_fewer_rows_with_both_ends(gaps: list[float]) -> None:
    timeline = Timeline()
    for look in looks(gaps):
        timeline.note(look, last=True)
    rows: Any = timeline.report()["rows"]
    assert (rows[0], rows[-1]) == (timeline.rows[0].row, timeline.rows[-1].row)
    assert len(rows) <= IN_REPORT + 2
    assert all(row in [look.row for look in timeline.rows] for row in rows)
