"""The pace of a run as its journal keeps it, and the schedule that it makes."""

from dataclasses import dataclass, replace
from typing import Any, cast

from traffic.core.pace.arrivals import Kind, arrivals
from traffic.core.pace.profile import Piece, Profile
from traffic.core.pace.schedule import RateSchedule

# The first and last rate of each piece, in records a second, and its seconds.
Pieces = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class RateChange:
    """From the second `at` of the schedule on, the run follows another profile, which begins then."""

    at: float
    rate: str
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class PaceConfig:
    """How fast a run sends: `rate` as a person wrote it, the same as pieces of a profile, and how arrivals are spread.

    `changes` are those of the rate while the run went, in their order.
    """

    rate: str
    pieces: Pieces
    arrivals: Kind
    changes: tuple[RateChange, ...] = ()

    @classmethod
    def of(cls, rate: str, profile: Profile, kind: str) -> "PaceConfig":
        """Return the pace of a profile."""
        return cls(rate, _pieces_of(profile), cast("Kind", kind))

    @classmethod
    def from_json(cls, data: Any) -> "PaceConfig | None":
        """Read what a journal has; None is no pace. KeyError, TypeError or ValueError if it is something else."""
        if data is None:
            return None
        changes = tuple(
            RateChange(float(one["at"]), str(one["rate"]), _read_pieces(one["pieces"]))
            for one in data.get("changes", ())
        )
        return cls(str(data["rate"]), _read_pieces(data["pieces"]), data["arrivals"], changes)

    @property
    def present_rate(self) -> str:
        """The rate that counts now, as a person wrote it."""
        return self.changes[-1].rate if self.changes else self.rate

    def changed(self, at: float, rate: str, profile: Profile) -> "PaceConfig":
        """Return the pace with one more change of its rate."""
        return replace(self, changes=(*self.changes, RateChange(at, rate, _pieces_of(profile))))

    def schedule(self, records: int, seed: int) -> RateSchedule:
        """Return the schedule of a run. ValueError if the profile ends, at a rate of 0, before the last record."""
        made = RateSchedule(arrivals(self.arrivals, records, seed), _profile_of(self.pieces))
        for change in self.changes:
            made.change(change.at, _profile_of(change.pieces))
        return made


def _pieces_of(profile: Profile) -> Pieces:
    return tuple((piece.begin, piece.end, piece.seconds) for piece in profile.pieces)


def _read_pieces(data: Any) -> Pieces:
    return tuple((float(begin), float(end), float(seconds)) for begin, end, seconds in data)


def _profile_of(pieces: Pieces) -> Profile:
    return Profile(Piece(*piece) for piece in pieces)
