"""Say what a rate would mean for a traffic file, and send nothing: `traffic plan FILE --rate 500/s`.

The users are by Little's law: as many records are under way as become due while one is answered (J. D. C. Little, "A
Proof for the Queuing Formula L = λW", 1961). With Poisson arrivals that number is itself a Poisson variable (the
queue M/G/∞), for which the normal distribution is near enough.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from traffic.core.pace.arrivals import Arrivals, arrivals
from traffic.core.pace.profile import Profile
from traffic.core.text import count_records
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.loader import DatasetLoader
from traffic.settings import rate_text
from traffic.settings.readers import BadValueError

# So many due times are reckoned at once.
_BATCH = 1 << 20
_LATENCY = "200ms"
_MINUTE_S = 60
# 99 of 100 values of a normal distribution are below so many standard deviations.
_Z99 = 2.326

T = TypeVar("T")


class PlanError(ValueError):
    """A profile that does not fit the file; the text says why, and the remedy."""


def plan(arguments: list[str]) -> int:
    """Run the command. Return 0, with the plan on stdout; 1, with the reason on stderr, if there is none."""
    wanted = _parser().parse_args(arguments)
    try:
        records = _records(wanted.file)
        profile = wanted.rate or Profile.level(max(records, 1) / wanted.duration)
        made = Plan.of(profile, arrivals(wanted.arrivals, records, wanted.seed))
    except (DatasetError, PlanError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks
        return 1
    print("\n".join(made.lines(wanted.file, wanted.latency)))  # noqa: T201 - as above
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="traffic plan", description="Say what a rate means for a file; send nothing.")
    parser.add_argument("file", type=Path, help="the traffic file")
    pace = parser.add_mutually_exclusive_group(required=True)
    pace.add_argument(
        "--rate",
        type=_read(rate_text.profile),
        metavar="RATE",
        help=f"records a second in all, {rate_text.RATES}; or a profile, such as 'line(0,500,1m) const(500,10m)'",
    )
    pace.add_argument(
        "--duration",
        type=_read(rate_text.duration),
        metavar="TIME",
        help=f"how long the whole file takes, {rate_text.DURATIONS}",
    )
    parser.add_argument("--arrivals", choices=("even", "poisson"), default="even", help="how records are spread")
    parser.add_argument("--seed", type=int, default=1, help="which Poisson arrivals (default: 1)")
    latency = f"how long the API takes for an answer, for the number of users (default: {_LATENCY})"
    parser.add_argument("--latency", type=_read(rate_text.duration), metavar="TIME", default=_LATENCY, help=latency)
    return parser


def _read(read: Callable[[str], T]) -> Callable[[str], T]:
    """Make argparse say the rule that a value breaks."""

    def value(text: str) -> T:
        try:
            return read(text)
        except BadValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, not {text!r}") from error

    return value


def _records(file: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="traffic-plan-") as folder:
        dataset = DatasetLoader(file, Cache(Path(folder))).open()
        try:
            return dataset.records
        finally:
            dataset.close()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the profile as far as the records reach: in seconds of the schedule, and in records a second."""

    begin_s: float
    seconds: float
    first_rate: float
    last_rate: float
    records: int


@dataclass(frozen=True, slots=True)
class Plan:
    """When the records are due: the pieces of the profile, and how many are due in the busiest second.

    `seconds` is when the last record is due. `spread` is how many records more or fewer than the rate says may be under
    way at a moment, in standard deviations: 0 for even arrivals.
    """

    records: int
    seconds: float
    busiest: int
    stretches: tuple[Stretch, ...]
    spread: float

    @classmethod
    def of(cls, profile: Profile, spread: Arrivals) -> "Plan":
        """Reckon the plan. PlanError if the profile ends, at a rate of 0, before the last record."""
        if spread.records > profile.records:
            what = f"The profile ends at 0/s after {math.floor(profile.records)} of {spread.records} records."
            raise PlanError(f"{what} Let its last piece end above 0/s, or last longer.")
        seconds, busiest = _walk(profile, spread)
        return cls(spread.records, seconds, busiest, tuple(_stretches(profile, spread, seconds)), spread.deviation)

    @property
    def peak(self) -> float:
        """The highest rate that is reached, in records a second."""
        return max((max(one.first_rate, one.last_rate) for one in self.stretches), default=0.0)

    def users(self, latency_s: float) -> int:
        """Return how many users are busy at the peak, and with Poisson arrivals in 99 of 100 moments at most."""
        under_way = self.peak * latency_s
        return max(1, math.ceil(under_way + _Z99 * self.spread * math.sqrt(under_way) - 1e-9))

    def lines(self, file: Path, latency_s: float) -> Iterator[str]:
        """Return the plan for people, a line each."""
        yield f"{file}: {count_records(self.records)}, the last is due after {_time(self.seconds)}"
        yield "  from              for               records a second        records"
        for one in self.stretches:
            level = one.first_rate == one.last_rate
            rates = f"{one.first_rate:.6g}" if level else f"{one.first_rate:.6g} to {one.last_rate:.6g}"
            yield f"  {_time(one.begin_s):<18}{_time(one.seconds):<18}{rates:<20}{one.records:>11}"
        yield f"  peak: {self.peak:.6g} a second; the busiest second has {count_records(self.busiest)}"
        yield f"  users: {self.users(latency_s)} if an answer takes {_time(latency_s)}"


def _walk(profile: Profile, spread: Arrivals) -> tuple[float, int]:
    """Return when the last record is due, and how many are due in the second that has the most."""
    last_s, busiest, second, so_far = 0.0, 0, -1, 0
    for first in range(0, spread.records, _BATCH):
        due = profile.times(spread.at(np.arange(first, min(first + _BATCH, spread.records))))
        last_s = float(due[-1])
        seconds, counts = np.unique(due.astype(np.int64), return_counts=True)
        # A second may have begun in the batch before.
        counts[0] += so_far if int(seconds[0]) == second else 0
        busiest = max(busiest, int(counts.max()))
        second, so_far = int(seconds[-1]), int(counts[-1])
    return last_s, busiest


def _stretches(profile: Profile, spread: Arrivals, last_s: float) -> Iterator[Stretch]:
    before = 0
    for begin_s, end_s, first, last in _spans(profile):
        if before == spread.records:
            return
        by_then = spread.before(float(profile.due_by([end_s])[0])) if end_s < math.inf else spread.records
        seconds = min(end_s, last_s) - begin_s if by_then == spread.records else end_s - begin_s
        last_rate = first if first == last else first + (last - first) * seconds / (end_s - begin_s)
        yield Stretch(begin_s, seconds, first, last_rate, by_then - before)
        before = by_then


def _spans(profile: Profile) -> Iterator[tuple[float, float, float, float]]:
    """Return the beginning, the end, the first and the last rate of each piece; the last one's rate holds for ever."""
    begin_s = 0.0
    for piece in profile.pieces[:-1]:
        yield begin_s, begin_s + piece.seconds, piece.begin, piece.end
        begin_s += piece.seconds
    piece = profile.pieces[-1]
    if piece.begin == piece.end:
        yield begin_s, math.inf, piece.begin, piece.end
        return
    yield begin_s, begin_s + piece.seconds, piece.begin, piece.end
    yield begin_s + piece.seconds, math.inf, piece.end, piece.end


def _time(seconds: float) -> str:
    """Return a duration as a person writes it: `250 ms`, `1.98 s`, `1 h 2 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.4g} ms" if seconds else "0 s"
    if seconds < _MINUTE_S:
        return f"{seconds:.4g} s"
    whole = round(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
