"""Starts that would send records again, or to another host, are confirmed first."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from traffic.core.master.decisions import Leased
from traffic.core.master.run_state import RunState
from traffic.core.ranges import RangeSet
from traffic.master.start import RunStarter
from traffic.runs.journal import Journal
from traffic.runs.other_host import OtherHostError
from traffic.runs.run_metadata import ended
from traffic.runs.sent_before import AgainError
from unit.a_starter import RUN, Bench, a_bench
from unit.test_journal import METADATA, read


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as made:
        yield made


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
    active_run = bench.keep(starter.resume(starter.claim(), 1))
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
