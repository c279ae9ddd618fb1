"""Say that the API refuses nearly everything, and leave the run to a person."""

from functools import partial

from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import Decision
from traffic.core.master.letter_groups import letter_groups
from traffic.master.active_run import ActiveRun
from traffic.master.for_a_person import ForAPerson

_WHAT_TO_DO = {
    401: "Renew the credentials",
    403: "Give the credentials the right to send these records",
    404: "Correct --traffic-path, or the host",
    405: "Correct --traffic-method",
    413: "Let the API take bodies of this size",
    415: "Correct the Content-Type (--traffic-header)",
}
_REDIRECTS = range(300, 400)


class StormFollower:
    """Leaves a run to a person to which the API refuses nearly everything."""

    def __init__(self, coordinator: LeaseCoordinator, for_a_person: ForAPerson) -> None:
        self._coordinator, self._for_a_person = coordinator, for_a_person

    def follow(self, active_run: ActiveRun) -> list[Decision]:
        """Pause the run, or end it, if there is a storm. Call it after each message, before its decisions are put.

        Returns what is to be put after them.
        """
        storm = active_run.run.storm
        if not storm.status or self._coordinator.over or active_run.paused_by_person:
            return []
        reason = _describe(active_run, storm.status, storm.worker)
        resume = f"--traffic-resume {active_run.metadata.run} --traffic-resend {storm.status}"
        at_end = f"{reason} Nothing more was sent. When it is corrected: {resume}"
        return self._for_a_person.leave(active_run, reason, at_end, partial(active_run.note_storm, storm.status))


def _describe(active_run: ActiveRun, status: int, worker: str) -> str:
    """Return what the API says, and what can be done about it."""
    groups = letter_groups(active_run.run.ledger.dead, active_run.run.answers)
    says = next((one.says for one in groups if one.status == status and one.says != f"HTTP {status}"), "")
    answers = f"{status}: {says}" if says else f"{status}"
    cure = "Correct --traffic-path, or the host" if status in _REDIRECTS else _WHAT_TO_DO.get(status, "")
    return (
        f"the API refuses nearly all records with status {answers} (seen by {worker}; --traffic-brake"
        f" {active_run.run.config.brake}). {cure or 'Correct the records, or the API'}."
    )
