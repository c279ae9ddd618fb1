"""End a run: because it is complete, a person stopped it, it cannot go on, or the process ends.

Guarded here: a run is reported once, after its ledger is closed and its journal complete. Before that, wait for the
workers' last acks and for the disk, each with a time limit.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import gevent
from gevent.lock import RLock
from locust.env import Environment

from traffic.clock import now_s
from traffic.core.master.checks import failed_checks
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.run_state import RunState
from traffic.core.master.verdict import succeeded
from traffic.core.record_state import RecordState
from traffic.master.active_run import ActiveRun
from traffic.master.locust_session import LocustSession, spawn_watched
from traffic.master.outbox import Outbox
from traffic.master.run_events import RunEventRecorder
from traffic.master.start import RunStarter
from traffic.terminal import plain
from traffic.terminal.live_line import LiveLine

logger = logging.getLogger(__name__)

EXIT_DELIVERED, EXIT_BROKEN, EXIT_NOT_ALL, EXIT_REFUSED, EXIT_CHECK_FAILED, EXIT_SUSPENDED = 0, 2, 3, 4, 5, 6
# How long the workers' last acks may take, after the stop timeout.
LAST_ACKS_S = 3.0
# How long rows of results may take that workers have not handed in with their last acks.
LAST_ROWS_S = 5.0
# How long the last entries may take to get onto the disk.
LAST_ENTRIES_S = 10.0


def refuse_to_start(error: Exception) -> NoReturn:
    """Log why this process does not start, and end it."""
    logger.error("refused to start: %s", error, extra=plain.refusal(error))
    sys.exit(EXIT_REFUSED)


class RunFinisher:
    """Each way to end a run. Only `quit` waits; the others return at once and do the rest in a greenlet of their own.

    If that greenlet fails, `on_crash` is called.
    """

    def __init__(
        self,
        locust_session: LocustSession,
        coordinator: LeaseCoordinator,
        outbox: Outbox,
        starter: RunStarter,
        run_events: RunEventRecorder,
        live: LiveLine,
        on_crash: Callable[["gevent.Greenlet[..., Any]"], None],
    ) -> None:
        self._locust_session, self._coordinator, self._outbox, self._starter = (
            locust_session,
            coordinator,
            outbox,
            starter,
        )
        self._run_events, self._live = run_events, live
        self._on_crash = on_crash
        self._suspended = False
        self._quitting = RLock()

    def complete(self, active_run: ActiveRun) -> None:
        """Report a run of which every record is settled, then stop Locust's test."""

        def end() -> None:
            self._finish(active_run, RunState.COMPLETED)
            self._locust_session.stop()

        spawn_watched(end, self._on_crash)

    def stop(self, active_run: ActiveRun | None) -> None:
        """Hand out no more, wait for the workers' last acks, and report. Do nothing if no run is live."""
        if active_run is None or self._suspended or not self._hand_out_no_more(active_run):
            return

        def end() -> None:
            self._finish_after_last_acks(active_run, RunState.STOPPED)
            self._locust_session.wind_up()

        spawn_watched(end, self._on_crash)

    def fail(self, active_run: ActiveRun | None, reason: str) -> None:
        """End the run because it cannot go on. This must not wait: the reader of the workers' messages calls it."""
        if active_run is None or active_run.state is RunState.STOPPING:
            return
        logger.error("the run cannot go on: %s", reason)
        self._end_early(active_run, RunState.FAILED, reason)

    def cut_short(self, active_run: ActiveRun, reason: str) -> None:
        """Stop the run because going on is of no use; it can be resumed. This must not wait."""
        if active_run.live and active_run.state is not RunState.STOPPING:
            logger.warning("the run is stopped: %s", reason)
            self._end_early(active_run, RunState.STOPPED, reason)

    def _end_early(self, active_run: ActiveRun, state: RunState, reason: str) -> None:
        self._hand_out_no_more(active_run)

        def end() -> None:
            self._finish_after_last_acks(active_run, state, reason)
            self._locust_session.stop()

        spawn_watched(end, self._on_crash)

    def quit(self, active_run: ActiveRun | None, *, broken: bool, suspend: bool) -> bool:
        """End the run because the process ends: nothing comes after this, so wait for the last acks and the report.

        `broken` says that nobody reads the workers' messages any more; then no ack is awaited. `suspend` says that the
        next master is to go on with the run, unless a person has stopped it. Returns whether the workers end, too.
        """
        with self._quitting:  # Locust may end the process by two ways at once
            return self._quit(active_run, broken=broken, suspend=suspend)

    def _quit(self, active_run: ActiveRun | None, *, broken: bool, suspend: bool) -> bool:
        if self._suspended or (suspend and not broken and self._suspend(active_run)):
            return not self._workers_wait
        if active_run is None:
            return True
        if not broken and self._hand_out_no_more(active_run):
            self._finish_after_last_acks(active_run, RunState.STOPPED)
        if active_run.ending:
            active_run.reported.wait(LAST_ENTRIES_S)
        # A headless master that is killed before this, and restarted, must find the journal, or it sends all again.
        active_run.discard_journal()
        return True

    def _suspend(self, active_run: ActiveRun | None) -> bool:
        """Leave the run as one that was cut off, with each outcome that is known; return whether there was a run.

        Where a start was to come by itself, its process ends as suspended, too.
        """
        if active_run is None or not active_run.live or active_run.state is RunState.STOPPING:
            if active_run is None and self._starter.unattended and self._environment.process_exit_code is None:
                logger.warning("SIGTERM came before a run had begun: nothing was sent")
                self._environment.process_exit_code = EXIT_SUSPENDED
            return False
        self._suspended = True  # at once: Locust's test stops meanwhile, which is no wish to stop the run
        self._hand_out_no_more(active_run)
        self._note_all_outcomes(active_run)
        left = active_run.run.ledger.counts
        if not (left[RecordState.PENDING] or left[RecordState.LEASED]):
            self._suspended = False
            self._finish(active_run, RunState.COMPLETED)
            return False
        if self._outbox.trouble:
            logger.error("the run is suspended without its last outcomes in the journal: %s", self._outbox.trouble)
        self._live.end()
        run, settled, records = active_run.metadata.run, active_run.settled, active_run.metadata.records
        go_on = "start the master again with this state folder, and it goes on"
        logger.warning("run %s is suspended: %d of %d records are settled; %s", run, settled, records, go_on)
        self._environment.process_exit_code = EXIT_SUSPENDED
        return True

    def _note_all_outcomes(self, active_run: ActiveRun) -> None:
        """Wait for the last acks and rows, and for the disk."""
        self._await_last_acks()
        self._await_rows(active_run)
        self._outbox.drain(LAST_ENTRIES_S)

    def _hand_out_no_more(self, active_run: ActiveRun) -> bool:
        """Have the workers hand out no more records; return whether the run was live."""
        if not active_run.live:
            return False
        active_run.stop()
        self._outbox.put(self._coordinator.stop())
        return True

    @property
    def _workers_wait(self) -> bool:
        """Whether the workers can wait for the next master: its own children cannot."""
        return not getattr(self._environment.parsed_options, "processes", None)

    @property
    def _environment(self) -> Environment:
        return self._locust_session.environment

    def _await_last_acks(self) -> None:
        deadline = now_s() + self._environment.stop_timeout + LAST_ACKS_S
        while not self._coordinator.nothing_leased and now_s() < deadline:
            gevent.sleep(0.05)

    def _finish_after_last_acks(self, active_run: ActiveRun, state: RunState, reason: str = "") -> None:
        self._await_last_acks()
        self._finish(active_run, state, reason)

    def _await_rows(self, active_run: ActiveRun) -> None:
        """Wait for rows of results that workers still have; those of a worker that is gone never come."""
        deadline = now_s() + LAST_ROWS_S
        while active_run.run.results.awaits(self._coordinator.sessions) and now_s() < deadline:
            gevent.sleep(0.05)

    def _finish(self, active_run: ActiveRun, state: RunState, reason: str = "") -> None:
        """Close the ledger and write the report. Do nothing if the run is not live any more."""
        if active_run.live:
            self._await_rows(active_run)
        if not active_run.live:  # it has been reported, maybe meanwhile
            return
        active_run.begin_report()
        self._outbox.put(self._coordinator.close())
        if not self._outbox.drain(LAST_ENTRIES_S):
            logger.error("the run ends without its last outcomes in the journal: %s", self._outbox.trouble)
            self._outbox.abandon()
        report = active_run.finish(state, reason, self._locust_session.worker_states())
        self._run_events.update(active_run)
        self._live.end()
        if not self._starter.unattended:
            active_run.discard_journal()
        self._environment.process_exit_code = _exit_code(report)


def _exit_code(report: dict[str, Any]) -> int:
    if not succeeded(report):
        return EXIT_NOT_ALL
    return EXIT_CHECK_FAILED if failed_checks(report) else EXIT_DELIVERED
