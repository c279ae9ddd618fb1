"""What a person does to a run on the master: its status, when it is given up, its journal, and what is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import gevent
import pytest

from traffic.clock import now_s
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import Decision, Send
from traffic.core.master.pacer import AHEAD_S, LEAD_S, Pacer
from traffic.core.master.run_state import RunState
from traffic.core.master.stall import GRACE_S, StallState
from traffic.core.pace.config import PaceConfig
from traffic.core.pace.profile import Profile
from traffic.core.protocol import VERSION, Hello, Hold
from traffic.errors import ActRefusedError
from traffic.master.active_run import ActiveRun
from traffic.master.outbox import Outbox
from traffic.master.run_acts import RunActs
from traffic.runs.journal import Journal
from traffic.runs.run_metadata import RunMetadata, ended, resumed
from traffic.runs.state_dir import StateFolder
from traffic.settings.readers import BadValueError
from unit.a_run import a_run, deliver
from unit.test_journal import METADATA

if TYPE_CHECKING:
    from traffic.dataset.dataset import Dataset

SOON_S = 5.0
NOBODY = "no worker is there"


class Bench:
    """A master's parts around a run of ten records. `sent` has each pause that workers were sent, and the journal's."""

    def __init__(self, folder: Path, metadata: RunMetadata = METADATA) -> None:
        run = a_run(folder, 10, [])
        if isinstance(metadata.pace, PaceConfig):
            run.pacer = Pacer(metadata.pace.schedule(10, 1))
        self.folder = StateFolder(folder)
        self.journal = Journal.create(self.folder.journal_path(metadata.run), metadata)
        self.active_run = ActiveRun(run, cast("Dataset", run.dataset), self.journal, self.folder)
        self.coordinator = LeaseCoordinator(LeaseTerms(), first_session=100)
        self.sent: list[tuple[bool, bool]] = []
        self.outbox = Outbox(self._act)
        self.outbox.journal = self.journal
        self.acts = RunActs(lambda: self.active_run, self.coordinator, self.outbox)
        self.server = gevent.spawn(self.outbox.serve)
        self.coordinator.receive("a", Hello(VERSION, 1), 0.0)
        self.coordinator.start(run, ["a"], 0.0)

    def _act(self, decision: Decision) -> None:
        assert isinstance(decision, Send)
        self.sent.append((decision.message.paused, self.journal.metadata.paused))  # type: ignore[attr-defined]

    def pause(self) -> None:
        self.acts.pause()
        assert self.outbox.drain(SOON_S)

    def unpause(self) -> None:
        self.acts.unpause()
        assert self.outbox.drain(SOON_S)

    @property
    def said(self) -> tuple[str, str, bool]:
        status = self.active_run.status({})
        return status["state"], status["reason"], status["paused_by_person"]

    def close(self) -> None:
        self.server.kill()
        self.journal.close()
        self.active_run.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_no_worker_hears_of_a_pause_or_its_end_before_the_journal_has_it(bench):
    bench.pause()
    bench.unpause()
    assert bench.sent == [(True, True), (False, False)]


def test_the_status_says_who_paused_the_run_and_that_it_goes_on(bench):
    bench.pause()
    assert bench.said == ("paused", "paused by a person", True)
    assert bench.active_run.update_state("", 1.0) is StallState.STALLED
    assert bench.said == ("paused", "paused by a person", True)
    bench.active_run.update_state(NOBODY, 2.0)
    assert bench.said == ("paused", "paused by a person; no worker is there", True)
    bench.unpause()
    assert bench.said == ("running", "", False)


def test_a_stall_is_no_persons_pause(bench):
    bench.active_run.update_state(NOBODY, 0.0)
    assert bench.active_run.update_state(NOBODY, GRACE_S) is StallState.STALLED
    assert bench.said == ("paused", NOBODY, False)


def test_a_persons_pause_is_never_given_up_and_a_stall_counts_anew_after_it(bench):
    give_up_s = bench.active_run.stall.give_up_s
    bench.active_run.update_state(NOBODY, 0.0)
    bench.pause()
    for now in (1.0, give_up_s, 1000 * give_up_s):
        assert bench.active_run.update_state(NOBODY, now) is StallState.STALLED
    bench.unpause()
    began = now + 1.0
    assert bench.active_run.update_state(NOBODY, began) is StallState.PROGRESSING
    assert bench.active_run.update_state(NOBODY, began + give_up_s - 1) is StallState.STALLED
    assert bench.said == ("paused", NOBODY, False)
    assert bench.active_run.update_state(NOBODY, began + give_up_s) is StallState.EXPIRED


def test_a_stalled_run_says_in_how_many_seconds_it_is_given_up(bench, caplog):
    give_up_s = bench.active_run.stall.give_up_s
    for now in (0.0, GRACE_S - 1, GRACE_S + 1):
        bench.active_run.update_state(NOBODY, now)
    assert f"paused: {NOBODY}; it is given up in {give_up_s - GRACE_S - 1:.0f} s if this lasts" in caplog.text


def test_a_person_can_pause_a_run_that_is_stalled_so_that_it_is_not_given_up(bench):
    bench.active_run.update_state(NOBODY, 0.0)
    bench.active_run.update_state(NOBODY, GRACE_S)
    bench.pause()
    assert bench.active_run.update_state(NOBODY, 1e9) is StallState.STALLED


def test_nobody_knows_how_long_a_paused_run_takes_and_its_pace_begins_anew_with_it(bench):
    deliver(bench.active_run.run, "a", 0, 1, 2, 3)
    bench.active_run.sample(1e9)
    bench.active_run.sample(1e9 + 1)
    deliver(bench.active_run.run, "a", 4)
    bench.active_run.sample(1e9 + 2)
    assert bench.active_run.status({})["eta_s"] > 0
    bench.pause()
    assert bench.active_run.status({})["eta_s"] is None
    bench.active_run.sample(1e9 + 30)
    assert bench.active_run.status({})["rate"] == 0.0
    bench.unpause()
    bench.active_run.sample(1e9 + 31)
    deliver(bench.active_run.run, "a", 5, 6)
    bench.active_run.sample(1e9 + 32)
    status = bench.active_run.status({})
    assert (status["rate"], status["eta_s"]) == (2.0, 1.5)


def test_what_cannot_be_done_is_refused_with_its_reason_and_changes_nothing(bench):
    run, nobody = bench.active_run.metadata.run, RunActs(lambda: None, bench.coordinator, bench.outbox)
    with pytest.raises(ActRefusedError, match=r"^There is no run to pause\.$"):
        nobody.pause()
    with pytest.raises(ActRefusedError, match=r"^There is no run to let go on\.$"):
        nobody.unpause()
    with pytest.raises(ActRefusedError, match=rf"^Run {run} is not paused by a person\.$"):
        bench.unpause()
    bench.pause()
    with pytest.raises(ActRefusedError, match=rf"^Run {run} is paused already\.$"):
        bench.pause()
    bench.unpause()
    bench.active_run.update_state(NOBODY, 0.0)
    bench.active_run.update_state(NOBODY, GRACE_S)
    why = rf"^Run {run} is not paused by a person, but waits: no worker is there\.$"
    with pytest.raises(ActRefusedError, match=why):
        bench.unpause()
    assert bench.sent == [(True, True), (False, False)]


def test_a_run_that_is_being_stopped_or_has_ended_is_neither_paused_nor_let_go_on(bench):
    bench.pause()
    bench.coordinator.stop()
    for act, word in ((bench.pause, "pause"), (bench.unpause, "let go on")):
        with pytest.raises(ActRefusedError, match=rf"is ending: there is nothing left to {word}\.$"):
            act()
    bench.active_run.begin_report()
    for act, word in ((bench.pause, "pause"), (bench.unpause, "let go on")):
        with pytest.raises(ActRefusedError, match=rf"^There is no run to {word}\.$"):
            act()


def test_a_resumed_run_is_paused_as_it_was_left_and_waits_for_its_workers_besides(tmp_path):
    bench = Bench(tmp_path, resumed(replace(METADATA, paused=True), 3, METADATA.host, 200))
    assert bench.said == ("paused", "paused by a person", True)
    bench.acts.restore(bench.active_run, headless=False)
    assert bench.outbox.drain(SOON_S)
    assert bench.sent == [(True, True)]
    bench.active_run.update_state(NOBODY, 1e9)
    assert bench.said == ("paused", "paused by a person; it was resumed and waits for its workers", True)
    bench.unpause()
    bench.active_run.update_state(NOBODY, 1e9)
    assert bench.said == ("paused", "it was resumed and waits for its workers", False)
    bench.close()


def test_a_headless_master_lets_a_resumed_run_go_on_and_says_so(tmp_path, caplog):
    bench = Bench(tmp_path, replace(METADATA, paused=True))
    bench.acts.restore(bench.active_run, headless=True)
    assert bench.outbox.drain(SOON_S)
    assert bench.said == ("running", "", False)
    assert bench.journal.metadata.paused is False
    assert "it goes on, as a headless master has no page" in caplog.text
    bench.close()


def test_a_pause_ends_with_its_run_so_that_a_stopped_one_is_not_resumed_paused():
    assert ended(replace(METADATA, paused=True), RunState.STOPPED, "2026-01-02T03:04:06Z").paused is False
    assert resumed(replace(METADATA, paused=True), 3, "http://api", 200).paused is True


def test_a_journal_of_before_there_were_pauses_is_read_as_not_paused():
    old = {name: value for name, value in json.loads(METADATA.to_json()).items() if name != "paused"}
    assert RunMetadata.from_json(json.dumps(old)) == METADATA
    assert RunMetadata.from_json(replace(METADATA, paused=True).to_json()).paused is True


def test_pausing_loses_no_fact_that_was_noted_before(bench):
    metadata = bench.active_run.note_users(8, 2.0)
    assert metadata is not None
    bench.outbox.note(metadata)
    bench.pause()
    assert (bench.journal.metadata.users, bench.journal.metadata.paused) == (8, True)


PACED = replace(METADATA, pace=PaceConfig.of("2/s", Profile.level(2), "even"))


def test_a_changed_rate_is_in_the_journal_and_counts_for_what_is_not_dealt(tmp_path, caplog):
    bench = Bench(tmp_path, PACED)
    assert bench.acts.change_rate("20/s") == AHEAD_S - LEAD_S
    assert bench.outbox.drain(SOON_S)
    pace, pacer = bench.journal.metadata.pace, bench.active_run.run.pacer
    assert isinstance(pace, PaceConfig)
    assert pacer
    assert (pace.present_rate, pace.rate, len(pace.changes)) == ("20/s", "2/s", 1)
    assert pacer.schedule.due([0, 1, 2, 9]).tolist() == pytest.approx([0.0, 0.5, 0.55, 0.9])
    restarted = pace.schedule(10, 1)
    assert restarted.due(range(10)).tolist() == pacer.schedule.due(range(10)).tolist()
    assert "a person has changed its rate from 2/s to 20/s, after 0 of 1000 records" in caplog.text
    assert bench.active_run.status({})["pace"]["profile"] == "20/s"
    bench.close()


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ("", "must be a rate"),
        ("fast", "must be a rate"),
        ("line(2,0,1s)", "must not end at 0/s too early: the profile ends"),
    ],
)
def test_what_is_no_rate_changes_nothing(tmp_path, rate, why):
    bench = Bench(tmp_path, PACED)
    pacer = bench.active_run.run.pacer
    assert pacer
    before = pacer.schedule.due(range(10)).tolist()
    with pytest.raises(BadValueError, match=f"^{why}"):
        bench.acts.change_rate(rate)
    assert pacer.schedule.due(range(10)).tolist() == before
    assert bench.active_run.metadata.pace == PACED.pace
    bench.close()


def test_a_run_without_a_rate_is_given_none(bench):
    with pytest.raises(
        ActRefusedError, match=r"has no rate: it goes as fast as its users send\. Start one with a rate"
    ):
        bench.acts.change_rate("5/s")


def test_a_pause_that_the_api_made_ends_with_a_try_and_one_of_a_person_does_not(bench):
    hold = bench.active_run.run.hold
    hold.note(Hold(3600.0, 429), "a", now_s())
    bench.pause()
    bench.unpause()
    assert hold.until > now_s() + 3000
    bench.outbox.note(bench.active_run.pause("held by the API, and the run waits 60 s at most by itself"))
    bench.outbox.put(bench.coordinator.pause())
    bench.unpause()
    assert hold.until <= now_s()


def test_why_the_api_has_paused_a_run_outlives_the_master(tmp_path):
    why = "held by the API until 14:05:10 UTC (429, Retry-After), and the run waits 60 s at most by itself"
    bench = Bench(tmp_path)
    bench.outbox.note(bench.active_run.pause(why))
    assert bench.outbox.drain(SOON_S)
    assert bench.said == ("paused", why, True)
    again = ActiveRun(bench.active_run.run, bench.active_run.dataset, bench.journal, bench.folder)
    assert (again.reason, again.paused_by_person) == (why, True)
    again.update_state(NOBODY, 1e9)
    assert again.reason == f"{why}; no worker is there"
    bench.close()
