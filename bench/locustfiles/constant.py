"""ReplayUser without a master: one constant record, again and again."""

from locust import events
from posted import BODY, RUN

from traffic.core.protocol import RunConfig
from traffic.core.worker.feed import Record
from traffic.users.replay_user import ReplayUser
from traffic.users.source import sources

TERMS = RunConfig(RUN, "POST", "/", (0.0, 0.0), 3, "at-least-once")
RECORD = Record(RUN, 1, 0, 1, BODY, redelivered=False)


class Constant:
    """A source that has always the same record."""

    name, run, over = "worker-1", TERMS, False

    def take(self, now=None):
        """The record."""
        return RECORD

    def take_batch(self, now, most):
        """The record, so many times."""
        return [RECORD] * most

    def record_outcome(self, record, answer, outcome, now=None):
        """Forget it."""

    def wait(self, timeout):
        """There is always one."""


@events.init.add_listener
def _source(environment, **_):
    sources[environment] = Constant()


class Posting(ReplayUser):
    """Posts it."""
