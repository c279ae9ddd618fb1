"""Carry out what a person wants of the live run: pause it, let it go on, change its rate; or refuse it.

Guarded here: what a person has changed is in the journal before any worker learns of it.
"""

import logging
from collections.abc import Callable

from traffic.clock import now_s
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.pace.config import PaceConfig
from traffic.errors import ActRefusedError
from traffic.master.active_run import ActiveRun
from traffic.master.outbox import Outbox
from traffic.settings import rate_text
from traffic.settings.readers import BadValueError

logger = logging.getLogger(__name__)


class RunActs:
    """Acts on the run that `active_run` returns. No act yields to another greenlet, so that none finds it half done.

    ActRefusedError if an act is not possible now; then nothing has changed.
    """

    def __init__(
        self, active_run: Callable[[], ActiveRun | None], coordinator: LeaseCoordinator, outbox: Outbox
    ) -> None:
        self._active_run, self._coordinator, self._outbox = active_run, coordinator, outbox

    def pause(self) -> None:
        """Have the workers hand out no further record."""
        live = self._live("pause")
        if live.paused_by_person:
            raise ActRefusedError(f"Run {live.metadata.run} is paused already.")
        self._outbox.note(live.pause())
        self._outbox.put(self._coordinator.pause())
        logger.warning("run %s is paused by a person, after %d of %d records", *_how_far(live))

    def unpause(self) -> None:
        """Have the workers hand out records again, if a person has paused the run."""
        live = self._live("let go on")
        if not live.paused_by_person:
            why = f", but waits: {live.reason}" if live.reason else ""
            raise ActRefusedError(f"Run {live.metadata.run} is not paused by a person{why}.")
        if live.metadata.pause_reason:
            self._coordinator.hold.try_now(now_s())  # the person knows what the API has asked for
        self._unpause(live)
        logger.info("run %s goes on, as a person wants it, after %d of %d records", *_how_far(live))

    def change_rate(self, text: str) -> float:
        """Have what is not dealt yet sent at another rate; return the second of the schedule in which that begins.

        BadValueError if `text` is neither a rate nor a profile, or if the profile ends before the last record.
        """
        live = self._live("change")
        pacer, run = live.run.pacer, live.metadata.run
        if pacer is None or not isinstance(live.metadata.pace, PaceConfig):
            why = "it goes as fast as its users send" if pacer is None else "it follows recorded times"
            raise ActRefusedError(f"Run {run} has no rate: {why}. Start one with a rate to change it while it goes.")
        profile, before = rate_text.profile(text), live.pace.present_rate
        try:
            second = pacer.change_rate(profile, now_s())
        except ValueError as error:
            raise BadValueError(f"must not end at 0/s too early: {error}") from error
        self._outbox.note(live.change_rate(second, text, profile))
        logger.warning("run %s: a person has changed its rate from %s to %s, after %d of %d records", run, before, text,
                       *_how_far(live)[1:])  # fmt: skip
        return second

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

    def _live(self, act: str) -> ActiveRun:
        active_run = self._active_run()
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
