"""Let the schedule of a paced run pass or stand still, and deal what comes due.

Guarded here: the schedule stands still only for what would leave a flood behind: a person's pause, nobody to send, an
API that nobody reaches, and whatever the master's process names in `hold`. A slow API is no reason.
"""

from dataclasses import replace
from typing import Any

from traffic.core.master.decisions import UsersJudged
from traffic.core.master.pacer import Pacer
from traffic.core.master.run import Run
from traffic.core.master.session import Session
from traffic.core.protocol import Message
from traffic.core.ranges import RangeSet
from traffic.core.record_state import RecordState

# So long a schedule waits, at its beginning, for the first ack of every worker.
FIRST_ACKS_S = 2.0


class ScheduleKeeper:
    """Keeps the schedule of the present run. `hold` is why it must stand still for the master's process, if it must."""

    def __init__(self) -> None:
        self.hold = ""
        self._assigned_at = 0.0

    def begin(self, now: float) -> None:
        """Note that workers may have records from now on."""
        self._assigned_at = now

    def keep(
        self, run: Run, pacer: Pacer, sessions: list[Session], now: float, *, waits: str, stalled: str, prober: str
    ) -> bool:
        """Stop the clock or let it run, and deal what comes due. Returns whether the clock stopped, or runs again.

        `waits` is why the run is to wait, if it is: for a person or the API; `prober` is the worker that tries the API
        nevertheless, if one does. `stalled` is why it can make no progress otherwise.
        """
        ledger = run.ledger
        pacer.clock.slow(run.backoff.share, now)
        changed = pacer.clock.set(now, self._reason_to_stop(pacer, sessions, now, waits=waits, stalled=stalled))
        if prober and not pacer.clock.running and prober in ledger.assignment.remainders:
            leased = RangeSet(span for lease in ledger.leases.of(prober) for span in lease.open)
            for worker, size in pacer.allow_probe(ledger.assignment, prober, leased).items():
                ledger.shares[worker].slice += size
            return changed
        if not pacer.clock.started:
            return changed
        if stalled and not waits and not pacer.clock.running:
            pacer.allow_probes(ledger.positions(RecordState.PENDING, RecordState.LEASED))
        for worker, size in pacer.deal(ledger.assignment, sessions, now).items():
            ledger.shares[worker].slice += size
        return changed

    def watch(self, pacer: Pacer, sessions: list[Session], now: float) -> list[UsersJudged]:
        """Watch whether the users are enough, while the schedule runs."""
        if not pacer.clock.running:
            return []
        judged = pacer.monitor.watch(sessions, pacer.schedule.rate(pacer.clock.read(now)), now)
        return [] if judged is None else [judged]

    def _reason_to_stop(self, pacer: Pacer, sessions: list[Session], now: float, *, waits: str, stalled: str) -> str:
        if not pacer.clock.started and self._awaits_first_acks(sessions, now):
            return "the workers are starting"  # who is heard of first would be dealt all that is due at first
        if waits:
            return waits
        if not any(session.users for session in sessions):
            return "no user is there" if sessions else "no worker is there"
        return stalled or self.hold

    def _awaits_first_acks(self, sessions: list[Session], now: float) -> bool:
        return any(session.received == 0 for session in sessions) and now < self._assigned_at + FIRST_ACKS_S


def stamped(message: Message, run: Run | None, now: float) -> Message:
    """Return a message as it leaves at `now`: with the second of the schedule, if it has a stamp."""
    changed: Any = message
    if getattr(message, "stamp", None) is None or run is None or run.pacer is None:
        return message
    clock = run.pacer.clock
    made: Message = replace(changed, stamp=replace(changed.stamp, left=now, second=clock.read(now), speed=clock.speed))
    return made
