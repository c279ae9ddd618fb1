"""Mutations of how a run waits for its API: each takes one of its rules away."""

from typing import Any

import pytest

from traffic.core.master.api_hold import ApiHold
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.rate_backoff import RateBackoff
from traffic.core.outcome import Answer
from traffic.core.worker.feed import Feed
from traffic.core.worker.put_off import PutOff
from traffic.core.worker.record import Record


def go_on_without_a_probe(patch: pytest.MonkeyPatch) -> None:
    """After a wait all workers go on at once."""

    def lift_when_over(self: ApiHold, _troubled: Any, now: float) -> bool:
        return self.held and now >= self.until and self.lift(now)

    patch.setattr(ApiHold, "follow", lift_when_over)


def probe_with_all_users(patch: pytest.MonkeyPatch) -> None:
    """The worker that is to try the API hands out as much as it has."""
    patch.setattr(PutOff, "follow", lambda self, *, probing: None)


def keep_a_wait_from_the_others(patch: pytest.MonkeyPatch) -> None:
    """A worker waits for the API, and the master stops nobody else."""
    patch.setattr(ApiHold, "stops", lambda self, worker: self.held and worker == self._asked_by)


def go_on_sending_until_told(patch: pytest.MonkeyPatch) -> None:
    """A worker that was asked to wait goes on, and reports nothing."""
    patch.setattr(PutOff, "request", lambda self, now: None)


def count_what_was_put_off(patch: pytest.MonkeyPatch) -> None:
    """An attempt counts although the API has only asked to wait."""
    put_off = Feed._put_off

    def counted(self: Feed, record: Record, answer: Answer, now: float) -> None:
        put_off(self, record, answer, now)
        record.put_off = 0

    patch.setattr(Feed, "_put_off", counted)


def forget_the_wait(patch: pytest.MonkeyPatch) -> None:
    """A master that was restarted goes on at once."""
    patch.setattr(LeaseCoordinator, "restore_hold", lambda self, seconds, status, now: [])


def wait_for_a_lost_prober(patch: pytest.MonkeyPatch) -> None:
    """If the worker that was to try the API is gone, no other is chosen."""
    follow = ApiHold.follow

    def once(self: ApiHold, troubled: Any, now: float) -> bool:
        return not self.prober and follow(self, troubled, now)

    patch.setattr(ApiHold, "follow", once)


def never_slow_down(patch: pytest.MonkeyPatch) -> None:
    """A 429 that does not say for how long changes nothing for the run."""
    patch.setattr(RateBackoff, "note", lambda self, worker, answers, usual, now: False)
