"""What a start opens and refuses, and the run that it begins. Locust is not started; only its options are there."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from traffic.dataset.dataset import DatasetError
from traffic.runs.history import ResumeError
from traffic.runs.journal import Journal, JournalError, JournalInUseError, JournalWriteError
from traffic.runs.state_dir import StateError
from traffic.settings import SettingsError
from unit.a_starter import RUN, Bench, a_bench
from unit.test_journal import METADATA, read


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as made:
        yield made


def test_a_new_run_has_a_journal_that_says_what_it_was_asked_to_be(bench):
    starter = bench.starter(traffic_path="/v1", traffic_method="PUT", traffic_wait="0", traffic_policy="at-most-once")
    active_run = bench.begin(starter, first_session=77)
    metadata, terms = active_run.metadata, active_run.run.config
    assert (terms.path, terms.method, terms.wait, terms.policy) == ("/v1", "PUT", (0.0, 0.0), "at-most-once")
    assert (metadata.records, metadata.digest, metadata.file) == (10, bench.digest, str(bench.file))
    assert (metadata.seed, metadata.order, metadata.host, metadata.first_session) == (5, "random", METADATA.host, 77)
    assert (metadata.state, metadata.ended, metadata.resumed) == ("running", None, ())
    assert (active_run.state, active_run.had_worker, active_run.settled) == ("running", True, 0)
    assert active_run.journal.path == bench.folder.journal_path(terms.run)
    active_run.journal.close()
    assert read(active_run.journal.path) == ([], metadata)


def test_with_no_a_new_run_begins_and_the_one_that_was_cut_off_can_still_be_had(bench):
    path = bench.leave()
    active_run = bench.begin(bench.starter(traffic_resume="no"))
    assert active_run.run.config.run != RUN
    assert read(path)[1].state == "stopped"


def test_nothing_is_left_by_the_check_before_it_is_used(bench):
    path = bench.leave()
    starter = bench.starter()
    starter.check(bench.options(traffic_resume="no"))
    assert read(path)[1].state == "running", "the start may still be called off"


def test_a_second_check_lets_go_of_what_the_first_had_opened(bench):
    path = bench.leave("stopped")
    starter = bench.starter()
    starter.check(bench.options(traffic_resume="last"))
    with pytest.raises(JournalInUseError):
        read(path)
    with pytest.raises(DatasetError):
        starter.check(bench.options(traffic_file=str(bench.file) + ".no"))
    assert read(path)[1].run == RUN
    starter.check(bench.options(traffic_resume="last"))
    starter.claim().close()
    assert read(path)[1].run == RUN


def test_what_was_checked_is_claimed_once_and_then_prepared_anew(bench):
    starter = bench.starter()
    checked = starter.check(starter.options)
    with closing(starter.claim()) as first, closing(starter.claim()) as second:
        assert first is checked
        assert second is not checked


def test_a_start_that_is_called_off_frees_its_journal_and_says_why_to_whoever_waits(bench):
    path = bench.leave("stopped")
    starter = bench.starter()
    prepared = starter.check(bench.options(traffic_resume="last"))
    assert not prepared.begun.ready()
    starter.claim().call_off(StateError("the disk is full"))
    assert read(path)[1].run == RUN
    with pytest.raises(StateError, match="the disk is full"):
        prepared.begun.get(timeout=1)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"traffic_wait": "x"}, SettingsError),
        ({"host": ""}, SettingsError),
        ({"traffic_resume": "20991231-000000-abcd"}, ResumeError),
        ({"traffic_state_dir": "/dev/null/state"}, StateError),
    ],
)
def test_what_a_start_is_refused_for_is_found_by_its_check(bench, said, error):
    with pytest.raises(error):
        bench.starter().check(bench.options(**said))


@pytest.mark.parametrize("form", [True, False])
def test_a_start_deletes_no_folder_and_overwrites_no_report_of_somebody_elses(bench, form):
    for number in range(105):
        (bench.folder.path / "runs" / f"experiment-{number}" / "weights").mkdir(parents=True)
    (bench.folder.path / "report.json").write_text("[]")
    before = sorted(bench.folder.path.rglob("*"))
    starter = bench.starter(form=form, traffic_keep_runs="1")
    with pytest.raises(StateError, match=r"is no state folder: it holds 'report\.json' and 1 more"):
        starter.check(starter.options)
    assert sorted(bench.folder.path.rglob("*")) == before


def test_what_others_put_into_a_state_folder_stays_there(bench):
    bench.begin(bench.starter()).journal.close()
    foreign = [bench.folder.path / "runs" / f"experiment-{number}" for number in range(5)]
    for folder in foreign:
        folder.mkdir()
        os.utime(folder, (0, 0))
    bench.begin(bench.starter(traffic_resume="no", traffic_keep_runs="1", traffic_keep_days="1"))
    assert all(folder.is_dir() for folder in foreign)


def test_a_run_that_lies_in_somebody_elses_folder_is_not_taken_up(bench):
    path = bench.leave()
    (bench.folder.path / "thesis.tex").write_text("x")
    for form in (True, False):
        with pytest.raises(StateError, match="thesis"):
            bench.starter(form=form).find_interrupted()
    assert read(path)[1].state == "running"


def failing(*_: object, **__: Any) -> None:
    raise JournalWriteError("the disk is full")


def test_a_journal_that_cannot_be_begun_is_the_state_folders_fault(bench, monkeypatch):
    monkeypatch.setattr(Journal, "create", failing)
    with pytest.raises(StateError, match=r"cannot be written \(the disk is full\)\. Name another .* or make room"):
        bench.begin(bench.starter())


def test_a_run_that_cannot_be_journaled_as_resumed_is_not_resumed(bench, monkeypatch):
    bench.leave()
    starter = bench.starter(traffic_resume="last")
    starter.check(starter.options)
    monkeypatch.setattr(Journal, "write", failing)
    with closing(starter.claim()) as prepared, pytest.raises(JournalError, match=r"\(the disk is full\)\. Make room"):
        starter.resume(prepared, 1)


def test_old_runs_are_deleted_as_a_new_one_begins(bench):
    bench.folder.prepare()
    for day in range(1, 6):
        bench.folder.write_report({"run": f"2020010{day}-000000-abcd"}, [], [])
    bench.leave("running")
    active_run = bench.begin(bench.starter(traffic_resume="no", traffic_keep_runs="3"))
    assert bench.folder.runs() == [active_run.run.config.run, RUN, "20200105-000000-abcd"]


def test_a_mistyped_variable_is_refused_before_anything_is_opened(bench, monkeypatch):
    starter = bench.starter(traffic_file="nowhere")
    monkeypatch.setenv("TRAFFIC_LIMT", "10")
    with pytest.raises(SettingsError, match="TRAFFIC_LIMT is no option of this program, but nearly TRAFFIC_LIMIT"):
        starter.check(starter.options)
    assert not bench.folder.path.exists()


def test_a_mistyped_variable_is_refused_where_nobody_would_see_it_before_a_run_goes_on(bench, monkeypatch):
    bench.leave()
    monkeypatch.setenv("TRAFFIC_LIMT", "10")
    with pytest.raises(SettingsError, match="TRAFFIC_LIMT"):
        bench.starter(form=False).find_interrupted()


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize(
    ("said", "flag"),
    [
        ({"num_users": 0}, "--users (LOCUST_USERS)"),
        ({"num_users": -1}, "--users (LOCUST_USERS)"),
        ({"num_users": 99999999999999999999}, "--users (LOCUST_USERS)"),
        ({"spawn_rate": 1e-9}, "--spawn-rate (LOCUST_SPAWN_RATE)"),
        ({"spawn_rate": 1e300}, "--spawn-rate (LOCUST_SPAWN_RATE)"),
        ({"spawn_rate": float("nan")}, "--spawn-rate (LOCUST_SPAWN_RATE)"),
        ({"spawn_rate": float("inf")}, "--spawn-rate (LOCUST_SPAWN_RATE)"),
    ],
)
def test_users_that_cannot_be_had_are_refused_where_locust_starts_by_itself(bench, said, flag, form):
    with pytest.raises(SettingsError) as refused:
        bench.starter(form=form, autostart=form, **said).claim()
    assert str(refused.value).endswith(f"Set {flag}.")
    bench.leave()
    with pytest.raises(SettingsError):
        bench.starter(form=form, autostart=form, **said).find_interrupted()


def test_users_are_nobodys_business_where_a_shape_or_nothing_says_how_many(bench):
    starter = bench.starter(form=False, num_users=0)
    starter._environment.shape_class = object()
    starter.claim().close()
    bench.starter(form=False, num_users=None, spawn_rate=None).claim().close()
    bench.starter(form=False, num_users=1_000_000, spawn_rate=0.0001).claim().close()


def test_a_form_that_was_checked_is_not_held_against_the_command_line(bench):
    starter = bench.starter(num_users=0)
    starter.check(bench.options())
    starter.claim().close()
