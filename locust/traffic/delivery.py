"""A run as the master process keeps it: the core's account with its times, its pace, and its files."""

import logging
from dataclasses import asdict, replace
from typing import Any

from traffic import console
from traffic.clock import now_s, timestamp
from traffic.core.patience import Patience, Verdict
from traffic.core.progress import Progress
from traffic.core.report import Standing, account, dead_letters, unsent_indexes
from traffic.core.run import Run
from traffic.journal import Facts, Journal, JournalWriteError, Resumption, ended
from traffic.reconcile import agrees, fetch_audit
from traffic.state import StateFolder
from traffic.threads import in_thread

logger = logging.getLogger(__name__)


class Delivery:
    """One run. `state` is running, paused, stopping, completed, stopped or failed.

    It is `live` until it is being closed, then `ending` until its report is made. `facts` are those of its journal,
    which this object closes at its end. `manned`: a worker has been there since the master began or resumed it.
    """

    def __init__(self, run: Run, journal: Journal, folder: StateFolder) -> None:
        self.run, self.journal, self.folder = run, journal, folder
        self.facts = journal.facts
        self.patience = Patience(self.facts.give_up_s)
        self.state, self.reason = "running", ""
        self.live = True
        self.manned = not self.facts.resumed
        self.report: dict[str, Any] | None = None
        self._discardable = False
        self._progress = Progress()
        self._began, self._settled_before = now_s(), self.settled
        self.look(self._began)

    @property
    def ending(self) -> bool:
        """Whether its report is being made."""
        return not self.live and self.report is None

    @property
    def settled(self) -> int:
        """How many records have their outcome."""
        return self.run.ledger.settled

    def look(self, now: float) -> None:
        """Note how far the run has come."""
        self._progress.note(self.settled, now)

    def weigh(self, stalled: str, now: float) -> Verdict:
        """Take why the run can make no progress (empty: it can), be paused or go on accordingly; the verdict.

        A resumed run waits for its first worker as long as it takes.
        """
        if self.state not in ("running", "paused"):
            return Verdict.GOING
        if not self.manned:
            verdict, stalled = Verdict.PAUSED, "it was resumed and waits for its workers"
        else:
            verdict = self.patience.look(stalled, now)
        if verdict is Verdict.PAUSED and self.state == "running":
            self.state = "paused"
            until = f"; it is given up after {self.patience.give_up_s:g} s" if self.manned else ""
            logger.warning("the run is paused: %s%s", stalled, until)
        elif verdict is Verdict.GOING and self.state == "paused":
            self.state = "running"
            logger.info("the run goes on")
        self.reason = stalled if self.state == "paused" else ""
        return verdict

    def crewed(self, users: int, rate: float) -> Facts | None:
        """Take how many users there are to be, and how fast they come; the facts, where that is news."""
        if not users or (users, rate) == (self.facts.users, self.facts.spawn_rate):
            return None
        self.facts = replace(self.facts, users=users, spawn_rate=rate)
        return self.facts

    def account(self, worker_states: dict[str, str]) -> dict[str, Any]:
        """The run's status now; its report once it has one."""
        if self.report is not None:
            return self.report
        return account(self.run, self._standing(self.state, self.reason, None, worker_states), self._progress)

    def finish(self, state: str, reason: str, worker_states: dict[str, str]) -> dict[str, Any]:
        """Make the delivery report, hold it against the target's audit, write it, print it; the report.

        The journal is closed, and stays until `discard_journal`.
        """
        seconds = now_s() - self._began
        standing = self._standing(state, reason, timestamp(), worker_states)
        report = account(self.run, standing, self._progress)
        rate = (self.settled - self._settled_before) / seconds if seconds > 0 else 0.0
        report |= {"seconds": round(seconds, 3), "rate": round(rate, 1)}
        audit = fetch_audit(self.facts.host, self.run.terms.run)
        report["audit"] = audit and {**audit, "agrees": agrees(audit, report["counts"])}
        self._discardable = self._write(report) and state == "completed"
        self._end_journal(state, report["ended"])
        self.report, self.state, self.reason = report, state, reason
        logger.info("%s", console.report_table(report))
        return report

    def close(self) -> None:
        """Let go of the file: another run begins."""
        self.run.dataset.close()

    def _standing(self, state: str, reason: str, at: str | None, worker_states: dict[str, str]) -> Standing:
        resumed = tuple(map(asdict, self.facts.resumed))
        return Standing(state, reason, self.facts.started, at, worker_states, resumed)

    def discard_journal(self) -> None:
        """Delete the journal of a run that was completed and has its report; any other can be resumed from its own."""
        if not self._discardable:
            return
        try:
            self.journal.remove()
        except OSError as error:
            logger.warning("the journal %s could not be deleted: %s", self.journal.path, error.strerror)

    def _end_journal(self, state: str, at: str) -> None:
        try:
            in_thread(self.journal.write, facts=ended(self.facts, state, at))
        except JournalWriteError as error:
            logger.error("the journal %s cannot be told that the run has ended: %s", self.journal.path, error)  # noqa: TRY400 - the reason is all there is to say
            self._discardable = False
        self.journal.close()

    def _write(self, report: dict[str, Any]) -> bool:
        try:
            path = self.folder.write_report(report, dead_letters(self.run), unsent_indexes(self.run))
        except OSError as error:
            reason = f"{error.strerror or error}"
            logger.error("the report could not be written to %s (%s); it follows here", self.folder.path, reason)  # noqa: TRY400 - the reason is all there is to say
            return False
        logger.info("report written to %s", path)
        return True


def resumed(facts: Facts, settled: int, host: str, first_session: int) -> Facts:
    """The facts of a run that is taken up again now."""
    again = (*facts.resumed, Resumption(timestamp(), settled))
    return replace(facts, state="running", ended=None, host=host, first_session=first_session, resumed=again)
