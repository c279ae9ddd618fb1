"""A run as the master process keeps it: the core's account with its times, its pace, and its files."""

import logging
from typing import Any

from traffic import console
from traffic.clock import now_s, timestamp
from traffic.core.patience import Patience, Verdict
from traffic.core.progress import Progress
from traffic.core.report import Standing, account, dead_letters, unsent_indexes
from traffic.core.run import Run
from traffic.reconcile import agrees, fetch_audit
from traffic.settings import Settings
from traffic.state import StateFolder

logger = logging.getLogger(__name__)


class Delivery:
    """One run. `state` is running, paused, stopping, completed, stopped or failed; `live` until its report is made."""

    def __init__(self, run: Run, settings: Settings, host: str) -> None:
        self.run, self.host = run, host
        self.folder = StateFolder(settings.state_dir)
        self.patience = Patience(settings.give_up_s)
        self.state, self.reason = "running", ""
        self.live = True
        self.report: dict[str, Any] | None = None
        self._progress = Progress()
        self._started, self._began = timestamp(), now_s()
        self.look(self._began)

    def look(self, now: float) -> None:
        """Note how far the run has come."""
        self._progress.note(self.run.ledger.records - self.run.ledger.unsettled, now)

    def weigh(self, stalled: str, now: float) -> Verdict:
        """Take why the run can make no progress (empty: it can), be paused or go on accordingly; the verdict."""
        verdict = self.patience.look(stalled, now) if self.state in ("running", "paused") else Verdict.GOING
        if verdict is Verdict.PAUSED and self.state == "running":
            self.state, self.reason = "paused", stalled
            logger.warning("the run is paused: %s; it is given up after %g s", stalled, self.patience.give_up_s)
        elif verdict is Verdict.GOING and self.state == "paused":
            self.state, self.reason = "running", ""
            logger.info("the run goes on")
        return verdict

    def account(self, worker_states: dict[str, str]) -> dict[str, Any]:
        """The run's status now; its report once it has one."""
        if self.report is not None:
            return self.report
        standing = Standing(self.state, self.reason, self._started, None, worker_states)
        return account(self.run, standing, self._progress)

    def finish(self, state: str, reason: str, worker_states: dict[str, str]) -> dict[str, Any]:
        """Make the delivery report, hold it against the target's audit, write it, print it; the report."""
        self.live = False
        seconds = now_s() - self._began
        standing = Standing(state, reason, self._started, timestamp(), worker_states)
        report = account(self.run, standing, self._progress)
        settled = self.run.ledger.records - self.run.ledger.unsettled
        report |= {"seconds": round(seconds, 3), "rate": round(settled / seconds, 1) if seconds > 0 else 0.0}
        audit = fetch_audit(self.host, self.run.terms.run)
        report["audit"] = audit and {**audit, "agrees": agrees(audit, report["counts"])}
        self._write(report)
        self.report, self.state, self.reason = report, state, reason
        logger.info("%s", console.report_table(report))
        return report

    def close(self) -> None:
        """Let go of the file: another run begins."""
        self.run.dataset.close()

    def _write(self, report: dict[str, Any]) -> None:
        try:
            path = self.folder.write_report(report, dead_letters(self.run), unsent_indexes(self.run))
        except OSError as error:
            reason = f"{error.strerror or error}"
            logger.error("the report could not be written to %s (%s); it follows here", self.folder.path, reason)  # noqa: TRY400 - the reason is all there is to say
            return
        logger.info("report written to %s", path)
