"""Read the metadata of a run that this release, an earlier one, or a later one has written."""

import json
from dataclasses import replace

import pytest

from traffic.core.pace.config import PaceConfig, RecordedPace
from traffic.core.pace.profile import Piece, Profile
from traffic.runs.run_metadata import Resumption, RunMetadata
from traffic.runs.target import describe_target, same_host
from unit.test_journal import METADATA

# As written by a release that could not send dead letters again, and did not mark runs as left.
EARLIER = {
    "terms": METADATA.terms.to_wire(),
    **{name: getattr(METADATA, name) for name in ("file", "records", "digest", "order", "seed", "give_up_s", "host")},
    "started": METADATA.started,
    "first_session": METADATA.first_session,
    "resumed": [{"at": "2026-01-02T04:00:00Z", "settled": 7}],
}


def test_what_an_earlier_release_did_not_know_has_its_default():
    metadata = RunMetadata.from_json(json.dumps(EARLIER))
    assert (metadata.run, metadata.state, metadata.left, metadata.told, metadata.offset) == (
        METADATA.run,
        "running",
        False,
        False,
        0,
    )
    assert metadata.resumed == (Resumption("2026-01-02T04:00:00Z", 7),)
    del EARLIER["resumed"]
    assert RunMetadata.from_json(json.dumps(EARLIER)).resumed == ()


def test_what_a_later_release_has_to_say_beside_is_left_out():
    later = json.loads(METADATA.to_json()) | {"colour": "red", "resumed": [{"at": "t", "settled": 1, "by": "me"}]}
    assert RunMetadata.from_json(json.dumps(later)).resumed == (Resumption("t", 1),)


@pytest.mark.parametrize("name", ["terms", "file", "host", "digest"])
def test_facts_without_what_a_run_cannot_do_without_are_refused(name):
    data = json.loads(METADATA.to_json())
    del data[name]
    with pytest.raises((KeyError, TypeError)):
        RunMetadata.from_json(json.dumps(data))


def test_a_resumption_says_of_hosts_and_dead_letters_only_if_there_is_something_to_say():
    assert Resumption("t", 0).to_json() == {"at": "t", "settled": 0}
    assert Resumption("t", 3, 2, "http://b").to_json() == {
        "at": "t",
        "settled": 3,
        "resent_dead_letters": 2,
        "host": "http://b",
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://api:4000", "HTTP://API:4000/", True),
        ("http://api", "http://api:80", True),
        ("https://api/v1/", "https://api:443/v1", True),
        ("http://api", "https://api", False),
        ("http://api:4000", "http://api:4001", False),
        ("http://api/v1", "http://api/V1", False),
        ("http://localhost", "http://127.0.0.1", False),
        ("http+unix://%2Frun%2Fa.sock", "http+unix://%2Frun%2FA.sock", False),
        ("http+unix://%2Frun%2Fa.sock", "http+unix://%2Frun%2Fa.sock/", True),
        ("http://api:99999", "http://api:99999", True),
    ],
)
def test_two_addresses_are_one_apis_if_they_differ_in_writing_alone(one, other, same):
    assert same_host(one, other) is same


def test_a_run_tells_to_where_it_goes_and_by_how_many_users():
    assert describe_target(METADATA) == {
        "target": {"host": "http://api:4000", "path": "/v1", "method": "POST"},
        "users": 0,
        "spawn_rate": 0.0,
        "wait": [0.1, 0.9],
        "pace": None,
    }


def test_a_run_with_a_rate_keeps_it_in_its_journal_and_describes_it():
    pace = PaceConfig("line(0,10,1m)", ((0.0, 10.0, 60.0),), "poisson")
    paced = replace(METADATA, pace=pace, terms=replace(METADATA.terms, paced=True, catch_up=3.0))
    assert RunMetadata.from_json(paced.to_json()) == paced
    said = {"mode": "rate", "profile": "line(0,10,1m)", "arrivals": "poisson", "catch_up": 3.0, "changes": []}
    assert describe_target(paced)["pace"] == said


def test_a_rate_that_was_changed_is_the_present_one_and_the_journal_has_all_of_them():
    pace = PaceConfig("10/s", ((10.0, 10.0, 1.0),), "even").changed(4.5, "50/s", Profile.level(50))
    paced = replace(METADATA, pace=pace.changed(9.0, "line(0,10,1m)", Profile([Piece(0, 10, 60)])))
    assert RunMetadata.from_json(paced.to_json()) == paced
    said = describe_target(paced)["pace"]
    assert said["profile"] == "line(0,10,1m)"
    assert said["changes"] == [{"from": 4.5, "profile": "50/s"}, {"from": 9.0, "profile": "line(0,10,1m)"}]
    assert isinstance(paced.pace, PaceConfig)
    schedule = paced.pace.schedule(1000, 1)
    assert (schedule.rate(4.4), schedule.rate(4.6), schedule.rate(39.0)) == (10, 50, 5)


def test_a_journal_of_a_release_that_knew_no_pace_is_read():
    data = json.loads(METADATA.to_json())
    del data["pace"], data["terms"]["paced"], data["terms"]["catch_up"]
    assert RunMetadata.from_json(json.dumps(data)) == METADATA


def test_recorded_times_stand_in_the_journal_as_they_were_asked_for():
    paced = replace(METADATA, order="time", pace=RecordedPace("/meta/at", "iso", 2.0, 5.0))
    assert RunMetadata.from_json(paced.to_json()) == paced
    said = describe_target(paced)["pace"]
    assert (said["mode"], said["profile"]) == ("time", "as recorded in /meta/at, 2 times as fast")
    assert (said["field"], said["format"], said["speed"], said["max_gap_s"]) == ("/meta/at", "iso", 2.0, 5.0)
