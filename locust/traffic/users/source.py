"""What a worker offers its users: records to send, and a place to report their outcomes."""

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import RunConfig
from traffic.core.worker.feed import Record

if TYPE_CHECKING:
    from locust.env import Environment


class RecordSource(Protocol):
    """Hands out a worker's records to its users, and accepts their outcomes."""

    @property
    def name(self) -> str:
        """The worker's id."""

    @property
    def run(self) -> RunConfig | None:
        """The run whose records are handed out; None while there is none."""

    @property
    def over(self) -> bool:
        """Whether the run hands out no more records."""

    def take(self, now: float | None = None) -> Record | None:
        """Return a record to send now; None if there is none. `now`: the time by `now_s`, if it is known."""

    def take_batch(self, now: float, most: int) -> list[Record]:
        """Return up to `most` records to send now."""

    def record_outcome(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        """Record the outcome of an attempt; call it once for each record taken."""

    def wait(self, timeout: float) -> None:
        """Wait for a record, or for the run's end, at most `timeout` seconds."""


# Users may start before Locust's init event: they find the source here once it has been made.
sources: "WeakKeyDictionary[Environment, RecordSource]" = WeakKeyDictionary()
