"""Makes whole requests of bodies whose path is a template: each record says by its members where it goes."""

from functools import partial

import numpy as np

from traffic.core.headers import JSON_CONTENT, USER_AGENT
from traffic.core.path_template import PathTemplate
from traffic.core.pointer import found_at
from traffic.core.reading import Reading
from traffic.core.request_record import pack
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.fault_list import FaultList
from traffic.dataset.record_writer import RecordWriter
from traffic.dataset.scan import DECODER, Progress

_BATCH = 4096
# What stands in a request whose record says nothing of its head; the sender adds the rest.
FIELDS = (USER_AGENT, JSON_CONTENT)


def convert_bodies(bodies: Dataset, reading: Reading, out: RecordWriter, progress: Progress) -> None:
    """Add a request for each record of `bodies` to `out`. DatasetError if one lacks what its path needs."""
    template, faults = PathTemplate(reading.path), FaultList()
    for first in range(0, bodies.records, _BATCH):
        indexes = np.arange(first, min(first + _BATCH, bodies.records), dtype=np.uint64)
        made = []
        for index, body in zip(indexes.tolist(), bodies.bodies(indexes), strict=True):
            try:
                # Numbers are as the file has them: no digit of an id is lost.
                members = DECODER.decode(body.decode("utf-8", "surrogatepass"))
                path = template.expand(partial(found_at, members))
                made.append(pack(reading.path, reading.method, path, FIELDS, body))
            except ValueError as error:
                line, column = (None, None) if faults.full else bodies.place(index)
                remedy = "Correct the record, or the path (--traffic-path)."
                faults.add(DatasetError(bodies.file, str(error), remedy, index, line, column))
        if not faults.count:
            out.add(made, first + len(made), bodies.records)
        progress(first, bodies.records)
    faults.raise_any()
