"""What a run's attempts took, told apart by request, status and error: the shape that both sides share.

An attempt that did not leave its worker is none. Times are in seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from traffic.core import wire
from traffic.core.histogram import Histogram
from traffic.core.outcome import LONGEST_REASON

# A worker tells so many kinds apart at most; what comes later counts as `OTHER`, by status.
MOST_KINDS = 300
# Of them, so many errors of one request; later ones count as `OTHER`.
MOST_ERRORS = 20
OTHER = "(others)"


class Request(NamedTuple):
    """What a request counts as in the statistics: its path, maybe with what varies left out, and its method."""

    name: str
    method: str


class Kind(NamedTuple):
    """Attempts that count together: `error` says why there was no answer; empty if there was one."""

    name: str
    method: str
    status: int
    error: str


@dataclass(slots=True)
class Timing:
    """How long the attempts of one kind took: `service` from when they were sent, `response` from when they were due.

    Without a schedule nothing is due: then `response` is empty, and the service time is the response time.
    """

    service: Histogram = field(default_factory=Histogram)
    response: Histogram = field(default_factory=Histogram)

    def update(self, other: "Timing") -> None:
        """Add other attempts."""
        self.service.update(other.service)
        self.response.update(other.response)

    @property
    def felt(self) -> Histogram:
        """The response times, which are the service times if nothing was due."""
        return self.response if self.response.counts else self.service


@dataclass(frozen=True, slots=True)
class KindTiming:
    """One kind with its timing, as a message and the journal have it."""

    kind: Kind
    timing: Timing

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [*self.kind, self.timing.service.to_wire(), self.timing.response.to_wire()]

    @classmethod
    def from_wire(cls, data: Any) -> "KindTiming":
        """Read the fields in their order. Raises ProtocolError or ValueError if they are others."""
        name, method, status, error, service, response = wire.many(data)
        kind = Kind(wire.text(name), wire.text(method), wire.whole(status), wire.text(error)[:LONGEST_REASON])
        return cls(kind, Timing(Histogram.from_wire(service), Histogram.from_wire(response)))


def total_of(timings: Iterable[Timing]) -> Timing:
    """Return what several timings come to."""
    made = Timing()
    for one in timings:
        made.update(one)
    return made
