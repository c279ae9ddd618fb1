"""Index the records of a file by the time that stands in each: made once, kept in the cache, and mapped from disk.

cache/<digest>-<key>.times    the times in their order, as little-endian int64 in nanoseconds
cache/<digest>-<key>.order    the index of each record in that order, as little-endian uint64; none if it is the file's

Guarded here: records of the same time keep the order of the file. Memory does not grow with the file: what is sorted at
a time is `_MOST_SORTED` records. Times that are all whole seconds were rounded; the n records of one such second are
spread over it, at (k + 1/2)/n.
"""

import hashlib
import json
import mmap
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from traffic.core.pace.config import RecordedPace, TimeFormat
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.record_times import TimeField, TimeReader
from traffic.dataset.scan import Progress

MAGIC = b"traffic times 1\n"
_HEAD = 4096
_MOST_SORTED = 1 << 20
_PIECE = 1 << 20
_SECOND_NS = 1_000_000_000

Times = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TimeFacts:
    """What is known of the times of a file: how many records stand before an earlier one, and by how much at most.

    `rounded_ns` is 1e9 if all times are whole seconds, else 0; `naive`: a text has no offset, and is taken for UTC.
    """

    records: int
    format: TimeFormat
    naive: bool
    first_ns: int
    last_ns: int
    out_of_order: int
    furthest_s: float
    longest_gap_s: float
    rounded_ns: int
    sorted: bool


@dataclass(frozen=True, slots=True)
class TimeIndex:
    """The times of a run's records in their order, and which record has each; None: the order is the file's.

    Both have shape (records,), and are mapped from disk.
    """

    facts: TimeFacts
    times: Times
    order: Ranks | None


def open_times(
    dataset: Dataset, cache: Cache, pace: RecordedPace, first: int, count: int, progress: Progress
) -> TimeIndex:
    """Return the index by time of `count` records from index `first` on, from the cache or newly made.

    DatasetError if a record has no time that can be used, or if the index cannot be written.
    """
    wanted = json.dumps([pace.field, pace.format, first, count, dataset.reading.key])
    stem = cache.folder / f"{dataset.digest}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    try:
        if (known := _load(stem)) is None:
            cache.folder.mkdir(parents=True, exist_ok=True)
            _make(stem, TimeReader(dataset, TimeField(pace.field), pace.format), first, count, progress)
            known = _load(stem)
    except OSError as error:
        what = f"the state folder cannot be written ({error.strerror})"
        raise DatasetError(dataset.file, what, "Make room there, or name another with --traffic-state-dir.") from error
    if known is None:
        what = "the index of its times was deleted while it was made"
        raise DatasetError(dataset.file, what, "Leave the state folder's cache as it is.")
    return known


def _load(stem: Path) -> TimeIndex | None:
    """Return an index that is there and whole; None if none is."""
    try:
        with _file(stem, "times").open("rb") as file:
            head = file.read(_HEAD)
            if not head.startswith(MAGIC):
                return None
            facts = TimeFacts(**json.loads(head[len(MAGIC) :].partition(b"\n")[0]))
            if os.fstat(file.fileno()).st_size != _HEAD + 8 * facts.records:
                return None
            times = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), "<i8", offset=_HEAD)
        if facts.sorted:
            return TimeIndex(facts, times, None)
        with _file(stem, "order").open("rb") as file:
            if os.fstat(file.fileno()).st_size != 8 * facts.records:
                return None
            order = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), "<u8")
    except (OSError, ValueError, TypeError):
        return None
    return TimeIndex(facts, times, order)


def _make(stem: Path, reader: TimeReader, first: int, count: int, progress: Progress) -> None:
    """Write the index: first the times in the file's order, then sorted, then spread. The name comes last."""
    drafts = [_file(stem, f"{kind}.{os.getpid()}.part") for kind in ("read", "order", "times")]
    read, order, times = drafts
    try:
        with read.open("wb") as file:
            seen = _Seen()
            for piece in reader.read(first, count, progress):
                seen.note(piece)
                file.write(piece.astype("<i8").tobytes())
        given = np.memmap(read, "<i8", "r", shape=(count,))
        is_sorted = seen.out_of_order == 0
        if not is_sorted:
            with order.open("wb") as file:
                for ranks in _sorted_ranks(given):
                    file.write(ranks.astype("<u8").tobytes())
        ranked = None if is_sorted else np.memmap(order, "<u8", "r", shape=(count,))
        _write_times(times, given, ranked, reader, seen)
        if not is_sorted:
            order.replace(_file(stem, "order"))
        times.replace(_file(stem, "times"))
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


class _Seen:
    """What the times of a file are like, piece by piece in the file's order."""

    def __init__(self) -> None:
        self.records = self.out_of_order = 0
        self.furthest_ns = 0
        self.rounded_ns = _SECOND_NS
        self._latest: int | None = None

    def note(self, piece: Times) -> None:
        """Note the next piece."""
        before = np.maximum.accumulate(piece)
        if self._latest is not None:
            before = np.maximum(before, self._latest)
        behind = before - piece
        self.out_of_order += int(np.count_nonzero(behind))
        self.furthest_ns = max(self.furthest_ns, int(behind.max(initial=0)))
        self._latest = int(before[-1])
        self.records += len(piece)
        if self.rounded_ns and (piece % self.rounded_ns).any():
            self.rounded_ns = 0


def _sorted_ranks(times: Times) -> Iterator[Ranks]:
    """Yield the places of `times` in the order of their times, those of one time in their own order, in pieces.

    Times are cut into ranges of about `_MOST_SORTED` records by a sample; each range is gathered and sorted by itself.
    """
    bounds = _bounds(times)
    for low, high in pairwise(bounds):
        gathered = [start + np.flatnonzero((piece >= low) & (piece < high)) for start, piece in _pieces(times)]
        places = np.concatenate(gathered)
        if len(places):
            yield places[np.argsort(times[places], kind="stable")].astype(np.uint64)


def _bounds(times: Times) -> list[int]:
    """Return the ends of the ranges, the first and the last included."""
    least = min(int(piece.min()) for _, piece in _pieces(times))
    most = max(int(piece.max()) for _, piece in _pieces(times))
    ranges = -(-len(times) // _MOST_SORTED)
    sample = np.sort(np.asarray(times[:: max(1, len(times) // (1000 * ranges))]))
    inner = sample[np.linspace(0, len(sample) - 1, ranges + 1)[1:-1].astype(int)].tolist() if ranges > 1 else []
    return [least, *sorted({one for one in inner if least < one}), most + 1]


def _pieces(times: Times) -> Iterator[tuple[int, Times]]:
    for start in range(0, len(times), _PIECE):
        yield start, np.asarray(times[start : start + _PIECE])


def _write_times(path: Path, given: Times, order: Ranks | None, reader: TimeReader, seen: _Seen) -> None:
    """Write the times in their order, spread where they were rounded, and what is known of them."""
    count, rounded_ns = len(given), seen.rounded_ns
    with path.open("wb") as file:
        file.write(b"\0" * _HEAD)
        first = last = longest = 0
        for start in range(0, count, _PIECE):
            places = slice(start, start + _PIECE) if order is None else order[start : start + _PIECE]
            piece = np.asarray(given[places])
            spread = _spread(piece, start, given, order, rounded_ns) if rounded_ns else piece
            gaps = np.diff(spread, prepend=spread[0] if start == 0 else last)
            longest = max(longest, int(gaps.max(initial=0)))
            first, last = first if start else int(spread[0]), int(spread[-1])
            file.write(spread.astype("<i8").tobytes())
        facts = TimeFacts(
            records=count,
            format=reader.format,
            naive=reader.naive,
            first_ns=first,
            last_ns=last,
            out_of_order=seen.out_of_order,
            furthest_s=seen.furthest_ns / 1e9,
            longest_gap_s=longest / 1e9,
            rounded_ns=rounded_ns,
            sorted=order is None,
        )
        file.seek(0)
        file.write(MAGIC + json.dumps(asdict(facts)).encode() + b"\n")


def _spread(piece: Times, start: int, given: Times, order: Ranks | None, unit_ns: int) -> Times:
    """Return the times of a piece that begins at rank `start`: the n of one time at (k + 1/2)/n of the unit."""
    values, begins, counts = np.unique(piece, return_index=True, return_counts=True)
    sizes, offsets = counts.copy(), np.zeros(len(values), np.int64)
    # The first and the last time of the piece may go on beyond it.
    time_at = partial(_time_at, given, order)
    offsets[0] = start - bisect_left(range(start), int(values[0]), key=time_at)
    sizes[0] += offsets[0]
    end = bisect_right(range(len(given)), int(values[-1]), lo=start + len(piece), key=time_at)
    sizes[-1] = offsets[-1] + end - (start + int(begins[-1]))
    nth = np.arange(len(piece)) - np.repeat(begins, counts) + np.repeat(offsets, counts)
    made: Times = piece + ((nth + 0.5) / np.repeat(sizes, counts) * unit_ns).astype(np.int64)
    return made


def _time_at(given: Times, order: Ranks | None, rank: int) -> int:
    return int(given[rank if order is None else int(order[rank])])


def _file(stem: Path, kind: str) -> Path:
    return stem.with_name(f"{stem.name}.{kind}")
