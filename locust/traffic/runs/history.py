"""List the runs in a state folder, find one to resume, and rebuild it from its journal."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from traffic.clock import timestamp, wall_ms
from traffic.core.master.answer_book import AnswerBook
from traffic.core.master.decisions import Reopened
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.ledger import Ledger
from traffic.core.master.letter_groups import in_group, letter_groups, with_status
from traffic.core.master.recovery import Recovery, RecoveryError
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.master.verdict import verdict
from traffic.core.order import Indexes, Order
from traffic.core.ranges import RangeSet
from traffic.core.record_state import RecordState
from traffic.core.text import count_records
from traffic.dataset.dataset import Dataset
from traffic.errors import RefusedError
from traffic.ownership import RUN_ID
from traffic.runs.journal import LEAVE_IT, LEAVE_RUN, Journal, JournalError, JournalInUseError
from traffic.runs.run_metadata import RunMetadata, ended
from traffic.runs.state_dir import StateFolder
from traffic.runs.target import describe_target
from traffic.settings import DEAD_LETTERS, LATEST

logger = logging.getLogger(__name__)


class ResumeError(RefusedError):
    """A run cannot be resumed; the text says why, and what can be done."""


@dataclass(frozen=True, slots=True)
class ToResume:
    """A run as its journal left it. `held` has the positions that were leased, by worker.

    `reopened` are the dead letters to be sent again. The ledger has them as pending; the journal must have this entry
    before the run goes on.
    """

    journal: Journal
    run: Run
    held: dict[str, RangeSet]
    reopened: Reopened


def find_cut_off(folder: StateFolder, *, unattended: bool = False) -> Journal | None:
    """Return the open journal of the latest run that was cut off; None if there is none.

    For an unattended master this includes a completed run that was not reported (`told`): its process was killed before
    it could report by its exit code. JournalError if a journal cannot be read: its run may be the one.
    """

    def cut_off(journal: Journal) -> bool:
        metadata = journal.metadata
        return metadata.state == RunState.RUNNING or (
            unattended and metadata.state == RunState.COMPLETED and not metadata.told
        )

    return _find(folder, cut_off)


def find_to_resume(folder: StateFolder, wanted: str, *, resend: bool = False) -> Journal:
    """Return the open journal of the run that `wanted` names, by its id or "last"; `resend`: with its dead letters.

    ResumeError if there is none, or nothing of it can be sent. JournalError if the journal cannot be used.
    """
    if wanted == LATEST:
        journal = _find(folder, _has_to_send if resend else lambda found: found.metadata.state != RunState.COMPLETED)
        if journal is None:
            what = "has anything that can be sent again" if resend else "can be resumed"
            raise ResumeError(f"no run in {folder.path} {what}: {_why_none(resend=resend)}.")
        return journal
    if not RUN_ID.fullmatch(wanted) or not (path := folder.journal_path(wanted)).exists():
        raise ResumeError(_why_unknown(folder, wanted, resend=resend))
    with closing(Journal.open(path)) as journal:
        _check_use(journal, resend=resend)
    return Journal.open(path)


def _why_none(*, resend: bool) -> str:
    if resend:
        return "each was delivered, or has only records in doubt under at-most-once, or there is none"
    remedy = f"The dead letters of a completed one can be sent again: add --traffic-resend {DEAD_LETTERS}"
    return f"each was completed, or there is none. {remedy}"


def _why_unknown(folder: StateFolder, wanted: str, *, resend: bool) -> str:
    """Return why a run without a journal cannot be resumed, and which runs can be."""
    if resend and wanted in folder.runs():
        return f"nothing of run {wanted} can be sent again: all of it was delivered, or its journal is gone."
    all_metadata = ((run, read_metadata(folder, run)) for run in folder.runs())
    known = [
        run
        for run, metadata in all_metadata
        if isinstance(metadata, RunMetadata) and (resend or not _is_done(metadata))
    ]
    others = f"Those that can be: {', '.join(known[:5])}." if known else "None can be."
    return f"no run {wanted!r} in {folder.path} can be resumed. {others}"


def _is_done(metadata: RunMetadata) -> bool:
    """Return whether a run was completed and reported; otherwise it can be resumed, if only to report it."""
    return metadata.state == RunState.COMPLETED and metadata.told


def _check_use(journal: Journal, *, resend: bool) -> None:
    """ResumeError if a run that is to be resumed has nothing to send."""
    metadata = journal.metadata
    if not resend and _is_done(metadata):
        what = f"run {metadata.run} was completed: each of its records was delivered, or is a dead letter"
        option = f"--traffic-resume {metadata.run} --traffic-resend {DEAD_LETTERS} (TRAFFIC_RESEND={DEAD_LETTERS})"
        raise ResumeError(f"{what}. Have its dead letters sent again with {option}.")
    if resend and not _has_to_send(journal):
        in_doubt = replay(journal).ledger.counts[RecordState.IN_DOUBT]
        why = f"{count_records(in_doubt)} in doubt may have been sent, and under at-most-once nothing is sent twice"
        raise ResumeError(f"nothing of run {metadata.run} can be sent again: {why if in_doubt else 'it is delivered'}.")


def _has_to_send(journal: Journal) -> bool:
    """Return whether a run has not ended, or has dead letters that may be sent again."""
    if journal.metadata.state == RunState.RUNNING:
        return True
    ledger = replay(journal).ledger
    return ledger.unsettled > 0 or bool(ledger.dead_letters_to_send(journal.metadata.terms.policy))


def leave_cut_off(folder: StateFolder) -> None:
    """Mark all runs that were cut off as stopped, so that no master resumes them by itself: a person wants none.

    They can still be resumed by their ids, except those with damaged journals, which are renamed. JournalError if a
    journal is in use, JournalWriteError or OSError if it cannot be written.
    """
    for run in folder.runs():
        path, metadata = folder.journal_path(run), read_metadata(folder, run)
        if isinstance(metadata, JournalInUseError):
            raise metadata
        if isinstance(metadata, JournalError):
            spoilt = path.with_name("journal.unusable")
            logger.warning("%s It is kept as %s.", metadata, spoilt)
            path.replace(spoilt)
        elif metadata is not None and metadata.state in (RunState.RUNNING, RunState.COMPLETED) and not metadata.told:
            running = metadata.state == RunState.RUNNING
            left = replace(ended(metadata, RunState.STOPPED, timestamp()), left=True) if running else metadata
            with closing(Journal.open(path)) as journal:
                journal.write(metadata=replace(left, told=left.state == RunState.COMPLETED))


def recover(journal: Journal, dataset: Dataset, ranked: Indexes | None = None, *, resend: str = "") -> ToResume:
    """Rebuild a run from its journal; `resend`: have those dead letters sent again that it names, and that may be.

    `ranked` is the order of a run that follows recorded times, if that is not the file's.

    ResumeError if `dataset` is not what the run began with, or if no such dead letters are there; JournalError if the
    journal is damaged.
    """
    metadata = journal.metadata
    if dataset.digest != metadata.digest or dataset.records < metadata.offset + metadata.records:
        what = f"{dataset.file} is not the file that run {metadata.run} began with"
        found = f"{dataset.records} records, SHA-256 {dataset.digest[:12]}..."
        expected = f"{metadata.records}, {metadata.digest[:12]}..."
        remedy = f"Put {metadata.file} back as it was, or {LEAVE_RUN}."
        raise ResumeError(f"{what}: {found}, not {expected}. {remedy}")
    if metadata.reading is None and (dataset.facts.delimiter or dataset.facts.left_out):
        what = f"run {metadata.run} was begun by an older release, which read {dataset.file} as other records"
        raise ResumeError(f"{what}: this one finds {dataset.label}. Finish it with that release, or {LEAVE_RUN}.")
    recovery, answers = replay(journal), AnswerBook()
    answers.restore(journal.answer_patterns())
    reopened = Reopened(_to_send_again(recovery.ledger, answers, metadata, resend))
    recovery.take(reopened)
    order = Order(metadata.records, metadata.seed, metadata.order, metadata.offset, ranked)
    run = Run.recovered(metadata.terms, dataset, order, recovery)
    run.answers = answers
    run.timings.restore(journal.timings())
    run.results.restore((one.worker, one.number, one.rows) for one in journal.results())
    if metadata.stamp is not None:
        run.handed_out = HandedOut(metadata.stamp, metadata.records, wall_ms)
        run.handed_out.restore(recovery.handed_out)
    return ToResume(journal, run, recovery.held(), reopened)


def _to_send_again(ledger: Ledger, answers: AnswerBook, metadata: RunMetadata, which: str) -> RangeSet:
    """Return the positions of the dead letters that are to be sent again. ResumeError if there are none."""
    if not which:
        return RangeSet()
    may = ledger.dead_letters_to_send(metadata.terms.policy)
    if which == DEAD_LETTERS:
        return may
    asked = with_status(ledger.dead, int(which)) if which.isdecimal() else in_group(ledger.dead, answers, which)
    if found := asked.common(may):
        return found
    groups = letter_groups(ledger.dead, answers)
    there = ", ".join(f"{one.id} ({one.count}: {one.says[:60]})" for one in groups[:5])
    why = "they are in doubt, and under at-most-once nothing is sent twice" if asked else "there are none"
    raise ResumeError(
        f"nothing of the dead letters {which} of run {metadata.run} can be sent again: {why}. "
        f"Its groups: {there or 'none'}. To send all of its dead letters again, add --traffic-resend {DEAD_LETTERS}."
    )


def replay(journal: Journal) -> Recovery:
    """Rebuild a run's ledger from its journal. JournalError if that is damaged."""
    recovery = Recovery(journal.metadata.records)
    try:
        for entry in journal.entries():
            recovery.take(entry)
    except RecoveryError as error:
        raise JournalError(f"the journal {journal.path} contradicts itself ({error}). {LEAVE_IT}.") from error
    return recovery


def past_runs(folder: StateFolder, besides: str | None) -> list[dict[str, Any]]:
    """Return a summary of each run but `besides`, the latest first."""
    rows = (_summary(folder, run) for run in folder.runs() if run != besides)
    return [row for row in rows if row is not None]


def summarise(run_status: dict[str, Any], *, resumable: bool) -> dict[str, Any]:
    """Return what the list of runs shows of a status or report; `resumable`: its journal is there, and free.

    In the result, `resumable` says whether the run can be resumed as it is, and `resendable` how many of its dead
    letters can be sent again: None if that is not known before the run is resumed.
    """
    names = (
        "run",
        "state",
        "reason",
        "dataset",
        "order",
        "seed",
        "policy",
        "counts",
        "rate",
        "started",
        "ended",
        "resumed",
        "target",
        "users",
        "spawn_rate",
        "wait",
        "pace",
        "results",
    )
    return {name: run_status.get(name) for name in names} | {
        "resumable": resumable and run_status.get("state") != RunState.COMPLETED,
        "resendable": _resendable(run_status) if resumable else 0,
        "verdict": verdict(run_status),
    }


def _resendable(run_status: dict[str, Any]) -> int | None:
    counts = run_status.get("counts")
    if counts is None:
        return None
    doubtful = 0 if run_status.get("policy") == "at-most-once" else counts.get("in_doubt", 0)
    return int(counts.get("rejected", 0) + doubtful)


def _find(folder: StateFolder, wanted: Callable[[Journal], bool]) -> Journal | None:
    """Return the open journal of the latest run that is `wanted`. JournalError if a later run's cannot be read."""
    for run in folder.runs():
        path = folder.journal_path(run)
        if not path.exists():
            continue
        with closing(Journal.open(path)) as journal:
            found = wanted(journal)
        if found:
            return Journal.open(path)
    return None


def read_metadata(folder: StateFolder, run: str) -> RunMetadata | JournalError | None:
    """Return the metadata in a run's journal, or why it cannot be read; None if there is no journal."""
    path = folder.journal_path(run)
    if not path.exists():
        return None
    try:
        with closing(Journal.open(path)) as journal:
            return journal.metadata
    except JournalError as error:
        return error


def _summary(folder: StateFolder, run: str) -> dict[str, Any] | None:
    """Return a run's row; None if there is neither a journal nor a report."""
    metadata = read_metadata(folder, run)
    if isinstance(metadata, JournalError):
        return summarise({"run": run, "state": RunState.UNKNOWN, "reason": str(metadata)}, resumable=False)
    report = folder.read_report(run)
    # If the report is not of the run's latest end, it is older than the resumption.
    if metadata is not None and (metadata.state, metadata.ended) != (
        report and (report.get("state"), report.get("ended"))
    ):
        return summarise(_describe(metadata), resumable=True)
    if report is None:
        return None
    # Reports of earlier releases do not say to where the records went.
    return summarise(
        (describe_target(metadata) if metadata is not None else {}) | report, resumable=metadata is not None
    )


def _describe(metadata: RunMetadata) -> dict[str, Any]:
    """Return a row for a run that left a journal and no report."""
    return {
        "run": metadata.run,
        "state": RunState.CUT_OFF if metadata.state == RunState.RUNNING else metadata.state,
        "reason": "its master ended before the run did" if metadata.state == RunState.RUNNING else "",
        "dataset": {"file": metadata.file, "records": metadata.records, "digest": f"sha256:{metadata.digest}"},
        "order": metadata.order,
        "seed": metadata.seed,
        "policy": metadata.terms.policy,
        "started": metadata.started,
        "ended": metadata.ended,
        "resumed": [one.to_json() for one in metadata.resumed],
        **describe_target(metadata),
    }
