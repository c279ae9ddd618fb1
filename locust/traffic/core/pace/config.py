"""The pace of a run as its journal keeps it, and the schedule that it makes: a rate, or the times of the records."""

from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from traffic.core.pace.arrivals import Kind, arrivals
from traffic.core.pace.profile import Piece, Profile
from traffic.core.pace.recorded import RecordedSchedule, Times
from traffic.core.pace.schedule import RateSchedule

# The first and last rate of each piece, in records a second, and its seconds.
Pieces = tuple[tuple[float, float, float], ...]
# What recorded times are: text in ISO 8601, or numbers since 1970; auto: as the first one looks.
TimeFormat = Literal["auto", "iso", "s", "ms", "us", "ns"]
TIME_FORMATS: tuple[TimeFormat, ...] = ("auto", "iso", "s", "ms", "us", "ns")


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
    def from_json(cls, data: Any) -> "PaceConfig":
        """Read what a journal has. KeyError, TypeError or ValueError if it is something else."""
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


@dataclass(frozen=True, slots=True)
class RecordedPace:
    """A run that follows the times in its records: where they stand, and of what kind they are.

    It goes `speed` times as fast, and no gap is longer than `max_gap` seconds; None: any.
    """

    field: str
    format: TimeFormat
    speed: float = 1.0
    max_gap: float | None = None

    @classmethod
    def from_json(cls, data: Any) -> "RecordedPace":
        """Read what a journal has. KeyError, TypeError or ValueError if it is something else."""
        max_gap = data["max_gap"]
        gap = None if max_gap is None else float(max_gap)
        return cls(str(data["field"]), data["format"], float(data["speed"]), gap)

    @property
    def present_rate(self) -> str:
        """How fast the run goes, in words."""
        return f"as recorded in {self.field}" + ("" if self.speed == 1 else f", {self.speed:g} times as fast")

    def schedule(self, times: Times) -> RecordedSchedule:
        """Return the schedule of a run, of whose records these are the times in their order."""
        return RecordedSchedule(times, self.speed, self.max_gap)


def pace_from_json(data: Any) -> PaceConfig | RecordedPace | None:
    """Read what a journal has of a pace; None is none. KeyError, TypeError or ValueError if it is something else."""
    if data is None:
        return None
    return RecordedPace.from_json(data) if "field" in data else PaceConfig.from_json(data)


def _pieces_of(profile: Profile) -> Pieces:
    return tuple((piece.begin, piece.end, piece.seconds) for piece in profile.pieces)


def _read_pieces(data: Any) -> Pieces:
    return tuple((float(begin), float(end), float(seconds)) for begin, end, seconds in data)


def _profile_of(pieces: Pieces) -> Profile:
    return Profile(Piece(*piece) for piece in pieces)
