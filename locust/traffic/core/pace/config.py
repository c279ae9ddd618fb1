"""The pace of a run as its journal keeps it, and the schedule that it makes."""

from dataclasses import dataclass
from typing import Any, cast

from traffic.core.pace.arrivals import Kind, arrivals
from traffic.core.pace.profile import Piece, Profile
from traffic.core.pace.schedule import RateSchedule


@dataclass(frozen=True, slots=True)
class PaceConfig:
    """How fast a run sends: `rate` as a person wrote it, the same as pieces of a profile, and how arrivals are spread.

    A piece is its first and last rate, in records a second, and its seconds.
    """

    rate: str
    pieces: tuple[tuple[float, float, float], ...]
    arrivals: Kind

    @classmethod
    def of(cls, rate: str, profile: Profile, kind: str) -> "PaceConfig":
        """Return the pace of a profile."""
        pieces = tuple((piece.begin, piece.end, piece.seconds) for piece in profile.pieces)
        return cls(rate, pieces, cast("Kind", kind))

    @classmethod
    def from_json(cls, data: Any) -> "PaceConfig | None":
        """Read what a journal has; None is no pace. KeyError, TypeError or ValueError if it is something else."""
        if data is None:
            return None
        pieces = tuple((float(begin), float(end), float(seconds)) for begin, end, seconds in data["pieces"])
        return cls(str(data["rate"]), pieces, data["arrivals"])

    def schedule(self, records: int, seed: int) -> RateSchedule:
        """Return the schedule of a run. ValueError if the profile ends, at a rate of 0, before the last record."""
        return RateSchedule(arrivals(self.arrivals, records, seed), Profile(Piece(*piece) for piece in self.pieces))
