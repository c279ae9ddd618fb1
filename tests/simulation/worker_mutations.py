"""Mutations of the worker's side: each takes one of its rules away."""

from typing import Any

import pytest

from simulation.as_if_unpaused import as_if_unpaused
from traffic.core.outcome import Answer
from traffic.core.protocol import LeaseGrant, ResultBatch
from traffic.core.worker.feed import Feed, Record
from traffic.core.worker.link import LeaseClient
from traffic.core.worker.reach import Reach
from traffic.core.worker.result_log import ResultLog

FOREVER = float("inf")


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """A worker hands out records however long ago the master answered it (P5)."""
    take, on_answer = Feed.take_batch, LeaseClient._on_answer

    def take_anyway(self: Feed, now: float, most: int) -> list[Record]:
        self.deadline = FOREVER
        return take(self, now, most)

    def never_lapse(self: LeaseClient, message: Any, now: float) -> None:
        on_answer(self, message, now)
        self._expires = FOREVER

    patch.setattr(Feed, "take_batch", take_anyway)
    patch.setattr(LeaseClient, "_on_answer", never_lapse)


def ack_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    """A worker reports a record as delivered when it sends it (P2)."""
    take = Feed.take_batch

    def take_and_report(self: Feed, now: float, most: int) -> list[Record]:
        taken = take(self, now, most)
        self._delivered += [record.position for record in taken]
        return taken

    patch.setattr(Feed, "take_batch", take_and_report)


def hand_out_while_paused(patch: pytest.MonkeyPatch) -> None:
    """A worker that knows of a pause asks for no more, and hands out what waits in its feed."""
    patch.setattr(Feed, "take_batch", as_if_unpaused(Feed.take_batch))


def keep_records_in_trouble(patch: pytest.MonkeyPatch) -> None:
    """A worker that cannot reach the API keeps its records (P9)."""
    patch.setattr(Feed, "hand_back", lambda self, now: False)


def ignore_missing_answers(patch: pytest.MonkeyPatch) -> None:
    """Attempts without an answer count against their records, and say nothing of the API."""
    fail = Reach.fail

    def fail_unless_sent(self: Reach, answer: Answer, now: float) -> None:
        if not answer.sent:
            fail(self, answer, now)

    patch.setattr(Reach, "fail", fail_unless_sent)


def repeat_outcomes_at_the_full_rate(patch: pytest.MonkeyPatch) -> None:
    """A worker whose outcomes wait for an answer repeats them four times a second."""
    ack_is_due = LeaseClient._ack_is_due
    patch.setattr(LeaseClient, "_ack_is_due", lambda self, now: now >= self._ack_due or ack_is_due(self, now))


def keep_a_lease_when_leaving(patch: pytest.MonkeyPatch) -> None:
    """A worker that is leaving keeps a lease that was on its way to it (P4)."""
    offer = Feed.add_lease

    def offer_anyway(self: Feed, grant: LeaseGrant, now: float) -> None:
        closed, self.closed = self.closed, False
        offer(self, grant, now)
        self.closed = closed

    patch.setattr(Feed, "add_lease", offer_anyway)


def keep_the_last_times(patch: pytest.MonkeyPatch) -> None:
    """A worker that has nothing left to send does not tell at once how long its attempts took."""
    timings = LeaseClient._timings

    def when_due(self: LeaseClient, now: float) -> Any:
        return timings(self, now) if now >= self._timings_due else ()

    patch.setattr(LeaseClient, "_timings", when_due)


def keep_rows_for_later(patch: pytest.MonkeyPatch) -> None:
    """A worker sends its rows once there are many, and not before the ack that reports their outcomes."""
    batches = ResultLog.batches
    patch.setattr(ResultLog, "batches", lambda self, now, *, everything: batches(self, now, everything=False))


def never_send_rows_again(patch: pytest.MonkeyPatch) -> None:
    """A batch of rows whose message was lost stays unconfirmed."""

    def only_new(self: ResultLog, now: float, *, everything: bool) -> list[ResultBatch]:
        self._resend = False
        for sent in self._unconfirmed:
            sent.at = now
        return batches(self, now, everything=everything)

    batches = ResultLog.batches
    patch.setattr(ResultLog, "batches", only_new)
