"""Drives the reading of recorded requests: makes their records, counts what is left out, and reports faults."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.facts import FileFacts
from traffic.dataset.fault_list import FaultList
from traffic.dataset.from_requests.builder import LeftOutError, RecordedRequest, RequestBuilder
from traffic.dataset.record_writer import RecordWriter
from traffic.dataset.scan import MAX_RECORD, Progress
from traffic.dataset.source import Source
from traffic.dataset.timestamps import in_range

_BATCH, _BATCH_BYTES = 4096, 1 << 20
REMEDY = "Correct it, or take it out of the file."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request begins in the file, by its line from 1, if it has one, and up to which byte of it was read."""

    line: int | None
    done: int


Found = tuple[Place, RecordedRequest | Exception]
"""A request, a ValueError that says why it is none (to follow "record 7"), or a LeftOutError."""


Parse = Callable[[Source], Iterable[Found]]


def convert_requests(
    parse: Parse, source: Source, builder: RequestBuilder, out: RecordWriter, progress: Progress
) -> FileFacts:
    """Add the records of all requests to `out`, with their times. DatasetError if one of them is not good."""
    faults, record, batch, times, size = FaultList(), 0, list[bytes](), list[int | None](), 0
    for place, found in parse(source):
        try:
            if isinstance(found, Exception):
                raise found
            made = builder.record(found)
            if found.time_ns is not None:
                in_range(found.time_ns)
            if len(made) > MAX_RECORD:
                raise ValueError(f"is longer than {MAX_RECORD >> 20} MiB")  # noqa: TRY301 - as above
        except LeftOutError as error:
            builder.leave_out(error)
            continue
        except ValueError as error:
            column = None if place.line is None else 1
            faults.add(DatasetError(source.name, str(error), REMEDY, record, place.line, column))
            record += 1
            continue
        record += 1
        if faults.count:
            continue
        batch.append(made)
        times.append(found.time_ns)
        size += len(made)
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            out.add(batch, place.done, source.size, times)
            batch, times, size = [], [], 0
            progress(place.done, source.size)
    faults.raise_any()
    out.add(batch, source.size, source.size, times)
    left_out = tuple((many, one, count) for (many, one), count in builder.left_out.most_common())
    if not record:
        what = "the file has no request that is sent"
        why = "; ".join(f"{count} {one if count == 1 else many}" for many, one, count in left_out)
        raise DatasetError(
            source.name, f"{what}{': ' + why if why else ''}", "Name another file, or --traffic-methods."
        )
    return FileFacts(left_out=left_out)
