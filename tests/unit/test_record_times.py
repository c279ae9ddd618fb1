"""The times in records: read exactly, in every unit, and put in order; what is no time is refused with its place."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.order import Order
from traffic.core.pace.config import RecordedPace, TimeFormat
from traffic.core.pace.recorded import RecordedSchedule
from traffic.dataset import time_index
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.time_index import TimeIndex, open_times
from unit.traffic_file import written

NOON = 1_704_110_400  # 2024-01-01T12:00:00Z


def index_of(folder: Path, records: list[Any], unit: TimeFormat = "auto", **part: int) -> TimeIndex:
    path = written(folder, json.dumps(records, ensure_ascii=False))
    dataset = Dataset.open(path)
    try:
        first, count = part.get("first", 0), part.get("count", len(records))
        pace = RecordedPace("at", unit)
        return open_times(dataset, Cache(folder / "cache"), pace, first, count, lambda _done, _of: None)
    finally:
        dataset.close()


def times(folder: Path, *values: Any, **how: Any) -> list[float]:
    """The times of records with these values, in seconds after noon, in their order."""
    index = index_of(folder, [{"at": value} for value in values], **how)
    return ((index.times - NOON * 10**9) / 1e9).tolist()


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([NOON + 0.25, NOON + 1], [0.25, 1]),
        ([NOON * 1000 + 1, NOON * 1000 + 2500.5], [0.001, 2.5005]),
        ([NOON * 10**6 + 1, NOON * 10**6 + 2_500_001], [0.000001, 2.500001]),
        ([NOON * 10**9 + 128, NOON * 10**9 + 2_500_000_256], [1.28e-7, 2.500000256]),
        (["2024-01-01T12:00:00.5Z", "2024-01-01T13:00:02.25+01:00"], [0.5, 2.25]),
        (["2024-01-01 12:00:00.125", "2024-01-01 12:00:01"], [0.125, 1]),
        ([f"{NOON}.5", f"{NOON + 1}"], [0.5, 1]),
    ],
    ids=["s", "ms", "us", "ns", "iso with offsets", "iso without", "numbers as text"],
)
def test_the_first_time_decides_what_all_of_them_are(tmp_path: Path, values: list[Any], seconds: list[float]) -> None:
    assert times(tmp_path, *values) == pytest.approx(seconds, abs=2e-7)


def test_a_text_without_an_offset_is_taken_for_utc_and_that_is_known(tmp_path: Path) -> None:
    assert index_of(tmp_path, [{"at": "2024-01-01T12:00:00.5"}]).facts.naive
    assert not index_of(tmp_path, [{"at": "2024-01-01T12:00:00.5Z"}]).facts.naive


def test_a_unit_that_is_named_counts_whatever_the_number_looks_like(tmp_path: Path) -> None:
    index = index_of(tmp_path, [{"at": 0}, {"at": 250.5}, {"at": 90}], unit="ms")
    assert index.times.tolist() == [0, 90_000_000, 250_500_000]
    assert (index.facts.format, index.facts.rounded_ns) == ("ms", 0)


@pytest.mark.parametrize(
    ("field", "record"),
    [
        ("/meta/at", {"meta": {"at": NOON}}),
        ("/list/1", {"list": [0, NOON]}),
        ("/a~1b/~0", {"a/b": {"~": NOON}}),
        ("a/b", {"a/b": NOON}),
        ("at", {"at": NOON, "lone": "\ud800"}),
        ("/0", {"0": NOON}),
    ],
)
def test_a_member_is_named_or_pointed_to(tmp_path: Path, field: str, record: dict[str, Any]) -> None:
    path = written(tmp_path, json.dumps([record]))
    dataset = Dataset.open(path)
    index = open_times(dataset, Cache(tmp_path / "cache"), RecordedPace(field, "s"), 0, 1, lambda _done, _of: None)
    dataset.close()
    assert index.facts.first_ns // 10**9 == NOON


def test_records_are_in_the_order_of_their_times_and_those_of_one_time_in_that_of_the_file(tmp_path: Path) -> None:
    values = [NOON + 0.5, NOON + 0.125, NOON + 0.5, NOON + 0.25, NOON + 0.125]
    index = index_of(tmp_path, [{"at": value} for value in values])
    assert index.order is not None
    assert index.order.tolist() == [1, 4, 3, 0, 2]
    assert Order(5, 1, "time", 0, index.order).indexes(range(5)).tolist() == [1, 4, 3, 0, 2]
    assert (index.facts.out_of_order, index.facts.furthest_s) == (3, 0.375)


def test_a_sorted_file_needs_no_order(tmp_path: Path) -> None:
    index = index_of(tmp_path, [{"at": NOON + at / 8} for at in range(5)])
    assert index.order is None
    assert Order(5, 1, "time", 3).indexes(range(5)).tolist() == [3, 4, 5, 6, 7]


def test_a_part_of_a_file_has_the_order_of_that_part(tmp_path: Path) -> None:
    index = index_of(tmp_path, [{"at": NOON + at / 8} for at in (9, 8, 3, 2, 1)], first=1, count=3)
    assert index.order is not None
    assert index.order.tolist() == [2, 1, 0]
    assert Order(3, 1, "time", 1, index.order).indexes(range(3)).tolist() == [3, 2, 1]


def test_times_that_were_rounded_to_seconds_are_spread_over_them(tmp_path: Path) -> None:
    index = index_of(tmp_path, [{"at": NOON + second} for second in (0, 0, 0, 0, 1, 2, 2)])
    made = ((index.times - NOON * 10**9) / 1e9).tolist()
    assert made == [0.125, 0.375, 0.625, 0.875, 1.5, 2.25, 2.75]
    assert index.facts.rounded_ns == 10**9


def test_times_with_fractions_are_left_as_they_are(tmp_path: Path) -> None:
    assert times(tmp_path, NOON, NOON, NOON + 0.0625) == [0, 0, 0.0625]


def test_a_shuffled_file_is_sent_as_the_sorted_one_whatever_is_sorted_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_index, "_MOST_SORTED", 50)
    monkeypatch.setattr(time_index, "_PIECE", 64)
    chance = random.Random(3)
    records = [{"at": NOON + chance.randrange(300) / 7, "n": n} for n in range(1000)]
    shuffled = chance.sample(records, len(records))
    made = index_of(tmp_path, shuffled)
    assert made.order is not None
    assert bool((np.diff(made.times) >= 0).all())
    expected = sorted(range(1000), key=lambda at: (shuffled[at]["at"], at))
    assert made.order.tolist() == expected


@pytest.mark.parametrize("piece", [7, 64, 10_000])
def test_spreading_is_the_same_however_the_file_is_cut_into_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(time_index, "_PIECE", piece)
    values = [NOON + second for second, count in enumerate((3, 0, 90, 1, 40)) for _ in range(count)]
    made = times(tmp_path, *random.Random(piece).sample(values, len(values)), unit="s")
    expected = [second + (k + 0.5) / count for second, count in enumerate((3, 0, 90, 1, 40)) for k in range(count)]
    assert made == pytest.approx(expected, abs=1e-7)


def test_the_index_is_kept_and_made_again_if_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [{"at": NOON + at / 8} for at in (3, 1, 2)]
    before = index_of(tmp_path, records)
    expected = before.times.tolist()
    monkeypatch.setattr(time_index, "_make", None)
    again = index_of(tmp_path, records)
    assert again.facts == before.facts
    assert again.times.tolist() == expected
    monkeypatch.undo()
    (kept,) = (tmp_path / "cache").glob("*.times")
    kept.write_bytes(kept.read_bytes()[:-1])
    assert index_of(tmp_path, records).times.tolist() == expected
    assert not list((tmp_path / "cache").glob("*.part"))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([NOON, None], "record 1 (counted from 0) has no 'at'"),
        ([NOON, True], "has true as 'at', which is no time"),
        ([NOON, {"a": 1}], "has {\"a\": 1} as 'at', which is no time"),
        ([NOON, "soon"], "has \"soon\" as 'at', and times are to be seconds"),
        (["2024-01-01", NOON], f"has {NOON} as 'at', and times are to be a text in ISO 8601"),
        (["2024-01-01", "2024-13-01"], "has \"2024-13-01\" as 'at', which is no text in ISO 8601"),
        ([NOON, NOON * 1000], "which looks like milliseconds, and the first time is in seconds"),
        ([1e300], "has a time that is more than 292 years from 1970"),
        (["never"], "has \"never\" as 'at', which is no text in ISO 8601"),
    ],
)
def test_a_time_that_cannot_be_used_refuses_the_file_with_its_place(
    tmp_path: Path, values: list[Any], what: str
) -> None:
    with pytest.raises(DatasetError) as refused:
        index_of(tmp_path, [{"at": value} if value is not None else {} for value in values])
    assert what in str(refused.value)
    assert "line 1, column" in str(refused.value)
    assert "name another member with --traffic-time" in str(refused.value)
    assert not list((tmp_path / "cache").glob("*"))


def test_many_faults_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    with pytest.raises(ManyFaultsError) as refused:
        index_of(tmp_path, [{"at": NOON}, *({"n": n} for n in range(50))])
    assert refused.value.count == 50


def test_a_csv_column_is_a_member(tmp_path: Path) -> None:
    from traffic.dataset.loader import DatasetLoader  # noqa: PLC0415 - this one test needs it

    file = tmp_path / "t.csv"
    file.write_text("when,msg\n2024-01-01T12:00:02Z,b\n2024-01-01T12:00:01Z,a\n")
    dataset = DatasetLoader(file, Cache(tmp_path / "cache")).open()
    index = open_times(dataset, Cache(tmp_path / "cache"), RecordedPace("when", "auto"), 0, 2, lambda _done, _of: None)
    dataset.close()
    assert index.order is not None
    assert index.order.tolist() == [1, 0]


# The schedule.

TIMES = st.lists(st.integers(0, 10**12), min_size=1, max_size=60).map(lambda all_: np.array(sorted(all_), np.int64))


@given(TIMES, st.sampled_from([0.5, 1.0, 2.0, 7.3]))
def test_a_time_is_reckoned_from_the_first_one(recorded: Any, speed: float) -> None:
    schedule = RecordedSchedule(recorded, speed)
    due = schedule.due(np.arange(len(recorded)))
    assert due == pytest.approx((recorded - recorded[0]) / 1e9 / speed, rel=1e-12, abs=1e-9)
    assert due[0] == 0


@given(TIMES, st.sampled_from([0.5, 1.0, 7.3]), st.floats(0.001, 100))
def test_no_gap_is_longer_than_the_longest_and_the_others_stay(recorded: Any, speed: float, most: float) -> None:
    schedule = RecordedSchedule(recorded, speed, most)
    gaps = np.diff(schedule.due(np.arange(len(recorded))))
    asked = np.diff(recorded) / 1e9 / speed
    assert gaps == pytest.approx(np.minimum(asked, most), rel=1e-9, abs=1e-6)
    assert schedule.cuts == np.count_nonzero(asked > most)
    assert schedule.cut_s == pytest.approx(float(np.maximum(asked - most, 0).sum()), rel=1e-9, abs=1e-6)


@given(TIMES, st.sampled_from([0.5, 7.3]), st.none() | st.floats(0.001, 100), st.floats(-1, 3000))
def test_how_many_are_due_before_a_time_agrees_with_when_each_is(
    recorded: Any, speed: float, most: float | None, time: float
) -> None:
    schedule = RecordedSchedule(recorded, speed, most)
    due = schedule.due(np.arange(len(recorded)))
    for at in (time, float(due[0]), float(due[-1]), float(due[-1]) + 1):
        assert schedule.before(at) == int(np.count_nonzero(due < at))


def test_eight_hours_later_nothing_has_drifted() -> None:
    recorded = np.arange(0, 8 * 3600 * 10**9, 100_000_007, dtype=np.int64)
    schedule = RecordedSchedule(recorded, 7.3)
    due = schedule.due([len(recorded) - 1])
    assert float(due[0]) == pytest.approx(float(recorded[-1]) / 1e9 / 7.3, abs=1e-9)


def test_the_planned_rate_is_that_of_the_second_around() -> None:
    schedule = RecordedSchedule(np.arange(0, 10 * 10**9, 10**8, dtype=np.int64))
    assert schedule.rate(5.0) == 10
    assert (schedule.rate(-9.0), schedule.rate(99.0)) == (0, 0)


def test_now_is_read_as_now(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    index = index_of(tmp_path, [{"at": now.isoformat()}])
    assert index.facts.first_ns == pytest.approx(now.timestamp() * 1e9, abs=1e6)
