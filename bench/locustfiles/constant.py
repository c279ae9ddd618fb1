"""ReplayUser without a master: one constant record, again and again."""

from typing import Any

from locust import events
from locust.env import Environment
from posted import BODY, RUN

from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import RunConfig
from traffic.core.worker.feed import Record
from traffic.users.replay_user import ReplayUser
from traffic.users.source import sources

TERMS = RunConfig(RUN, "POST", "/", (0.0, 0.0), 3, "at-least-once")
RECORD = Record(RUN, 1, 0, 1, BODY, redelivered=False)


class Constant:
    """A source that has always the same record."""

    name, run, over = "worker-1", TERMS, False

    def take(self, now: float | None = None) -> Record:
        """The record."""
        return RECORD

    def take_batch(self, now: float, most: int) -> list[Record]:
        """The record, so many times."""
        return [RECORD] * most

    def record_outcome(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        """Forget it."""

    def wait(self, timeout: float) -> None:
        """There is always one."""


@events.init.add_listener
def _source(environment: Environment, **_: Any) -> None:
    sources[environment] = Constant()


class Posting(ReplayUser):
    """Posts it."""
