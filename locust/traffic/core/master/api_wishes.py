"""Heed what the API asks of a run: to wait, or to be sent less.

What was asked is kept in the run (`hold`, `backoff`); here is what an ack, and the passing of time, change of it.
"""

from collections.abc import Collection

from traffic.core.master.decisions import RunSlowed
from traffic.core.master.run import Run
from traffic.core.master.session import SendLimits, Session
from traffic.core.protocol import Ack


def note_wishes(run: Run, session: Session, ack: Ack, rate: float, now: float) -> tuple[bool, list[RunSlowed]]:
    """Note what an ack says of the API. `rate` is what the run sends now, in records a second.

    Returns whether other workers have to be notified, and what people are told.
    """
    run.hold.count(session.worker, ack.put_off)
    told: list[RunSlowed] = []
    slowed_before = run.backoff.slowed
    if run.backoff.note(session.worker, ack.slowed, rate, now) and not slowed_before:
        told.append(RunSlowed(run.backoff.usual, run.backoff.share))
    if ack.hold is not None:
        return run.hold.note(ack.hold, session.worker, now), told
    return ack.probed and run.hold.prober == session.worker and run.hold.lift(now), told


def follow_wishes(run: Run, sessions: Collection[Session], now: float, *, paused: bool) -> tuple[bool, list[RunSlowed]]:
    """Let a worker try the API once it is time, unless the run is paused, and let the rate grow.

    Returns whether the workers have to be notified, and what people are told.
    """
    changed = run.hold.held and not paused and run.hold.follow(_able_to_try(run, sessions), now)
    over = run.backoff.grow(now) and not run.backoff.slowed
    return changed, [RunSlowed(run.backoff.usual, 1.0)] if over else []


def limits_of(run: Run, session: Session, sessions: Collection[Session]) -> SendLimits:
    """Return what a worker is allowed for the API's sake. A paced run is slowed by its clock, too."""
    users = sum(one.users for one in sessions)
    return SendLimits(run.hold.prober == session.worker, run.backoff.limit(session.users, users))


def _able_to_try(run: Run, sessions: Collection[Session]) -> dict[str, bool]:
    """Return whether each worker with users is in trouble; first those that hold a record to try the API with."""
    holders = {lease.worker for lease in run.ledger.leases}
    present = sorted((one for one in sessions if one.users), key=lambda one: one.worker not in holders)
    return {one.worker: bool(one.trouble) for one in present}
