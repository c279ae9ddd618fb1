"""Record what happens to the master's runs (begin, pause, end) in the event log that the page shows."""

from typing import Any

from traffic.clock import ever_greater, timestamp
from traffic.core.master.event_log import EventLog
from traffic.core.master.run_state import RunState
from traffic.core.master.verdict import audit_sentence, verdict
from traffic.core.text import count_records
from traffic.master.active_run import ActiveRun
from traffic.master.wording import for_page


class RunEventRecorder:
    """Compares a run with its state at the last `update`. Call that when the run may have changed, and on each tick."""

    def __init__(self) -> None:
        self.event_log = EventLog(timestamp, ever_greater())
        self._last: tuple[ActiveRun | None, str, str] = (None, "", "")
        self._rate = ""

    def refused(self, why: object) -> None:
        """Record that a start, or a resumption, was refused."""
        self.event_log.note("refused", "bad", f"refused to start: {for_page(str(why))}")

    def update(self, active_run: ActiveRun | None) -> None:
        """Record what has changed of the present run."""
        before, state, reason = self._last
        if active_run is None:
            return
        # The part after the colon may differ at each update, as each worker fails in its own way.
        now = (active_run, active_run.state, active_run.reason.partition(":")[0])
        self._last = now
        if active_run is not before:
            self._record_begin(active_run)
            state, reason = RunState.RUNNING, ""
        if now[1:] != (state, reason):
            self._record_change(active_run, state)
        self._record_rate(active_run, begun=active_run is not before)

    def _record_rate(self, active_run: ActiveRun, *, begun: bool) -> None:
        """Record that a person has changed the rate of the run."""
        pace = active_run.metadata.pace
        rate = "" if pace is None else pace.present_rate
        if rate != self._rate and not begun:
            self.event_log.note("rate-changed", "info", f"a person has changed the rate from {self._rate} to {rate}")
        self._rate = rate

    def _record_begin(self, active_run: ActiveRun) -> None:
        metadata = active_run.metadata
        if metadata.resumed:
            left = metadata.records - active_run.settled
            of_all = f"{count_records(left)} of {metadata.records} of {metadata.file}"
            text = f"run {metadata.run} is resumed: {of_all} are left"
            self.event_log.note("run-resumed", "warning", text)
            return
        orders = {"file": "in the file's order", "time": "in the order of the recorded times"}
        order = orders.get(metadata.order, f"in the order of seed {metadata.seed}")
        text = f"run {metadata.run} began: {count_records(metadata.records)} of {metadata.file}, {order}"
        self.event_log.note("run-began", "info", text)

    def _record_change(self, active_run: ActiveRun, before: str) -> None:
        run, reason = active_run.metadata.run, active_run.reason
        if active_run.report is not None:
            self._record_end(active_run.report)
        elif active_run.state == RunState.PAUSED:
            how = reason if active_run.paused_by_person else f"paused: {reason}"
            self.event_log.note("run-paused", "warning", f"run {run} is {how}")
        elif active_run.state == RunState.STOPPING:
            self.event_log.note("run-stopping", "info", f"run {run} is stopping: the workers' last outcomes come in")
        elif active_run.state == RunState.RUNNING and before == RunState.PAUSED:
            self.event_log.note("run-goes-on", "good", f"run {run} goes on")

    def _record_end(self, report: dict[str, Any]) -> None:
        counts, shown = report["counts"], verdict(report)
        why = f" ({for_page(report['reason'])})" if report["reason"] else ""
        addition = (
            f"{count_records(counts['records'])} = {counts['delivered']} delivered + {counts['rejected']} rejected"
            f" + {counts['in_doubt']} in doubt + {counts['unsent']} unsent"
        )
        audit = f". {sentence}" if (sentence := audit_sentence(report)) else ""
        text = f"run {report['run']} {shown['text']}{why}: {addition}{audit}"
        self.event_log.note(f"run-{report['state']}", shown["level"], text)
