"""Encode the ledger's entries for the journal, each as one JSON text, and decode them."""

import json
from dataclasses import asdict, fields
from typing import Any

from traffic.core.excerpt import Excerpt
from traffic.core.master.decisions import Entry, Leased, LeaseReturned, OutcomesRecorded, Reopened
from traffic.core.master.timeline import Sample
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetterGroup, RecordState
from traffic.core.timings import KindTiming


def entry_to_json(entry: Entry) -> str:
    """Encode an entry as a JSON object."""
    made: dict[str, Any]
    if isinstance(entry, OutcomesRecorded):
        causes = ((one.positions.pairs, one.cause, one.answer) for one in entry.letters)
        letters = [[at, int(why.state), why.attempts, why.status, why.reason, why.worker, n] for at, why, n in causes]
        made = {"booked": entry.delivered.pairs, "letters": letters}
        made |= {"worker": entry.worker, "attempts": entry.attempts, "resent": entry.resent}
        made |= {"maybe_resent": entry.maybe_resent} | ({"rows": entry.rows} if entry.rows else {})
    elif isinstance(entry, Reopened):
        made = {"reopened": entry.positions.pairs}
    else:
        kind = "leased" if isinstance(entry, Leased) else "returned"
        made = {kind: entry.positions.pairs, "lease": entry.lease, "worker": entry.worker}
        made |= {"at": entry.at_ms} if isinstance(entry, Leased) and entry.at_ms else {}
    return json.dumps(made, separators=(",", ":"))


def entry_from_json(body: str) -> Entry:
    """Decode what `entry_to_json` made. KeyError, TypeError or ValueError if it is something else."""
    data = json.loads(body)
    if "booked" in data:
        letters = tuple(_letter_group(*letter) for letter in data["letters"])
        # An older release did not count possible repeats.
        counted = data["attempts"], data["resent"], data.get("maybe_resent", 0)
        rows = data.get("rows", 0)
        return OutcomesRecorded(data["worker"], _ranges(data["booked"]), letters, *counted, rows=rows)
    if "reopened" in data:
        return Reopened(_ranges(data["reopened"]))
    if "leased" in data:
        return Leased(data["lease"], data["worker"], _ranges(data["leased"]), data.get("at", 0))
    return LeaseReturned(data["lease"], data["worker"], _ranges(data["returned"]))


def _letter_group(
    at: int | list[list[int]], state: int, attempts: int, status: int, reason: str, worker: str, answer: int = 0
) -> DeadLetterGroup:
    """Read the letters of one cause; in a journal of version 1 each letter stands alone, and `at` is its position.

    Before version 4 no letter has an answer.
    """
    positions = RangeSet([(at, at + 1)]) if isinstance(at, int) else _ranges(at)
    return DeadLetterGroup(positions, Cause(RecordState(state), attempts, status, reason, worker), answer)


def _ranges(pairs: list[list[int]]) -> RangeSet:
    return RangeSet((start, stop) for start, stop in pairs)


def answer_to_row(answer: Excerpt) -> tuple[str, bytes]:
    """Encode what a dead letter keeps of an answer: its head as a JSON array, and its body."""
    content_type, fields, body, length = answer.to_wire()
    return json.dumps([content_type, fields, length], separators=(",", ":")), body


def answer_from_row(head: str, body: bytes) -> Excerpt:
    """Decode what `answer_to_row` made. TypeError, ValueError or ProtocolError if it is something else."""
    content_type, fields, length = json.loads(head)
    answer = Excerpt.from_wire([content_type, fields, body, length])
    assert answer is not None
    return answer


def timing_to_row(worker: str, told: KindTiming) -> tuple[str, str, str]:
    """Encode what a worker has measured of one kind of attempt: the worker, the kind and the times, as JSON arrays."""
    *kind, service, response = told.to_wire()
    return worker, json.dumps(kind, separators=(",", ":")), json.dumps([service, response], separators=(",", ":"))


def timing_from_row(kind: str, body: str) -> KindTiming:
    """Decode what `timing_to_row` made. TypeError, ValueError or ProtocolError if it is something else."""
    return KindTiming.from_wire([*json.loads(kind), *json.loads(body)])


def sample_to_row(sample: Sample) -> str:
    """Encode a sample of the run's course: its fields by name, as JSON."""
    return json.dumps(asdict(sample), separators=(",", ":"))


def sample_from_row(body: str) -> Sample:
    """Decode what `sample_to_row` of any release made. TypeError or ValueError if it is something else."""
    known = {field.name for field in fields(Sample)}
    return Sample(**{name: value for name, value in json.loads(body).items() if name in known})
