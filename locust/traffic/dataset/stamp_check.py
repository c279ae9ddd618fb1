"""Checks that a time can be put into each record: it is an object, and has no such member yet."""

from collections.abc import Iterator

import msgspec

from traffic.dataset.dataset import Dataset
from traffic.dataset.fault_list import FaultList
from traffic.dataset.scan import DECODER, Progress

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check_stamp(dataset: Dataset, member: str, progress: Progress) -> None:
    """Raise DatasetError if a record has that member already, or cannot have one."""
    faults = FaultList()
    for indexes in dataset.batches():
        for index, body in zip(indexes.tolist(), dataset.contents(indexes), strict=True):
            for what in _faults(body, member):
                remedy = "Name another member with --traffic-stamp, or take it out of the records."
                faults.add(dataset.fault(index, what, remedy, placed=not faults.full))
        progress(int(indexes[0]), dataset.records)
    faults.raise_any()


def _faults(body: bytes, member: str) -> Iterator[str]:
    if not body.endswith(b"}"):
        yield "has no JSON object as its body, so no time can be put into it"
        return
    try:
        members = _MEMBERS.decode(body)
    except msgspec.MsgspecError:
        try:
            # Lone surrogates, which RFC 8259 allows as escapes.
            members = DECODER.decode(body.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            members = None
    if not isinstance(members, dict):
        yield "has no JSON object as its body, so no time can be put into it"
    elif member in members:
        yield f"has a member {member!r} already, and two of one name mean anything"
