"""Makes whole requests of bodies whose path is a template: each record says by its members where it goes."""

from functools import partial

from traffic.core.headers import JSON_CONTENT, USER_AGENT
from traffic.core.path_template import PathTemplate
from traffic.core.pointer import found_at
from traffic.core.reading import Reading
from traffic.core.request_record import pack
from traffic.dataset.dataset import Dataset
from traffic.dataset.fault_list import FaultList
from traffic.dataset.record_writer import RecordWriter
from traffic.dataset.scan import DECODER, Progress

# What stands in a request whose record says nothing of its head; the sender adds the rest.
FIELDS = (USER_AGENT, JSON_CONTENT)


def convert_bodies(bodies: Dataset, reading: Reading, out: RecordWriter, progress: Progress) -> None:
    """Add a request for each record of `bodies` to `out`. DatasetError if one lacks what its path needs."""
    template, faults = PathTemplate(reading.path), FaultList()
    for indexes in bodies.batches():
        made = []
        for index, body in zip(indexes.tolist(), bodies.bodies(indexes), strict=True):
            try:
                # Numbers are as the file has them: no digit of an id is lost.
                members = DECODER.decode(body.decode("utf-8", "surrogatepass"))
                path = template.expand(partial(found_at, members))
                made.append(pack(reading.path, reading.method, path, FIELDS, body))
            except ValueError as error:
                remedy = "Correct the record, or the path (--traffic-path)."
                faults.add(bodies.fault(index, str(error), remedy, placed=not faults.full))
        if not faults.count:
            out.add(made, int(indexes[-1]) + 1, bodies.records)
        progress(int(indexes[0]), bodies.records)
    faults.raise_any()
