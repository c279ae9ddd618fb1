"""Say what a pace would mean for a traffic file, and send nothing: `traffic plan FILE --rate 500/s`, or `--time FIELD`.

The users are by Little's law: as many records are under way as become due while one is answered (J. D. C. Little, "A
Proof for the Queuing Formula L = λW", 1961). With Poisson arrivals that number is itself a Poisson variable (the
queue M/G/∞), for which the normal distribution is near enough.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from traffic.core.pace.arrivals import Arrivals, arrivals
from traffic.core.pace.config import TIME_FORMATS, RecordedPace
from traffic.core.pace.profile import Profile
from traffic.core.pace.recorded import RecordedSchedule
from traffic.core.text import count_records
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.time_index import TimeFacts, open_times
from traffic.settings import SettingsError, rate_text
from traffic.settings.arguments import READING, add_arguments, settings_of
from traffic.settings.readers import BadValueError
from traffic.terminal.progress_line import ProgressLine

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
        lines = _of_times(wanted) if wanted.time is not None else _of_rate(wanted)
    except (DatasetError, PlanError, SettingsError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks
        return 1
    print("\n".join(lines))  # noqa: T201 - as above
    return 0


def _of_rate(wanted: argparse.Namespace) -> list[str]:
    with _opened(wanted) as (dataset, _):
        records = dataset.records
    profile = wanted.rate or Profile.level(max(records, 1) / wanted.duration)
    made = Plan.of(profile, arrivals(wanted.arrivals, records, wanted.seed))
    return list(made.lines(wanted.file, wanted.latency))


def _of_times(wanted: argparse.Namespace) -> list[str]:
    pace = RecordedPace(wanted.time, wanted.time_format, wanted.speed, wanted.max_gap)
    with _opened(wanted) as (dataset, cache):
        index = open_times(dataset, cache, pace, 0, dataset.records, lambda _done, _of: None)
        return list(_recorded_lines(wanted, index.facts, pace.schedule(index.times)))


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
    pace.add_argument(
        "--time", metavar="FIELD", help="the member, or JSON Pointer, of each record that says when it is due"
    )
    parser.add_argument("--time-format", choices=TIME_FORMATS, default="auto", help="what these times are")
    speed = "how many times as fast as recorded: 2, 0.5, 200%%"
    parser.add_argument("--speed", type=_read(rate_text.speed), default="1", help=speed)
    gap = "the longest time between two records that follow recorded times"
    parser.add_argument("--max-gap", type=_read(rate_text.duration), metavar="TIME", help=gap)
    parser.add_argument("--arrivals", choices=("even", "poisson"), default="even", help="how records are spread")
    parser.add_argument("--seed", type=int, default=1, help="which Poisson arrivals (default: 1)")
    add_arguments(parser, READING)
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


@contextmanager
def _opened(wanted: argparse.Namespace) -> Iterator[tuple[Dataset, Cache]]:
    """Open the file for the length of a block, with a cache that is gone afterwards."""
    file, reading = wanted.file, settings_of(wanted).reading
    with tempfile.TemporaryDirectory(prefix="traffic-plan-") as folder:
        cache = Cache(Path(folder))
        dataset = DatasetLoader(file, cache, ProgressLine(file), reading=reading).open()
        try:
            yield dataset, cache
        finally:
            dataset.close()


def _recorded_lines(wanted: argparse.Namespace, facts: TimeFacts, schedule: RecordedSchedule) -> Iterator[str]:
    """Return for people what recorded times mean, a line each."""
    last_s = float(schedule.due([facts.records - 1])[0])
    span_s = (facts.last_ns - facts.first_ns) / 1e9
    yield f"{wanted.file}: {count_records(facts.records)}, the last is due after {_time(last_s)}"
    utc = ", taken for UTC" if facts.naive else ""
    spread = f", spread over {_time(facts.rounded_ns / 1e9)} each" if facts.rounded_ns else ""
    yield f"  recorded: over {_time(span_s)}, as {facts.format}{utc}{spread}"
    order = f"{facts.out_of_order} stand behind a later one, by up to {_time(facts.furthest_s)}"
    yield f"  order: {order if facts.out_of_order else 'as in the file'}"
    cut = f"; {schedule.cuts} gaps are cut, by {_time(schedule.cut_s)} in all" if schedule.cuts else ""
    yield f"  longest gap: {_time(facts.longest_gap_s)} as recorded{cut}"
    busiest, under_way = _most_at_once(schedule, 1.0), _most_at_once(schedule, wanted.latency)
    yield f"  busiest second: {count_records(busiest)}"
    yield f"  users: {under_way} if an answer takes {_time(wanted.latency)}"


def _most_at_once(schedule: RecordedSchedule, seconds: float) -> int:
    """Return how many records are due within so many seconds, at most."""
    most, before = 0, np.zeros(0)
    for first in range(0, schedule.records, _BATCH):
        due = np.concatenate([before, schedule.due(np.arange(first, min(first + _BATCH, schedule.records)))])
        most = max(most, int((np.arange(1, len(due) + 1) - np.searchsorted(due, due - seconds, side="right")).max()))
        before = due[due > due[-1] - seconds]
    return most


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
