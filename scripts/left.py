"""Say what a run left in its journal if its master ended without a report."""

from pathlib import Path

from traffic.core.master.recovery import Recovery, RecoveryError
from traffic.core.record_state import RecordState
from traffic.runs.journal import Journal, JournalError

_SETTLED = (RecordState.DELIVERED, RecordState.REJECTED, RecordState.IN_DOUBT)


def what_is_left(state: Path, *, suspended: bool) -> str:
    """Return how far the latest run cut off or suspended had come, and how to go on; empty if there is none."""
    for path in sorted(state.glob("runs/*/journal.sqlite"), reverse=True):
        try:
            journal = Journal.open(path)
        except JournalError as error:
            return f"what was sent cannot be told: {error}"
        try:
            if journal.metadata.state == "running":
                return _described(journal, "is suspended" if suspended else "was cut off")
        finally:
            journal.close()
    return ""


def _described(journal: Journal, how: str) -> str:
    metadata, recovery = journal.metadata, Recovery(journal.metadata.records)
    try:
        for entry in journal.entries():
            recovery.take(entry)
    except (JournalError, RecoveryError) as error:
        return f"what was sent cannot be told: {error}"
    counts, in_hand = recovery.ledger.counts, sum(positions.count for positions in recovery.held().values())
    parts = [f"{counts[one]} {one.name.lower().replace('_', ' ')}" for one in _SETTLED if counts[one]]
    parts += [f"{in_hand} in the workers' hands, which may have been sent"] if in_hand else []
    parts += [f"{counts[RecordState.PENDING] - in_hand} not sent"]
    sent = f"of its {metadata.records} records, {', '.join(parts)}"
    go_on = "The same command again goes on with it, by the same keys; with TRAFFIC_RESUME=no it begins a new run"
    return f"run {metadata.run} {how}: {sent}. Its journal has this: {journal.path}. {go_on}."
