"""What one worker has measured in a run with a pace, and what the measures of all come to.

All that is counted is counted since the run began on that worker, so that a message that is lost loses nothing.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from traffic.core import wire
from traffic.core.histogram import Histogram

# A record counts as late from so many seconds on. The report also counts those of the other bounds.
LATE_S = 0.01
BOUNDS_S = (LATE_S, 0.1, 1.0)


class LateCause(IntEnum):
    """Why a record was sent late."""

    NO_FREE_USER = 0  # every user of the worker was sending
    LEASE_LATE = 1  # its lease came after it was due
    WORKER_LOST = 2  # another worker had it, and was lost
    API_UNREACHABLE = 3  # another worker had sent it in vain
    BACKLOG = 4  # the worker had more that was overdue, or was busy itself


@dataclass(slots=True)
class PaceMeasures:
    """`sent` counts the records that were taken, `second` is the latest second of the schedule in which one was.

    `late` has how late they were taken, `over` how many of them by more than each of `BOUNDS_S`, and `because` how many
    for each cause. `service` has how long attempts took from when they were sent to their end.
    """

    sent: int = 0
    second: float = 0.0
    late: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    over: list[int] = field(default_factory=lambda: [0] * len(BOUNDS_S))
    because: list[int] = field(default_factory=lambda: [0] * len(LateCause))

    def update(self, other: "PaceMeasures") -> None:
        """Add what another worker has measured."""
        self.sent += other.sent
        self.second = max(self.second, other.second)
        self.late.update(other.late)
        self.service.update(other.service)
        self.over = [one + more for one, more in zip(self.over, other.over, strict=True)]
        self.because = [one + more for one, more in zip(self.because, other.because, strict=True)]

    def copy(self) -> "PaceMeasures":
        """Return the same measures, which do not change with these."""
        made = PaceMeasures()
        made.update(self)
        return made

    def to_wire(self) -> list[Any]:
        """Return the fields in their order."""
        return [self.sent, self.second, self.late.to_wire(), self.service.to_wire(), self.over, self.because]

    @classmethod
    def from_wire(cls, data: Any) -> "PaceMeasures | None":
        """Read the fields in their order; None is no measures. ProtocolError or ValueError if they are others."""
        if data is None:
            return None
        sent, second, late, service, over, because = wire.many(data)
        return cls(
            wire.whole(sent),
            wire.number(second),
            Histogram.from_wire(late),
            Histogram.from_wire(service),
            _counts(over, len(BOUNDS_S)),
            _counts(because, len(LateCause)),
        )


def _counts(value: Any, size: int) -> list[int]:
    counts = [wire.whole(one) for one in wire.many(value)]
    if len(counts) != size:
        raise wire.ProtocolError(f"expected {size} counts, got {len(counts)}")
    return counts
