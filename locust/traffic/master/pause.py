"""Pause the live run for a person and let it go on: journal it, inform the workers, or refuse it.

Guarded here: a pause, or its end, is in the journal before any worker learns of it.
"""

import logging

from traffic.core.master.coordinator import LeaseCoordinator
from traffic.errors import ActRefusedError
from traffic.master.active_run import ActiveRun
from traffic.master.outbox import Outbox

logger = logging.getLogger(__name__)


class RunPauser:
    """Pauses and unpauses the live run. Neither yields to another greenlet, so that none finds it half done."""

    def __init__(self, coordinator: LeaseCoordinator, outbox: Outbox) -> None:
        self._coordinator, self._outbox = coordinator, outbox

    def pause(self, active_run: ActiveRun | None) -> None:
        """Have the workers hand out no further record. ActRefusedError if the run cannot be paused."""
        live = self._live(active_run, "pause")
        if live.paused_by_person:
            raise ActRefusedError(f"Run {live.metadata.run} is paused already.")
        self._outbox.note(live.pause())
        self._outbox.put(self._coordinator.pause())
        logger.warning("run %s is paused by a person, after %d of %d records", *_how_far(live))

    def unpause(self, active_run: ActiveRun | None) -> None:
        """Have the workers hand out records again. ActRefusedError if no person has paused the run."""
        live = self._live(active_run, "let go on")
        if not live.paused_by_person:
            why = f", but waits: {live.reason}" if live.reason else ""
            raise ActRefusedError(f"Run {live.metadata.run} is not paused by a person{why}.")
        self._unpause(live)
        logger.info("run %s goes on, as a person wants it, after %d of %d records", *_how_far(live))

    def restore(self, active_run: ActiveRun, *, headless: bool) -> None:
        """Keep a resumed run paused if it was, unless there is no page on which a person could let it go on."""
        if not active_run.paused_by_person:
            return
        if headless:
            self._unpause(active_run)
            line = "run %s had been paused by a person; it goes on, as a headless master has no page to say so"
        else:
            self._outbox.put(self._coordinator.pause())
            line = "run %s is still paused by a person, and goes on when a person says so"
        logger.warning(line, active_run.metadata.run)

    def _live(self, active_run: ActiveRun | None, act: str) -> ActiveRun:
        if active_run is None or not active_run.live:
            raise ActRefusedError(f"There is no run to {act}.")
        if self._coordinator.over:
            raise ActRefusedError(f"Run {active_run.metadata.run} is ending: there is nothing left to {act}.")
        return active_run

    def _unpause(self, active_run: ActiveRun) -> None:
        self._outbox.note(active_run.unpause())
        self._outbox.put(self._coordinator.unpause())


def _how_far(active_run: ActiveRun) -> tuple[str, int, int]:
    return active_run.metadata.run, active_run.settled, active_run.metadata.records
