"""Record what happens to the master's runs (begin, pause, end) in the event log that people read."""

from typing import Any

from traffic.clock import ever_greater, timestamp
from traffic.core.master.event_log import EventLog
from traffic.core.master.verdict import audit_sentence, verdict
from traffic.core.text import count_records
from traffic.master.active_run import ActiveRun
from traffic.master.wording import for_page


class RunEventRecorder:
    """Compares a run with what it was at the last look; call `see` wherever it may have changed, and now and then."""

    def __init__(self) -> None:
        self.chronicle = EventLog(timestamp, ever_greater())
        self._seen: tuple[ActiveRun | None, str, str] = (None, "", "")

    def refused(self, why: object) -> None:
        """A start, or a resumption, came to nothing."""
        self.chronicle.note("refused", "bad", f"refused to start: {for_page(str(why))}")

    def see(self, delivery: ActiveRun | None) -> None:
        """Note what is news of the present run."""
        before, state, reason = self._seen
        if delivery is None:
            return
        # What comes after the colon may differ from one look to the next, as each worker fails in its own way.
        now = (delivery, delivery.state, delivery.reason.partition(":")[0])
        self._seen = now
        if delivery is not before:
            self._begun(delivery)
            state, reason = "running", ""
        if now[1:] != (state, reason):
            self._changed(delivery, state)

    def _begun(self, delivery: ActiveRun) -> None:
        facts = delivery.facts
        if facts.resumed:
            left = facts.records - delivery.settled
            text = f"run {facts.run} is resumed: {count_records(left)} of {facts.records} of {facts.file} are left"
            self.chronicle.note("run-resumed", "warning", text)
            return
        order = f"in the order of seed {facts.seed}" if facts.order == "random" else "in the file's order"
        text = f"run {facts.run} began: {count_records(facts.records)} of {facts.file}, {order}"
        self.chronicle.note("run-began", "info", text)

    def _changed(self, delivery: ActiveRun, before: str) -> None:
        run, reason = delivery.facts.run, delivery.reason
        if delivery.report is not None:
            self._ended(delivery.report)
        elif delivery.state == "paused":
            so = reason if delivery.paused_by_person else f"paused: {reason}"
            self.chronicle.note("run-paused", "warning", f"run {run} is {so}")
        elif delivery.state == "stopping":
            self.chronicle.note("run-stopping", "info", f"run {run} is stopping: the workers' last outcomes come in")
        elif delivery.state == "running" and before == "paused":
            self.chronicle.note("run-goes-on", "good", f"run {run} goes on")

    def _ended(self, report: dict[str, Any]) -> None:
        counts, seen = report["counts"], verdict(report)
        why = f" ({for_page(report['reason'])})" if report["reason"] else ""
        sum_ = (
            f"{count_records(counts['records'])} = {counts['delivered']} delivered + {counts['rejected']} rejected"
            f" + {counts['in_doubt']} in doubt + {counts['unsent']} unsent"
        )
        audit = f". {said}" if (said := audit_sentence(report)) else ""
        text = f"run {report['run']} {seen['text']}{why}: {sum_}{audit}"
        self.chronicle.note(f"run-{report['state']}", seen["level"], text)
