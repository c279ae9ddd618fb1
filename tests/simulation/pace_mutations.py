"""Mutations of the pace: each takes one of its rules away."""

from dataclasses import replace
from typing import Any

import pytest

from simulation.master import Master
from traffic.core.master import pacer
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.schedule_keeper import ScheduleKeeper
from traffic.core.pace.schedule import RateSchedule
from traffic.core.protocol import Message
from traffic.core.worker.paced_queue import PacedQueue


def hand_out_before_it_is_due(patch: pytest.MonkeyPatch) -> None:
    """A worker hands out what it has, whenever it is due."""
    patch.setattr(PacedQueue, "next_second", lambda self, *, probe=False: -float("inf"))


def stamp_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """An answer says what second it was when it was decided, not when it left."""
    decide = LeaseCoordinator.receive

    def receive_and_stamp(self: LeaseCoordinator, worker: str, message: object, now: float) -> Any:
        self.decided_at = now  # type: ignore[attr-defined]
        return decide(self, worker, message, now)

    stamped = LeaseCoordinator.stamped

    def stamp_early(self: LeaseCoordinator, worker: str, message: Message, now: float) -> Message:
        made = stamped(self, worker, message, getattr(self, "decided_at", now))
        return stamped(self, worker, message, now) if getattr(made, "stamp", None) is None else _left_at(made, now)

    patch.setattr(LeaseCoordinator, "receive", receive_and_stamp)
    patch.setattr(LeaseCoordinator, "stamped", stamp_early)


def _left_at(message: Any, now: float) -> Any:
    """Return the message with the time at which it leaves, and the second of another time."""
    return replace(message, stamp=replace(message.stamp, left=now))


def deal_to_the_silent(patch: pytest.MonkeyPatch) -> None:
    """A worker that is not heard of is dealt records until its lease lapses."""
    patch.setattr(pacer, "SILENT_S", float("inf"))


def let_the_schedule_run_in_a_pause(patch: pytest.MonkeyPatch) -> None:
    """The schedule goes on while a person pauses the run."""
    reason = ScheduleKeeper._reason_to_stop

    def never_for_a_pause(self: ScheduleKeeper, *known: Any, waits: str, stalled: str) -> str:
        return reason(self, *known, waits="", stalled="" if waits else stalled)

    patch.setattr(ScheduleKeeper, "_reason_to_stop", never_for_a_pause)


def work_off_a_backlog_at_once(patch: pytest.MonkeyPatch) -> None:
    """What is overdue is sent as fast as users are free."""
    patch.setattr(PacedQueue, "_distance", lambda self, due: 0.0)


def forget_the_rate_in_a_break(patch: pytest.MonkeyPatch) -> None:
    """While nothing is planned, what is overdue has no distance."""
    spacing = pacer.Pacer.spacing

    def of_the_plan(self: pacer.Pacer, worker: str, sessions: Any, now: float) -> float:
        return spacing(self, worker, sessions, now) if self.schedule.rate(self.clock.read(now)) else 0.0

    patch.setattr(pacer.Pacer, "spacing", of_the_plan)


def deal_what_comes_due_to_one(patch: pytest.MonkeyPatch) -> None:
    """Turns do not count: all that comes due goes to one worker."""
    patch.setattr(pacer.Pacer, "_next", lambda self, able, size: min(able))


def forget_another_rate(patch: pytest.MonkeyPatch) -> None:
    """A changed rate is not written to the journal."""
    committed: Any = Master._committed

    def without_pace(self: Master, *batch: Any) -> None:
        committed(self, *batch[:-1], self._journaled_pace)

    patch.setattr(Master, "_committed", without_pace)


def move_what_is_dealt(patch: pytest.MonkeyPatch) -> None:
    """Another rate counts at once, also for what workers have been leased."""

    def at_once(self: pacer.Pacer, profile: Any, now: float) -> float:
        assert isinstance(self.schedule, RateSchedule)
        return self.schedule.change(self.clock.read(now), profile)

    patch.setattr(pacer.Pacer, "change_rate", at_once)
