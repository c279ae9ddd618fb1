"""Where users get records from: what a worker offers them, and how they find it."""

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import RunConfig
from traffic.core.worker.feed import Record

if TYPE_CHECKING:
    from locust.env import Environment


class RecordSource(Protocol):
    """Where a worker's users get their records from, and say what came of them."""

    @property
    def name(self) -> str:
        """The worker's id."""

    @property
    def run(self) -> RunConfig | None:
        """The run that records are handed out of; None while there is none."""

    @property
    def over(self) -> bool:
        """Whether the run hands out no more records."""

    def take(self, now: float | None = None) -> Record | None:
        """A record to send now; None where there is none at the moment. `now`, where it was just read off the clock."""

    def take_batch(self, now: float, most: int) -> list[Record]:
        """Up to `most` records to send now."""

    def book(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        """Say what came of an attempt; once for each record taken."""

    def wait(self, timeout: float) -> None:
        """Wait for a record, or for the run's end, `timeout` seconds at most."""


# Users can be started before Locust's init event has made the source: they find it here when it is there.
sources: "WeakKeyDictionary[Environment, RecordSource]" = WeakKeyDictionary()
