"""Watch the live run: sample its progress, pause it or give it up if it stalls, and restart Locust's test for it."""

import logging

from locust.runners import STATE_INIT, STATE_SPAWNING, MasterRunner

from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.run_state import RunState
from traffic.core.master.stall import StallState
from traffic.environment import with_proxy
from traffic.master.active_run import ActiveRun
from traffic.master.api_holds import describe_hold
from traffic.master.finish import RunFinisher
from traffic.master.locust_session import LocustSession
from traffic.master.outbox import Outbox
from traffic.terminal import plain

logger = logging.getLogger(__name__)

PROGRESS_EVERY_S = 5.0
# Why a schedule does not begin yet.
USERS_START = "the users are starting"


class RunWatcher:
    """Reads how the run goes, on each tick of the master."""

    def __init__(
        self,
        runner: MasterRunner,
        locust_session: LocustSession,
        coordinator: LeaseCoordinator,
        outbox: Outbox,
        finisher: RunFinisher,
    ) -> None:
        self._runner, self._locust_session = runner, locust_session
        self._coordinator, self._outbox, self._finisher = coordinator, outbox, finisher
        self._progress_due = 0.0

    def watch(self, active_run: ActiveRun, now: float) -> None:
        """Update the live run's state, fail it if it has stalled for too long, and log its progress."""
        self._outbox.put(active_run.sample(now))
        active_run.had_worker |= bool(self._coordinator.sessions)
        active_run.troubles = self._coordinator.troubles
        starting = USERS_START if self._runner.state in (STATE_INIT, STATE_SPAWNING) else ""
        self._coordinator.schedule.hold = self._outbox.trouble or ("" if _has_begun(active_run) else starting)
        metadata = active_run.note_users(self._runner.target_user_count, self._runner.spawn_rate)
        if metadata is not None:
            self._outbox.note(metadata)
        stalled = self._outbox.trouble or with_proxy(self._coordinator.stalled, active_run.metadata.host)
        held = active_run.metadata.held
        if active_run.update_state(stalled, now, describe_hold(held) if held else "") is StallState.EXPIRED:
            reason = f"{stalled}; given up after {active_run.stall.give_up_s:g} s without progress"
            self._finisher.fail(active_run, reason)
            return
        if not self._is_cut_short(active_run, now):
            self._log_progress(active_run, now)
            self._restart_test(active_run)

    def _is_cut_short(self, active_run: ActiveRun, now: float) -> bool:
        """Stop the run if a check has failed for as long as it may; return whether one has."""
        if not active_run.checks:
            return False
        failed = active_run.check_watch.expired(active_run.checks, active_run.measured(now), now)
        if failed is None:
            return False
        reason = f"{plain.check_line(failed.to_json())}, for as long as it may; resume the run to go on"
        self._finisher.cut_short(active_run, reason)
        return True

    def _log_progress(self, active_run: ActiveRun, now: float) -> None:
        if now >= self._progress_due:
            self._progress_due = now + PROGRESS_EVERY_S
            line = plain.progress_line(active_run.status(self._locust_session.worker_states()))
            logger.info("%s", line, extra=plain.ON_LIVE_LINE)

    def _restart_test(self, active_run: ActiveRun) -> None:
        """Restart Locust's test if it ended while the run did not."""
        if active_run.state != RunState.STOPPING and self._locust_session.restart_test():
            what = "waits, paused, with its users" if active_run.paused_by_person else "goes on"
            logger.info("run %s %s: a worker is there", active_run.run.config.run, what)


def _has_begun(active_run: ActiveRun) -> bool:
    """Whether the schedule of a paced run has begun: later on, users may come and go without stopping it."""
    pacer = active_run.run.pacer
    return pacer is not None and pacer.clock.started
