"""Keep a run for the master's process: the core's run, its dataset, journal and state, and at last its report.

Guarded here: whoever reads the run's state finds one that `lifecycle` allows, and a journal is deleted only after the
report is on disk.
"""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gevent.event import Event

from traffic.clock import ever_greater, now_s, timestamp, timestamp_of
from traffic.core.histogram import Histogram
from traffic.core.master.checks import Check, CheckWatch, Measured
from traffic.core.master.pace_report import pace_status, rates
from traffic.core.master.progress import Progress
from traffic.core.master.report import RunContext, dead_letter_groups, dead_letters, run_status, unsent_indexes
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.master.stall import StallDetector, StallState
from traffic.core.master.timeline import Sample, Timeline
from traffic.core.master.verdict import succeeded, verdict
from traffic.core.pace.config import PaceConfig
from traffic.core.pace.profile import Profile
from traffic.core.pace.recorded import RecordedSchedule
from traffic.core.record_state import SETTLED, RecordState
from traffic.core.results import OFF, columns_of
from traffic.dataset.dataset import Dataset
from traffic.dataset.time_index import TimeFacts, TimeIndex
from traffic.master.audit import reconcile, reconcile_growth
from traffic.master.job_summary import add_to_job_summary
from traffic.master.lifecycle import Lifecycle, Phase
from traffic.master.results_writer import ResultsWriter
from traffic.master.threads import in_thread, thread_lock
from traffic.ownership import RESULTS
from traffic.runs.journal import Journal, JournalError, JournalWriteError, mark_reported
from traffic.runs.junit import to_junit
from traffic.runs.results_file import ResultsFile
from traffic.runs.run_metadata import HeldRun, RunMetadata, ended
from traffic.runs.state_dir import StateFolder
from traffic.runs.target import describe_target
from traffic.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from traffic.core.headers import Field

logger = logging.getLogger(__name__)


BY_A_PERSON = "paused by a person"


class ActiveRun:
    """One run, from its start or resumption by this master to its report.

    `metadata` is what the journal says of the run; `finish` closes the journal. `had_worker` says whether a worker has
    been in the run since this master began or resumed it, and `reclaimed` how many leases were reclaimed since then.
    `audit_headers` returns what a request for the API's number of records has to have.
    `troubles` has, by worker, why it gets nothing done, or what it lacks. `reported` is set once there is a report.
    """

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        journal: Journal,
        folder: StateFolder,
        times: TimeIndex | None = None,
        *,
        audit_headers: "Callable[[], list[Field]]" = list,
        ended_before: bool = False,
    ) -> None:
        self.run, self.dataset, self.journal, self.folder, self._times = run, dataset, journal, folder, times
        self.metadata = journal.metadata
        run.answers.store, journal.lock = journal, thread_lock()
        run.storm.restore(self.metadata.storms)
        self.results = self._open_results(run, ended_before=ended_before)
        self.stall = StallDetector(self.metadata.give_up_s)
        paused = self.metadata.paused
        self._life = Lifecycle(Phase.PAUSED, self.pause_reason) if paused else Lifecycle(Phase.RUNNING)
        self.reported = Event()
        self.had_worker = not self.metadata.resumed
        self.report: dict[str, Any] | None = None
        self.reclaimed = 0
        self._audit_headers = audit_headers
        self.troubles: dict[str, str] = {}
        self._discardable = False
        self._progress, self.timeline = Progress(), Timeline(ever_greater(), former=journal.samples())
        self._led_before_s = self.timeline.latest_s
        self.checks, self.check_watch = tuple(map(Check.read, self.metadata.checks)), CheckWatch()
        self._timed = run.timings.total().felt  # the response times up to the latest sample
        # A journal of a release that kept no samples does not say how long it took to settle what is settled.
        self._began, self._settled_before = now_s(), 0 if self.timeline.rows else self.settled

    def _open_results(self, run: Run, *, ended_before: bool) -> ResultsWriter | None:
        """Open the file of the run's results; None if it wants none, or the disk refuses, which is logged.

        If the run has ended before, its file is whole as it is; else as far as the journal says.
        """
        if run.config.results == OFF:
            return None
        path = self.journal.path.with_name(RESULTS)
        try:
            size = max((one.size for one in self.journal.results()), default=0)
            if ended_before and size:
                size = path.stat().st_size if path.exists() else 1
            columns = columns_of(run.config.answers, run.config.keep, trace=run.config.trace)
            file = in_thread(ResultsFile, path, columns, size)
            if file.begun_anew:
                logger.warning("rows of results are lost: %s is gone, or shorter than it was", path)
                run.results.lose_all()
            return ResultsWriter(file, run.results)
        except OSError as error:
            logger.error("there will be no results: %s cannot be written: %s", path, error.strerror or error)  # noqa: TRY400 - the reason is all there is to say
            return None

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
        return self.state.live and not self.ending

    @property
    def ending(self) -> bool:
        """Whether the ledger is closed and the report is being made."""
        return self._life.phase is Phase.REPORTING

    @property
    def paused_by_person(self) -> bool:
        """Whether a person has paused the run and has not let it go on."""
        return self.metadata.paused and self.state == RunState.PAUSED

    @property
    def pause_reason(self) -> str:
        """Why the run waits for a person, if it does."""
        return self.metadata.pause_reason or BY_A_PERSON

    def pause(self, reason: str = "") -> RunMetadata:
        """Pause the run until a person lets it go on; `reason` says why if it is not that person's own wish.

        Returns the changed metadata.
        """
        self.metadata = replace(self.metadata, paused=True, pause_reason=reason)
        self._life.transition(Phase.PAUSED, self.pause_reason)
        return self.metadata

    def note_storm(self, status: int, reason: str) -> RunMetadata:
        """Pause the run because the API refuses nearly everything with a status; return the changed metadata."""
        self.pause(reason)
        self.metadata = replace(self.metadata, storms=(*self.metadata.storms, status))
        return self.metadata

    def unpause(self) -> RunMetadata:
        """Let the run go on for a person; return the changed metadata. Rate and stall are measured from now on."""
        self._life.transition(Phase.RUNNING)
        self.metadata = replace(self.metadata, paused=False, pause_reason="")
        self._progress = Progress()
        return self.metadata

    def note_held(self, held: HeldRun | None) -> RunMetadata:
        """Note that the API asks the run to wait, or does not any more; return the changed metadata."""
        self.metadata = replace(self.metadata, held=held)
        return self.metadata

    @property
    def pace(self) -> PaceConfig:
        """The pace of a run that has a rate."""
        assert isinstance(self.metadata.pace, PaceConfig)
        return self.metadata.pace

    def change_rate(self, second: float, rate: str, profile: Profile) -> RunMetadata:
        """Note another rate, from that second of the schedule on; return the changed metadata."""
        self.metadata = replace(self.metadata, pace=self.pace.changed(second, rate, profile))
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

    def sample(self, now: float) -> list[Sample]:
        """Measure how far the run has come; return what the timeline has got of it, for the journal."""
        self._progress.note(self.settled, now)
        return self._trace(now)

    def _trace(self, now: float, *, last: bool = False) -> list[Sample]:
        since, counts = self._led_s(now), self.run.ledger.counts
        if last or self.timeline.due(since):
            settled = counts[RecordState.DELIVERED], counts[RecordState.REJECTED], counts[RecordState.IN_DOUBT]
            attempts = sum(self.run.attempts.values())
            pacer = self.run.pacer
            paced = () if pacer is None else (pacer.schedule.before(pacer.clock.read(now)), pacer.monitor.sent)
            held = counts[RecordState.LEASED], counts[RecordState.PENDING]
            before, self._timed = self._timed, self.run.timings.total().felt
            new = self._timed.since(before)
            sample = Sample(since, *settled, *held, attempts, *paced)
            sample = replace(sample, p50_s=new.quantile(0.5), p99_s=new.quantile(0.99))
            return [sample] if self.timeline.note(sample, last=last) else []
        return []

    def update_state(self, stalled: str, now: float, held: str = "") -> StallState:
        """Pause the run if it has stalled, let it go on if it makes progress; return whether it has stalled.

        `stalled` is why the run can make no progress; empty if it can. A resumed run waits for its first worker, a run
        that a person has paused waits for that person, and one that is `held` for the API, however long it takes.
        """
        if self._life.phase not in (Phase.RUNNING, Phase.PAUSED):
            return StallState.PROGRESSING
        if not self.had_worker:
            verdict, stalled = StallState.STALLED, "it was resumed and waits for its workers"
        else:
            verdict = self.stall.update("" if self.metadata.paused else stalled, now)
        if self.metadata.paused:
            why = self.pause_reason
            self._life.transition(Phase.PAUSED, f"{why}; {stalled}" if stalled else why)
            return StallState.STALLED
        if held and not stalled:
            self._life.transition(Phase.PAUSED, held)
            return StallState.STALLED
        self._follow(verdict, stalled, now)
        return verdict

    def _follow(self, verdict: StallState, stalled: str, now: float) -> None:
        """Pause a run that has stalled, let a run go on that makes progress, and keep the reason up to date."""
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
        """Note how many users are asked for, and how many a second; return the metadata if that has changed."""
        if not users or (users, rate) == (self.metadata.users, self.metadata.spawn_rate):
            return None
        self.metadata = replace(self.metadata, users=users, spawn_rate=rate)
        return self.metadata

    def status(self, worker_states: dict[str, str]) -> dict[str, Any]:
        """Return the run's status, or its report if there is one."""
        if self.report is not None:
            return self.report
        context = self._context(self.state, self.reason, None, worker_states)
        return run_status(self.run, context, self._progress) | self._describe()

    def _finish_results(self, file: ResultsFile) -> None:
        """Make the results one frame; the journal says by then that the run has ended, so their size counts no more."""
        try:
            in_thread(file.finish)
        except OSError as error:
            logger.warning("the results %s cannot be finished: %s", file.path, error.strerror or error)

    def _describe(self) -> dict[str, Any]:
        """Return what a status says of the target, the users and the pace."""
        made = describe_target(self.metadata)
        held = self.metadata.held
        made["held"] = held and {"until": timestamp_of(held.until), "status": held.status}
        made["api_waits"] = self._describe_waits()
        made["results"] = self._describe_results()
        measured = self.measured(now_s()) if self.checks else None
        made["checks"] = [check.result(measured).to_json() for check in self.checks if measured is not None]
        if (pacer := self.run.pacer) is not None:
            made["pace"] |= pace_status(pacer, now_s(), whole=not self.metadata.resumed)
            if self._times is not None and isinstance(pacer.schedule, RecordedSchedule):
                made["pace"] |= {"recorded": _describe_times(self._times.facts, pacer.schedule)}
        return made

    def _describe_results(self) -> dict[str, Any] | None:
        """Return how many rows of results there are, and how many are lost; None if the run wants none."""
        config, book = self.run.config, self.run.results
        if config.results == OFF:
            return None
        return {"which": config.results, "rows": book.kept, "lost": book.lost, "file": RESULTS}

    def measured(self, now: float) -> Measured:
        """Return what the run has come to, for its checks."""
        timing, late, error = self.run.timings.total(), Histogram(), None
        if self.run.pacer is not None:
            paced = self.run.pacer.monitor.total()
            late = paced.late
            _, error = (None, None) if self.metadata.resumed else rates(self.run.pacer, paced)
        counts = self.run.ledger.counts
        counted = {state.name.lower(): counts[state] for state in SETTLED}
        counted["attempts"] = sum(self.run.attempts.values())
        return Measured(timing.felt, timing.service, late, self._mean_rate(now), error, counted)

    def _led_s(self, now: float) -> float:
        """Return for how long masters have led the run."""
        return self._led_before_s + now - self._began

    def _mean_rate(self, now: float) -> float | None:
        """Return how many records a second were settled while masters led the run; None before it began."""
        seconds = self._led_s(now)
        return (self.settled - self._settled_before) / seconds if seconds > 0 else None

    def _describe_waits(self) -> dict[str, Any] | None:
        """Return how often, and for how long, the run waited for the API, or sent slower; None if it never did."""
        hold, slower = self.run.hold, self.run.backoff
        if not (hold.answers or hold.times or slower.answers):
            return None
        waited = {"times": hold.times, "s": round(hold.waited_s(now_s()), 3), "answers": hold.answers}
        present = {"share": round(slower.share, 4), "rate": round(slower.share * slower.usual, 3)}
        return waited | {"slowed": {"answers": slower.answers, **present} if slower.answers else None}

    def finish(self, state: RunState, reason: str, worker_states: dict[str, str]) -> dict[str, Any]:
        """Make the delivery report, compare it with the target's audit, write it, log it, and return it.

        This closes the journal; its file stays until `discard_journal`.
        """
        seconds = self._led_s(now := now_s())
        self._trace(now, last=True)
        context = self._context(state, reason, timestamp(), worker_states)
        report = run_status(self.run, context, self._progress) | self._describe()
        report |= {"seconds": round(seconds, 3), "rate": round(self._mean_rate(now) or 0.0, 1)}
        report["timeline"] = self.timeline.report()
        report["dead_letters"] = in_thread(dead_letter_groups, self.run)
        # Records that were settled before the run moved to this target may be stored by the former target alone.
        elsewhere = max((one.settled for one in self.metadata.resumed if one.host), default=0)
        report["audit"] = self._audit(report["counts"], elsewhere)
        report["verdict"] = verdict(report)
        self._discardable = self._write(report) and state is RunState.COMPLETED
        self._end_journal(state, report["ended"])
        if self.results is not None:
            self._finish_results(self.results.file)
        self.report = report
        self._life.transition(Phase(state), reason)
        self.reported.set()
        logger.info("%s", plain.report_table(report), extra={"report": report})
        return report

    def _audit(self, counts: dict[str, int], elsewhere: int) -> dict[str, Any] | None:
        """Return what the API says that it has: where a person said, or by its own audit, if it offers one."""
        known = self.metadata
        if known.audit is None:
            return reconcile(known.host, self.run.config.run, counts, elsewhere)
        return reconcile_growth(known.host, known.audit, known.audit_before, counts, elsewhere, self._audit_headers())

    def close(self) -> None:
        """Close the dataset, and the results if there is no report. Call it when another run begins."""
        self.dataset.close()
        if self.results is not None and self.report is None:
            self.results.file.close()

    def _context(self, state: RunState, reason: str, at: str | None, worker_states: dict[str, str]) -> RunContext:
        resumed = tuple(one.to_json() for one in self.metadata.resumed)
        paused = at is None and self.paused_by_person
        known = self.metadata.started, at, worker_states, resumed
        return RunContext(state, reason, *known, paused_by_person=paused, troubles=self.troubles)

    def discard_journal(self) -> None:
        """Delete the journal of a completed run if it is not needed any more.

        It is needed, and only marked as reported, if there are dead letters, which can be sent again, or if the
        target's audit disagrees, because the journal says which worker reported what. If the run is not completed, its
        journal stays as it is: the run can be resumed.
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
            logger.warning("the journal %s could not be deleted or marked as reported: %s", self.journal.path, reason)

    def _end_journal(self, state: RunState, at: str) -> None:
        try:
            in_thread(self.journal.write, metadata=ended(self.metadata, state, at))
        except JournalWriteError as error:
            logger.error("the journal %s cannot record that the run has ended: %s", self.journal.path, error)  # noqa: TRY400 - the reason is all there is to say
            self._discardable = False
        self.journal.close()

    def _write(self, report: dict[str, Any]) -> bool:
        try:
            letters, unsent = dead_letters(self.run), unsent_indexes(self.run)
            path = in_thread(self.folder.write_report, report, letters, unsent, to_junit(report).decode())
        except OSError as error:
            reason = f"{error.strerror or error}"
            logger.error("the report could not be written to %s (%s); it follows here", self.folder.path, reason)  # noqa: TRY400 - the reason is all there is to say
            return False
        logger.info("report written to %s", path)
        add_to_job_summary(report)
        return True


def _describe_times(facts: TimeFacts, schedule: RecordedSchedule) -> dict[str, Any]:
    """Return what a status says of the times in the records; in seconds as recorded, cuts in those of the schedule."""
    return {
        "format": facts.format,
        "utc_assumed": facts.naive,
        "first": timestamp_of(facts.first_ns / 1e9),
        "last": timestamp_of(facts.last_ns / 1e9),
        "out_of_order": {"records": facts.out_of_order, "most_s": round(facts.furthest_s, 3)},
        "longest_gap_s": round(facts.longest_gap_s, 3),
        "spread_over_s": facts.rounded_ns / 1e9,
        "cut": {"gaps": schedule.cuts, "s": round(schedule.cut_s, 3)},
    }
