"""The brake trips when nearly all of the latest answers refuse with one status, and at no other time."""

from hypothesis import given
from hypothesis import strategies as st

from traffic.core.worker.brake import Brake

statuses = st.sampled_from([201, 401, 422])


def tripped_at(answers: list[int], looked_at: int = 10) -> int | None:
    brake = Brake(looked_at)
    for at, status in enumerate(answers):
        if status >= 300 and brake.note_rejection(status, at + 1):
            assert (brake.tripped, brake.stops) == (status, True)
            return at
    return None


def test_nine_of_ten_with_one_status_trip_it_wherever_they_begin() -> None:
    assert tripped_at([401] * 9) == 8
    assert tripped_at([201] * 100 + [401] * 9) == 108
    assert tripped_at([401] * 8 + [201] + [401] * 9) == 9
    assert tripped_at([401] * 8 + [201, 201] + [401] * 8) is None
    assert tripped_at([401, 422] * 50) is None
    assert tripped_at([401] * 8 + [422] * 9) == 16
    assert tripped_at([401] * 100, looked_at=0) is None


@given(st.lists(statuses, max_size=60), st.integers(10, 20))
def test_it_trips_only_if_nearly_all_of_the_latest_are_alike(answers: list[int], looked_at: int) -> None:
    at = tripped_at(answers, looked_at)
    if at is None:
        runs = [answers[low : low + looked_at] for low in range(len(answers) - looked_at + 1)]
        assert all(run.count(status) < looked_at for run in runs for status in (401, 422))
    else:
        latest = answers[max(0, at + 1 - looked_at) : at + 1]
        assert latest.count(answers[at]) >= 0.9 * looked_at


def test_once_the_master_knows_a_person_decides_and_the_status_counts_no_more() -> None:
    brake = Brake(10)
    assert not any(brake.note_rejection(401, at) for at in range(8))
    assert brake.note_rejection(401, 8)
    brake.confirm(0)
    assert brake.stops, "an ack from before"
    brake.confirm(401)
    assert not brake.stops
    assert not any(brake.note_rejection(401, at) for at in range(9, 99))
    assert [brake.note_rejection(403, at) for at in range(99, 108)] == [False] * 8 + [True]
