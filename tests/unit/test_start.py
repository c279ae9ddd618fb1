"""What a start finds, opens and refuses, and the run that it makes of it. Of Locust there are the options alone."""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.dead_letters import buried
from traffic.core.master.decisions import Leased, OutcomesRecorded, Reopened
from traffic.core.master.run_state import RunState
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetter, RecordState
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.master.active_run import ActiveRun
from traffic.master.start import SESSIONS_OF_ONE_MASTER, RunStarter
from traffic.runs.history import ResumeError
from traffic.runs.journal import Journal, JournalError, JournalInUseError, JournalWriteError
from traffic.runs.other_host import OtherHostError
from traffic.runs.run_metadata import ended
from traffic.runs.sent_before import AgainError
from traffic.runs.state_dir import StateError, StateFolder
from traffic.settings import OPTIONS, SettingsError
from unit.test_journal import METADATA, read

RUN = METADATA.run


class Bench:
    """A folder with a traffic file and a state folder; `starts` makes what a master has, with or without a form."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "traffic.json"
        self.file.write_text(json.dumps([{"n": n} for n in range(10)]))
        with closing(Dataset.open(self.file)) as dataset:
            self.digest = dataset.digest
        self.folder = StateFolder(tmp_path / "state")
        self.open: list[Callable[[], None]] = []

    def options(self, **said: str) -> argparse.Namespace:
        given = {option.name: option.default for option in OPTIONS}
        given |= {"traffic_file": str(self.file), "traffic_state_dir": str(self.folder.path), "traffic_seed": "5"}
        return argparse.Namespace(**{**given, "host": METADATA.host, "autostart": False, **said})

    def starter(self, *, form: bool = True, **said: str) -> RunStarter:
        environment: Any = SimpleNamespace(
            parsed_options=self.options(**said), web_ui=object() if form else None, user_classes=[], shape_class=None
        )
        return RunStarter(environment)

    def leave(self, state: str = "running", **changed: Any) -> Path:
        """The journal of a run that an earlier master began: of ten records one is delivered, two were in hand."""
        path = self.folder.journal_path(RUN)
        said = {"file": str(self.file), "records": 10, "digest": self.digest, "state": state} | changed
        metadata = replace(METADATA, **said)
        with closing(Journal.create(path, metadata)) as journal:
            journal.write([Leased(1, "a", RangeSet([(0, 3)])), OutcomesRecorded("a", RangeSet([(0, 1)]), (), 1, 0)])
        return path

    def begin(self, starter: RunStarter, first_session: int = 1) -> ActiveRun:
        return self._kept(starter.begin(starter.claim(), first_session))

    def resume(self, starter: RunStarter, first_session: int = 1) -> ActiveRun:
        return self._kept(starter.resume(starter.claim(), first_session))

    def _kept(self, active_run: ActiveRun) -> ActiveRun:
        self.open += [active_run.close, active_run.journal.close]
        return active_run


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for close in made.open:
        close()


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


@pytest.mark.parametrize("form", [True, False])
def test_a_run_that_was_cut_off_is_found_with_what_was_in_hand(bench, form):
    bench.leave()
    prepared = bench.starter(form=form).find_interrupted()
    with closing(prepared):
        assert prepared.to_resume.journal.metadata.run == RUN
        assert prepared.to_resume.held == {"a": RangeSet([(1, 3)])}
        assert prepared.to_resume.run.ledger.counts == [9, 0, 1, 0, 0]
        assert prepared.host == METADATA.host


@pytest.mark.parametrize(("state", "resume"), [("stopped", ""), ("running", "no"), ("completed", "")])
def test_a_run_that_has_ended_or_is_not_wanted_is_not_found(bench, state, resume):
    bench.leave(state)
    assert bench.starter(traffic_resume=resume).find_interrupted() is None


@pytest.mark.parametrize("resume", ["last", RUN])
def test_a_run_that_was_stopped_is_found_where_the_options_name_it(bench, resume):
    bench.leave("stopped")
    with closing(bench.starter(traffic_resume=resume).find_interrupted()) as prepared:
        assert prepared.to_resume.journal.metadata.run == RUN


def test_the_journal_knows_its_file_where_a_person_filled_in_the_form(bench, tmp_path):
    bench.leave()
    with closing(bench.starter(traffic_file="another.json").find_interrupted()) as prepared:
        assert prepared.dataset.file == bench.file
    with pytest.raises(DatasetError, match=r"another\.json"):
        bench.starter(form=False, traffic_file=str(tmp_path / "another.json")).find_interrupted()


def test_another_file_is_refused_and_the_journal_closed(bench):
    path = bench.leave()
    bench.file.write_text('[{"n": 1}]')
    for form in (True, False):
        with pytest.raises(ResumeError, match="is not the file that run"):
            bench.starter(form=form).find_interrupted()
    assert read(path)[1].state == "running"


def test_a_form_that_names_no_run_is_refused_while_one_was_cut_off(bench):
    path = bench.leave()
    with pytest.raises(ResumeError, match=f"run {RUN} was cut off and is not finished") as caught:
        bench.starter().check(bench.options())
    assert all(f"--traffic-resume {choice}" in str(caught.value) for choice in ("last", "no"))
    assert read(path)[1].state == "running"


@pytest.mark.parametrize("state", ["running", "stopped", "failed"])
def test_a_run_is_resumed_with_its_own_terms_and_that_is_journaled(bench, state):
    path = bench.leave(state, ended="2026-01-02T04:00:00Z", first_session=500)
    active_run = bench.resume(bench.starter(traffic_resume="last", traffic_path="/other", traffic_seed="6"))
    assert active_run.run.config == METADATA.terms
    assert (active_run.run.order.seed, active_run.settled, active_run.had_worker) == (METADATA.seed, 1, False)
    active_run.journal.close()
    entries, metadata = read(path)
    assert len(entries) == 2
    assert metadata == active_run.metadata
    assert (metadata.state, metadata.ended, metadata.host) == ("running", None, METADATA.host)
    assert [one.settled for one in metadata.resumed] == [1]


def test_a_resumed_run_waits_as_long_as_its_new_master_was_told(bench):
    bench.leave("stopped", give_up_s=4)
    active_run = bench.resume(bench.starter(traffic_resume="last", traffic_give_up="10"))
    assert (active_run.stall.give_up_s, active_run.journal.metadata.give_up_s) == (10, 10)


def test_dead_letters_that_are_sent_again_are_journaled_before_anything_is_sent(bench):
    path = bench.leave("completed", ended="2026-01-02T04:00:00Z", told=True)
    letter = DeadLetter(1, RecordState.REJECTED, 2, 422, "HTTP 422", "a")
    with closing(Journal.open(path)) as journal:
        journal.write([OutcomesRecorded("a", RangeSet([(2, 10)]), (buried(letter),), 11, 0)])
    before = read(path)
    starter = bench.starter(traffic_resume=RUN, traffic_resend="dead-letters")
    starter.check(starter.options)
    starter.claim().close()
    assert read(path) == before, "a start that is called off changes nothing"
    active_run = bench.resume(starter)
    assert (active_run.settled, active_run.run.ledger.prior_attempts.former) == (9, {1: letter})
    active_run.journal.close()
    entries, metadata = read(path)
    assert entries == [*before[0], Reopened(RangeSet([(1, 2)]))]
    assert (metadata.state, metadata.ended, metadata.told) == ("running", None, False)
    assert [(one.settled, one.resent_dead_letters) for one in metadata.resumed] == [(9, 1)]
    assert active_run.status({})["resumed"] == [{"at": metadata.resumed[0].at, "settled": 9, "resent_dead_letters": 1}]


@pytest.mark.parametrize(
    ("mine", "first"), [(1, 500 + SESSIONS_OF_ONE_MASTER), (10 * SESSIONS_OF_ONE_MASTER, 10 * SESSIONS_OF_ONE_MASTER)]
)
def test_the_sessions_of_a_resumed_run_are_newer_than_any_before(bench, mine, first):
    bench.leave(first_session=500)
    assert bench.resume(bench.starter(traffic_resume="last"), mine).metadata.first_session == first


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


OTHER = "http://other:4000"


@pytest.mark.parametrize("resend", ["", "dead-letters"])
def test_a_run_goes_on_at_its_own_host_unless_another_is_asked_for_and_confirmed(bench, resend):
    path = bench.leave("stopped")
    starter = bench.starter(host="http://form:1", traffic_resend=resend)
    asked = {"traffic_resume": "last", "traffic_resend": resend}
    for same in ("", METADATA.host, METADATA.host.upper() + "/"):
        starter.check(bench.options(host=same, **asked))
        with closing(starter.claim()) as prepared:
            assert prepared.host == METADATA.host
    with pytest.raises(OtherHostError) as caught:
        starter.check(bench.options(host=OTHER, **asked))
    assert str(caught.value).startswith(f"run {RUN} went to {METADATA.host}, and is asked to go on to {OTHER}. ")
    assert "none of its keys" in str(caught.value)
    assert "(1 of 10 records are settled)" in str(caught.value)
    assert "TRAFFIC_OTHER_HOST=yes" in str(caught.value)
    assert read(path)[1].host == METADATA.host, "and its journal is free, and as it was"
    starter.check(bench.options(host=OTHER, traffic_other_host="yes", **asked))
    active_run = bench._kept(starter.resume(starter.claim(), 1))
    assert (active_run.metadata.host, active_run.metadata.resumed[-1].host) == (OTHER, OTHER)
    assert active_run.status({})["resumed"][-1]["host"] == OTHER
    assert active_run.status({})["target"] == {"host": OTHER, "path": "/v1", "method": "POST"}


@pytest.mark.parametrize("resume", ["", "last"])
def test_a_master_that_nobody_attends_goes_on_at_another_host_only_if_it_is_told_so(bench, resume):
    bench.leave("running")
    with pytest.raises(OtherHostError):
        bench.starter(form=False, host=OTHER, traffic_resume=resume).find_interrupted()
    with closing(
        bench.starter(form=False, host=OTHER, traffic_resume=resume, traffic_other_host="yes").find_interrupted()
    ) as made:
        assert made.host == OTHER
    by_class = bench.starter(form=False, host=None, traffic_resume=resume)
    with closing(by_class.find_interrupted()) as made:
        assert made.host == METADATA.host
    by_class._environment.user_classes = [SimpleNamespace(host=OTHER, over_unix_sockets=True)]
    with pytest.raises(OtherHostError):
        by_class.find_interrupted()


def test_a_master_with_a_form_takes_a_run_up_at_the_runs_host_whatever_the_form_offers(bench):
    bench.leave("running")
    with closing(bench.starter(host=OTHER).find_interrupted()) as made:
        assert made.host == METADATA.host


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_file_of_which_a_run_was_stopped_half_way_is_not_sent_again_unasked(bench, form, state):
    path = bench.leave(state, ended="2026-01-02T04:00:00Z")
    starter = bench.starter(form=form, traffic_path="/v1")
    with pytest.raises(AgainError) as caught:
        starter.check(starter.options)
    how = "was stopped" if state == "stopped" else "was given up"
    said = str(caught.value)
    assert said.startswith(f"run {RUN} to {METADATA.host} {how} half way at 2026-01-02T04:00:00Z: 1 of 10 records of ")
    assert "(1 delivered, 0 rejected, 0 in doubt), 9 are left." in said
    assert all(way in said for way in (f"TRAFFIC_RESUME={RUN}", "TRAFFIC_AGAIN=yes"))
    again = caught.value.more["again"]
    assert (again["run"], again["counts"]["settled"], again["counts"]["left"]) == (RUN, 1, 9)
    assert read(path)[1].state == state, "its journal is free, and nothing is changed"


def test_who_wants_it_sent_again_is_not_asked_for_the_same_run_any_more(bench):
    path = bench.leave("stopped")
    bench.begin(bench.starter(traffic_path="/v1", traffic_again="yes")).journal.close()
    assert read(path)[1].left
    begun = bench.starter(traffic_path="/v1")._environment
    bench.folder.remove_run(bench.folder.runs()[0])  # the run that was begun instead
    RunStarter(begun).check(begun.parsed_options)
    with closing(bench.starter(traffic_resume=RUN).find_interrupted()) as prepared:
        assert prepared.to_resume.journal.metadata.run == RUN, "a person may still want it"


def test_a_run_that_was_left_by_no_is_not_asked_for_any_more(bench):
    bench.leave("running")
    bench.begin(bench.starter(traffic_path="/v1", traffic_resume="no")).journal.close()
    bench.folder.remove_run(bench.folder.runs()[0])
    starter = bench.starter(traffic_path="/v1")
    starter.check(starter.options)
    starter.claim().close()


def test_one_that_is_stopped_once_more_is_asked_for_again(bench):
    bench.leave("stopped", left=True)
    active_run = bench.resume(bench.starter(traffic_resume="last"))
    active_run.journal.write(metadata=ended(active_run.metadata, RunState.STOPPED, "2026-01-02T05:00:00Z"))
    active_run.journal.close()
    starter = bench.starter(traffic_path="/v1")
    with pytest.raises(AgainError):
        starter.check(starter.options)


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({"state": "completed"}, {}),
        ({"digest": "cd" * 32}, {}),
        ({}, {"host": OTHER}),
        ({}, {"traffic_path": "/v2"}),
        ({"records": 5}, {"traffic_offset": "5"}),
        ({"offset": 5, "records": 5}, {"traffic_limit": "5"}),
        ({"left": True}, {}),
    ],
)
def test_another_start_is_not_asked_about(bench, changed, asked):
    bench.leave(**{"state": "stopped"} | changed)
    starter = bench.starter(**{"traffic_path": "/v1"} | asked)
    starter.check(starter.options)
    starter.claim().close()


@pytest.mark.parametrize(("entries", "asks"), [([], False), ([Leased(1, "a", RangeSet([(0, 3)]))], True)])
def test_a_stopped_run_is_asked_about_if_any_of_it_may_have_been_sent(bench, entries, asks):
    bench.folder.prepare()
    metadata = replace(METADATA, file=str(bench.file), records=10, digest=bench.digest, state="stopped")
    with closing(Journal.create(bench.folder.journal_path(RUN), metadata)) as journal:
        journal.write(entries)
    starter = bench.starter(traffic_path="/v1")
    if asks:
        with pytest.raises(AgainError):
            starter.check(starter.options)
    else:
        starter.check(starter.options)
        starter.claim().close()


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


def failing(*_: object, **__: object) -> None:
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
    with pytest.raises(SettingsError, match="TRAFFIC_LIMT is none of this program's, and nearly TRAFFIC_LIMIT"):
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
