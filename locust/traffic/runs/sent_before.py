"""Find runs that were stopped half way, and warn before a new run sends their records again.

Guarded here: a person who starts the same file again, after a run of it was stopped, learns what was sent already
before anything is sent again. A new run has new keys, so the API would store those records twice. This holds only if
the host and the path are the same, too, and some of the same records would be sent.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from traffic.core.master.recovery import Recovery
from traffic.core.master.run_state import RunState
from traffic.core.record_state import RecordState
from traffic.core.text import count_records
from traffic.runs.history import ResumeError, replay
from traffic.runs.journal import Journal
from traffic.runs.run_metadata import RunMetadata
from traffic.runs.state_dir import StateFolder
from traffic.runs.target import describe_target, same_host


@dataclass(frozen=True, slots=True)
class Intended:
    """What a new run would send: `records` records of a file, from index `first` on, to a host and path."""

    digest: str
    first: int
    records: int
    host: str
    path: str

    def overlaps(self, metadata: RunMetadata) -> bool:
        """Return whether a run was to send some of the same records to the same place."""
        apart = self.first >= metadata.offset + metadata.records or metadata.offset >= self.first + self.records
        same_place = same_host(self.host, metadata.host) and self.path == metadata.terms.path
        return self.digest == metadata.digest and same_place and not apart


class AgainError(ResumeError):
    """A start would send again what a stopped run has sent. `more` says so to programs."""

    def __init__(self, metadata: RunMetadata, counts: list[int]) -> None:
        self.more = {"again": _describe(metadata, counts)}
        super().__init__(_explain(metadata, self.more["again"]["counts"]))


def check_again(folder: StateFolder, intended: Intended) -> None:
    """AgainError if a stopped run has sent some of what a new run would send. JournalError if a journal is damaged."""
    for journal, recovery in _stopped_half_way(folder, intended):
        raise AgainError(journal.metadata, recovery.ledger.counts)


def leave_stopped(folder: StateFolder, intended: Intended) -> None:
    """Mark the runs that `check_again` warns of as left. JournalError, JournalWriteError."""
    for journal, _ in _stopped_half_way(folder, intended):
        journal.write(metadata=replace(journal.metadata, left=True))


def _stopped_half_way(folder: StateFolder, intended: Intended) -> Iterator[tuple[Journal, Recovery]]:
    """Yield those runs, the latest first, each with its journal open for the moment."""
    for run in folder.runs():
        path = folder.journal_path(run)
        if not path.exists():
            continue
        with closing(Journal.open(path)) as journal:
            if _was_stopped(journal.metadata) and intended.overlaps(journal.metadata):
                recovery = replay(journal)
                if recovery.ledger.unsettled and _has_sent(recovery):
                    yield journal, recovery


def _was_stopped(metadata: RunMetadata) -> bool:
    return metadata.state in (RunState.STOPPED, RunState.FAILED) and not metadata.left


def _has_sent(recovery: Recovery) -> bool:
    return bool(recovery.ledger.settled or any(recovery.attempts.values()) or recovery.held())


def _describe(metadata: RunMetadata, counts: list[int]) -> dict[str, Any]:
    names = {name: counts[getattr(RecordState, name.upper())] for name in ("delivered", "rejected", "in_doubt")}
    settled = sum(names.values())
    return {
        "run": metadata.run,
        "state": metadata.state,
        "ended": metadata.ended,
        "file": metadata.file,
        "counts": {"records": metadata.records, "settled": settled, **names, "left": metadata.records - settled},
        **describe_target(metadata),
    }


def _explain(metadata: RunMetadata, counts: dict[str, int]) -> str:
    how = "was given up" if metadata.state == RunState.FAILED else "was stopped"
    done = f"{counts['settled']} of {count_records(metadata.records)} of {metadata.file} were settled by then"
    of_them = f"{counts['delivered']} delivered, {counts['rejected']} rejected, {counts['in_doubt']} in doubt"
    meaning = "A new run sends all of it again, with new keys, so the API stores those twice"
    resume = f"Go on with that run: --traffic-resume {metadata.run} (TRAFFIC_RESUME={metadata.run})"
    return (
        f"run {metadata.run} to {metadata.host} {how} half way at {metadata.ended}: {done} ({of_them}), "
        f"{counts['left']} are left. {meaning}. {resume}; or send all of it again: --traffic-again (TRAFFIC_AGAIN=yes)."
    )
