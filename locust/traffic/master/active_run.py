"""A run as the master process keeps it: the core's account with its times, its pace, and its files."""

import logging
from dataclasses import replace
from typing import Any

from gevent.event import Event

from traffic.clock import ever_greater, now_s, timestamp
from traffic.core.master.progress import Progress
from traffic.core.master.report import RunContext, dead_letters, run_status, unsent_indexes
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.master.stall import StallDetector, StallState
from traffic.core.master.timeline import Sample, Timeline
from traffic.core.master.verdict import succeeded, verdict
from traffic.core.record_state import RecordState
from traffic.dataset.dataset import Dataset
from traffic.master.audit import reconcile
from traffic.master.lifecycle import Lifecycle, Phase
from traffic.master.threads import in_thread
from traffic.runs.journal import Journal, JournalError, JournalWriteError, mark_reported
from traffic.runs.run_metadata import RunMetadata, ended
from traffic.runs.state_dir import StateFolder
from traffic.runs.target import describe_target
from traffic.terminal import plain

logger = logging.getLogger(__name__)


BY_A_PERSON = "paused by a person"


class ActiveRun:
    """One run. `state` is running, paused, stopping, completed, stopped or failed.

    A run is paused by a person, or because it cannot go on. It is `live` until it is being closed, then `ending` until
    its report is made. `metadata` is that of its journal, which this object closes at its end. `had_worker`: a worker
    has been there since the master began or resumed it. `troubles` says, by worker, why one gets nothing
    done, or what it lacks.
    `reclaimed` counts the leases that were taken back since then.
    """

    def __init__(self, run: Run, dataset: Dataset, journal: Journal, folder: StateFolder) -> None:
        self.run, self.dataset, self.journal, self.folder = run, dataset, journal, folder
        self.metadata = journal.metadata
        self.stall = StallDetector(self.metadata.give_up_s)
        paused = self.metadata.paused
        self._life = Lifecycle(Phase.PAUSED, BY_A_PERSON) if paused else Lifecycle(Phase.RUNNING)
        # Set when the run has its report.
        self.reported = Event()
        self.had_worker = not self.metadata.resumed
        self.report: dict[str, Any] | None = None
        self.reclaimed = 0
        self.troubles: dict[str, str] = {}
        self._discardable = False
        self._progress, self.timeline = Progress(), Timeline(ever_greater())
        self._began, self._settled_before = now_s(), self.settled
        self.sample(self._began)

    @property
    def state(self) -> RunState:
        """The state that the run is shown in."""
        return self._life.state

    @property
    def reason(self) -> str:
        """Why the run is in this state, if there is anything to say."""
        return self._life.reason

    @property
    def live(self) -> bool:
        """Whether outcomes are still accepted: the report is neither made nor being made."""
        return self._life.phase in (Phase.RUNNING, Phase.PAUSED, Phase.STOPPING)

    @property
    def ending(self) -> bool:
        """Whether the report is being made."""
        return self._life.phase is Phase.REPORTING

    @property
    def paused_by_person(self) -> bool:
        """Whether a person has paused the run and has not let it go on."""
        return self.metadata.paused and self.state == RunState.PAUSED

    def pause(self) -> RunMetadata:
        """Pause the run for a person; return the changed metadata."""
        self._life.transition(Phase.PAUSED, BY_A_PERSON)
        self.metadata = replace(self.metadata, paused=True)
        return self.metadata

    def unpause(self) -> RunMetadata:
        """Let the run go on for a person; return the changed metadata. Rate and stall are measured from now on."""
        self._life.transition(Phase.RUNNING)
        self.metadata = replace(self.metadata, paused=False)
        self._progress = Progress()
        return self.metadata

    def stop(self) -> None:
        """Note that nothing more is handed out, and that the workers' last acks are awaited."""
        self._life.transition(Phase.STOPPING)

    def begin_report(self) -> None:
        """Note that no outcome is accepted any more: the ledger is closed, and the report is made next."""
        self._life.transition(Phase.REPORTING)

    @property
    def settled(self) -> int:
        """How many records have their outcome."""
        return self.run.ledger.settled

    def sample(self, now: float) -> None:
        """Note how far the run has come."""
        self._progress.note(self.settled, now)
        self._trace(now)

    def _trace(self, now: float, *, last: bool = False) -> None:
        since, counts = now - self._began, self.run.ledger.counts
        if last or self.timeline.due(since):
            settled = counts[RecordState.DELIVERED], counts[RecordState.REJECTED], counts[RecordState.IN_DOUBT]
            attempts = sum(self.run.attempts.values())
            self.timeline.note(
                Sample(since, *settled, counts[RecordState.LEASED], counts[RecordState.PENDING], attempts), last=last
            )

    def update_state(self, stalled: str, now: float) -> StallState:
        """Take why the run can make no progress (empty: it can), be paused or go on accordingly; the verdict.

        A resumed run waits for its first worker as long as it takes, and one that a person has paused for a person.
        """
        if self._life.phase not in (Phase.RUNNING, Phase.PAUSED):
            return StallState.PROGRESSING
        if not self.had_worker:
            verdict, stalled = StallState.STALLED, "it was resumed and waits for its workers"
        else:
            verdict = self.stall.update("" if self.metadata.paused else stalled, now)
        if self.metadata.paused:
            self._life.transition(Phase.PAUSED, f"{BY_A_PERSON}; {stalled}" if stalled else BY_A_PERSON)
            return StallState.STALLED
        self._follow(verdict, stalled, now)
        return verdict

    def _follow(self, verdict: StallState, stalled: str, now: float) -> None:
        """Pause a run that has stalled, let one go on that makes progress, and keep the reason up to date."""
        paused = self._life.phase is Phase.PAUSED
        if verdict is StallState.PROGRESSING and paused:
            self._life.transition(Phase.RUNNING)
            logger.info("the run goes on")
        elif verdict is StallState.STALLED and not paused:
            self._life.transition(Phase.PAUSED, stalled)
            until = f"; it is given up in {self.stall.left_s(now):.0f} s if this lasts" if self.had_worker else ""
            logger.warning("the run is paused: %s%s", stalled, until)
        elif paused:
            self._life.transition(Phase.PAUSED, stalled)

    def note_users(self, users: int, rate: float) -> RunMetadata | None:
        """Take how many users there are to be, and how fast they come; return the metadata if that is news."""
        if not users or (users, rate) == (self.metadata.users, self.metadata.spawn_rate):
            return None
        self.metadata = replace(self.metadata, users=users, spawn_rate=rate)
        return self.metadata

    def status(self, worker_states: dict[str, str]) -> dict[str, Any]:
        """The run's status now; its report once it has one."""
        if self.report is not None:
            return self.report
        context = self._context(self.state, self.reason, None, worker_states)
        return run_status(self.run, context, self._progress) | describe_target(self.metadata)

    def finish(self, state: RunState, reason: str, worker_states: dict[str, str]) -> dict[str, Any]:
        """Make the delivery report, hold it against the target's audit, write it, print it; the report.

        The journal is closed, and stays until `discard_journal`.
        """
        seconds = (now := now_s()) - self._began
        self._trace(now, last=True)
        context = self._context(state, reason, timestamp(), worker_states)
        report = run_status(self.run, context, self._progress) | describe_target(self.metadata)
        rate = (self.settled - self._settled_before) / seconds if seconds > 0 else 0.0
        report |= {"seconds": round(seconds, 3), "rate": round(rate, 1)}
        # What was settled before the run moved to this target may be at the former one alone.
        elsewhere = max((one.settled for one in self.metadata.resumed if one.host), default=0)
        report["audit"] = reconcile(self.metadata.host, self.run.config.run, report["counts"], elsewhere)
        report["verdict"] = verdict(report)
        self._discardable = self._write(report) and state is RunState.COMPLETED
        self._end_journal(state, report["ended"])
        self.report = report
        self._life.transition(Phase(state), reason)
        self.reported.set()
        logger.info("%s", plain.report_table(report), extra={"report": report})
        return report

    def close(self) -> None:
        """Let go of the file: another run begins."""
        self.dataset.close()

    def _context(self, state: RunState, reason: str, at: str | None, worker_states: dict[str, str]) -> RunContext:
        resumed = tuple(one.to_json() for one in self.metadata.resumed)
        paused = at is None and self.paused_by_person
        known = self.metadata.started, at, worker_states, resumed
        return RunContext(state, reason, *known, paused_by_person=paused, troubles=self.troubles)

    def discard_journal(self) -> None:
        """Delete the journal of a run that has its report, and of which every record was delivered.

        Where others were settled, too, the run can be taken up for its dead letters: its journal is told that the run
        is done with until then. So is that of a run whose audit disagrees: it says who reported what. One that is not
        completed can be resumed, and its journal stays as it is.
        """
        if not self._discardable or self.report is None:
            return
        self._discardable = False
        try:
            if succeeded(self.report):
                self.journal.remove()
            else:
                in_thread(mark_reported, self.journal.path)
        except (OSError, JournalError, JournalWriteError) as error:
            reason = getattr(error, "strerror", None) or error
            logger.warning("the journal %s could not be put away: %s", self.journal.path, reason)

    def _end_journal(self, state: RunState, at: str) -> None:
        try:
            in_thread(self.journal.write, metadata=ended(self.metadata, state, at))
        except JournalWriteError as error:
            logger.error("the journal %s cannot be told that the run has ended: %s", self.journal.path, error)  # noqa: TRY400 - the reason is all there is to say
            self._discardable = False
        self.journal.close()

    def _write(self, report: dict[str, Any]) -> bool:
        try:
            letters, unsent = dead_letters(self.run), unsent_indexes(self.run)
            path = in_thread(self.folder.write_report, report, letters, unsent)
        except OSError as error:
            reason = f"{error.strerror or error}"
            logger.error("the report could not be written to %s (%s); it follows here", self.folder.path, reason)  # noqa: TRY400 - the reason is all there is to say
            return False
        logger.info("report written to %s", path)
        return True
