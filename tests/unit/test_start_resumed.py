"""Which run a start finds to resume, and what it writes into that run's journal."""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.dead_letters import letter_group
from traffic.core.master.decisions import OutcomesRecorded, Reopened
from traffic.core.ranges import RangeSet
from traffic.core.record_state import DeadLetter, RecordState
from traffic.dataset.dataset import DatasetError
from traffic.master.start import SESSIONS_OF_ONE_MASTER
from traffic.runs.history import ResumeError
from traffic.runs.journal import VERSION, Journal, JournalError
from traffic.runs.run_metadata import Resumption
from unit.a_starter import RUN, Bench, a_bench
from unit.test_journal import METADATA, read


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as made:
        yield made


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


def rewrite_metadata(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a journal's metadata as another release might have written it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        data = json.loads(database.execute("SELECT body FROM facts").fetchone()[0])
        change(data)
        body = json.dumps(data)
        database.execute("UPDATE facts SET body = ?, checksum = ?", (body, zlib.crc32(body.encode())))


def test_a_run_of_a_later_release_is_resumed_whatever_else_its_metadata_says(bench):
    path = bench.leave("stopped", resumed=(Resumption("2026-01-02T03:30:00Z", 1),))
    before = read(path)

    def add_members(data: dict[str, Any]) -> None:
        data |= {"tenant": "a", "limits": {"rate": [1, 2]}, "terms": data["terms"] | {"protocol": "h3"}}
        data["resumed"][0] |= {"by": "a person"}

    rewrite_metadata(path, add_members)
    assert read(path) == before
    active_run = bench.resume(bench.starter(traffic_resume="last"))
    assert (active_run.run.config, active_run.settled) == (METADATA.terms, 1)
    active_run.journal.close()
    assert [one.settled for one in read(path)[1].resumed] == [1, 1]


def test_a_journal_of_a_version_that_this_release_does_not_know_is_refused_and_left_as_it_is(bench):
    path = bench.leave("stopped")
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    rewrite_metadata(path, lambda data: data.update(tenant="a"))
    before = path.read_bytes()
    words = f"is of version {VERSION + 1}, and this release knows versions 1 to {VERSION}. Finish that run with"
    starter = bench.starter(traffic_resume=RUN)
    with pytest.raises(JournalError, match=words):
        starter.check(starter.options)
    assert path.read_bytes() == before


def test_a_resumed_run_waits_as_long_as_its_new_master_was_told(bench):
    bench.leave("stopped", give_up_s=4)
    active_run = bench.resume(bench.starter(traffic_resume="last", traffic_give_up="10"))
    assert (active_run.stall.give_up_s, active_run.journal.metadata.give_up_s) == (10, 10)


def test_dead_letters_that_are_sent_again_are_journaled_before_anything_is_sent(bench):
    path = bench.leave("completed", ended="2026-01-02T04:00:00Z", told=True)
    letter = DeadLetter(1, RecordState.REJECTED, 2, 422, "HTTP 422", "a")
    with closing(Journal.open(path)) as journal:
        journal.write([OutcomesRecorded("a", RangeSet([(2, 10)]), (letter_group(letter),), 11, 0)])
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
