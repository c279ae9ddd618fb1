"""The ledger's entries as the journal has them: each as one JSON text."""

import json
from typing import Any

from traffic.core.decisions import Booked, Entry, Leased, LeaseReturned, Reopened
from traffic.core.position import DeadLetter, State
from traffic.core.ranges import RangeSet


def entry_to_json(entry: Entry) -> str:
    """The entry as a JSON object."""
    made: dict[str, Any]
    if isinstance(entry, Booked):
        letters = [
            [one.position, int(one.state), one.attempts, one.status, one.reason, one.worker] for one in entry.letters
        ]
        made = {"booked": entry.delivered.pairs, "letters": letters}
        made |= {"worker": entry.worker, "attempts": entry.attempts, "resent": entry.resent}
        made |= {"maybe_resent": entry.maybe_resent}
    elif isinstance(entry, Reopened):
        made = {"reopened": entry.positions.pairs}
    else:
        kind = "leased" if isinstance(entry, Leased) else "returned"
        made = {kind: entry.positions.pairs, "lease": entry.lease, "worker": entry.worker}
    return json.dumps(made, separators=(",", ":"))


def entry_from_json(body: str) -> Entry:
    """Read what `entry_to_json` wrote. KeyError, TypeError or ValueError where it is something else."""
    data = json.loads(body)
    if "booked" in data:
        letters = tuple(DeadLetter(at, State(state), *rest) for at, state, *rest in data["letters"])
        # An older release counted no attempts of which it was not sure.
        counted = data["attempts"], data["resent"], data.get("maybe_resent", 0)
        return Booked(data["worker"], _ranges(data["booked"]), letters, *counted)
    if "reopened" in data:
        return Reopened(_ranges(data["reopened"]))
    if "leased" in data:
        return Leased(data["lease"], data["worker"], _ranges(data["leased"]))
    return LeaseReturned(data["lease"], data["worker"], _ranges(data["returned"]))


def _ranges(pairs: list[list[int]]) -> RangeSet:
    return RangeSet((start, stop) for start, stop in pairs)
