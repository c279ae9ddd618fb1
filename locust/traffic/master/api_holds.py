"""Follow the waits that the API asks for: journal them, say them, and leave one that is too long to a person.

Guarded here: a wait is in the journal before any worker is told of it, so that a restarted master keeps it.
"""

import logging
import time

from traffic.clock import now_s
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import Decision
from traffic.core.outcome import UNAUTHORIZED
from traffic.master.active_run import ActiveRun
from traffic.master.for_a_person import ForAPerson
from traffic.master.outbox import Outbox
from traffic.runs.run_metadata import HeldRun

logger = logging.getLogger(__name__)

# So long after its end a wait is shown as such: the answer of the first attempt is on its way.
TRIED_S = 2.0
_DAY_S = 86_400.0


class HoldFollower:
    """Compares the coordinator's hold with what the live run's journal says."""

    def __init__(self, coordinator: LeaseCoordinator, outbox: Outbox, for_a_person: ForAPerson) -> None:
        self._coordinator, self._outbox, self._for_a_person = coordinator, outbox, for_a_person
        self._settled, self._settled_at = -1, 0.0

    def follow(self, active_run: ActiveRun) -> list[Decision]:
        """Note a change. Call it after each message, before its decisions are put; and on each tick.

        Returns what is to be put after them.
        """
        hold, before = self._coordinator.hold, active_run.metadata.held
        if self._coordinator.over:
            return []
        if not hold.held:
            if before is not None:
                self._outbox.note(active_run.note_held(None))
                logger.info("the API takes requests again: run %s goes on", active_run.metadata.run)
            return self._follow_backoff(active_run, now_s())
        until = time.time() + hold.until - now_s()
        held_now = before
        if held_now is None or abs(held_now.until - until) > 1.0:
            held_now = HeldRun(round(until, 3), hold.status)
            self._outbox.note(active_run.note_held(held_now))
            logger.warning("the API has asked the run to wait: %s", describe_hold(held_now))
        if hold.until - hold.since > active_run.metadata.hold_max_s:
            return self._leave_to_a_person(active_run, describe_hold(held_now))
        return []

    def restore(self, active_run: ActiveRun) -> None:
        """Go on to hold a resumed run that was held."""
        held = active_run.metadata.held
        if held is not None:
            self._outbox.put(self._coordinator.restore_hold(held.until - time.time(), held.status, now_s()))
            logger.warning("run %s is %s", active_run.metadata.run, describe_hold(held))

    def _follow_backoff(self, active_run: ActiveRun, now: float) -> list[Decision]:
        """Leave a run to a person that the API has slowed down, and of which it takes nothing any more."""
        if active_run.settled != self._settled or not active_run.run.backoff.slowed or active_run.paused_by_person:
            self._settled, self._settled_at = active_run.settled, now
        elif now - self._settled_at > active_run.metadata.hold_max_s:
            self._settled_at = now
            why = "the API answers 429, and takes nothing however slowly it is sent"
            return self._leave_to_a_person(active_run, why)
        return []

    def _leave_to_a_person(self, active_run: ActiveRun, why: str) -> list[Decision]:
        """Pause a run that would wait longer than it may by itself; without a page, end it: it can be resumed."""
        longest = f"{active_run.metadata.hold_max_s:g} s (--traffic-hold-max)"
        reason = f"{why}, and the run waits {longest} at most by itself"
        resume = f"--traffic-resume {active_run.metadata.run}"
        at_end = f"{reason}. Resume it when the API takes requests again: {resume}"
        return self._for_a_person.leave(active_run, reason, at_end, active_run.pause)


def describe_hold(held: HeldRun) -> str:
    """Return `held by the API until 14:05:10 UTC (429, Retry-After)`, by the master's own clock and time zone."""
    refused = held.status == UNAUTHORIZED
    why = f"{held.status}, {'the credentials' if refused else 'Retry-After'}"
    if time.time() > held.until + TRIED_S:
        return f"held by the API ({why}); its time is over, and one worker tries it"
    if refused:
        return f"the API refuses the credentials ({held.status}): renew the header file; the run then goes on by itself"
    until = time.localtime(held.until)
    day = "" if held.until - time.time() < _DAY_S / 2 else "%Y-%m-%d "
    return f"held by the API until {time.strftime(f'{day}%H:%M:%S %Z', until)} ({why})"
