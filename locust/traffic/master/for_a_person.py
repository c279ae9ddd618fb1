"""Leave a run to a person, because by itself it would only go on in vain; without a page, end it.

Guarded here: the pause is in the journal before any worker is told of it, so that a restarted master keeps it; and an
answer that confirms an ack is never put before what that ack has told.
"""

import logging
from collections.abc import Callable

from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import Decision
from traffic.master.active_run import ActiveRun
from traffic.master.finish import RunFinisher
from traffic.master.outbox import Outbox
from traffic.runs.run_metadata import RunMetadata

logger = logging.getLogger(__name__)


class ForAPerson:
    """Pauses a live run until a person lets it go on. `headless`: there is no page on which that could be said."""

    def __init__(self, coordinator: LeaseCoordinator, outbox: Outbox, finisher: RunFinisher, *, headless: bool) -> None:
        self._coordinator, self._outbox, self._finisher = coordinator, outbox, finisher
        self._headless = headless

    def leave(
        self, active_run: ActiveRun, reason: str, at_end: str, pause: Callable[[str], RunMetadata]
    ) -> list[Decision]:
        """Pause the run by `pause(reason)`, unless it is; or end it, for the reason `at_end`, which says how to resume.

        Returns what is to be put after the decisions of the moment.
        """
        if active_run.paused_by_person:
            return []
        if self._headless:
            self._finisher.fail(active_run, at_end)
            return []
        self._outbox.note(pause(reason))
        logger.warning("run %s is paused until a person lets it go on: %s", active_run.metadata.run, reason)
        return self._coordinator.pause()
