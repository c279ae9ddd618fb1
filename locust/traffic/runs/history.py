"""The runs in a state folder: list them, find one to resume, read its report."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from traffic.clock import timestamp
from traffic.core.master.decisions import Reopened
from traffic.core.master.recovery import Recovery, RecoveryError
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.master.verdict import verdict
from traffic.core.order import Order
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
    """A run that cannot be taken up again; the text says why, and what can be done."""


@dataclass(frozen=True, slots=True)
class ToResume:
    """A run as its journal left it; `held` is what its workers had in hand, by worker.

    `reopened` are the dead letters that are to be sent again, which the ledger has as pending: the journal has to be
    told so when the run goes on.
    """

    journal: Journal
    run: Run
    held: dict[str, RangeSet]
    reopened: Reopened


def find_cut_off(folder: StateFolder, *, unattended: bool = False) -> Journal | None:
    """The journal of the latest run that was neither completed nor stopped, open; None where there is none.

    An unattended master is done with a completed run when its process ends: one that nobody was told of is of a
    process that was killed before it could tell. JournalError where a journal cannot be read: then nobody knows.
    """

    def cut_off(journal: Journal) -> bool:
        metadata = journal.metadata
        return metadata.state == RunState.RUNNING or (
            unattended and metadata.state == RunState.COMPLETED and not metadata.told
        )

    return _find(folder, cut_off)


def find_to_resume(folder: StateFolder, wanted: str, *, resend: bool = False) -> Journal:
    """The journal of the run that `wanted` names, its id or "last", open; `resend`: for its dead letters, too.

    ResumeError where there is none, or nothing of it can be sent, JournalError where it cannot be used.
    """
    if wanted == LATEST:
        journal = _find(folder, _has_to_send if resend else lambda found: found.metadata.state != RunState.COMPLETED)
        if journal is None:
            what = "has anything that can be sent again" if resend else "can be resumed"
            raise ResumeError(f"no run in {folder.path} {what}: {_none_because(resend=resend)}.")
        return journal
    if not RUN_ID.fullmatch(wanted) or not (path := folder.journal_path(wanted)).exists():
        raise ResumeError(_unknown(folder, wanted, resend=resend))
    with closing(Journal.open(path)) as journal:
        _check_use(journal, resend=resend)
    return Journal.open(path)


def _none_because(*, resend: bool) -> str:
    if resend:
        return "each was delivered, or has only records in doubt under at-most-once, or there is none"
    remedy = f"The dead letters of a completed one can be sent again: add --traffic-resend {DEAD_LETTERS}"
    return f"each was completed, or there is none. {remedy}"


def _unknown(folder: StateFolder, wanted: str, *, resend: bool) -> str:
    """Why a run without a journal cannot be resumed, and which can be."""
    if resend and wanted in folder.runs():
        return f"nothing of run {wanted} can be sent again: all of it was delivered, or its journal is gone."
    seen = ((run, read_metadata(folder, run)) for run in folder.runs())
    known = [run for run, metadata in seen if isinstance(metadata, RunMetadata) and (resend or not _is_over(metadata))]
    others = f"Those that can be: {', '.join(known[:5])}." if known else "None can be."
    return f"no run {wanted!r} in {folder.path} can be resumed. {others}"


def _is_over(metadata: RunMetadata) -> bool:
    """Whether a run was completed, and its master has said so; else it can be taken up, if only to say it."""
    return metadata.state == RunState.COMPLETED and metadata.told


def _check_use(journal: Journal, *, resend: bool) -> None:
    """ResumeError where there would be nothing to send of a run that is to be resumed."""
    metadata = journal.metadata
    if not resend and _is_over(metadata):
        what = f"run {metadata.run} was completed: each of its records was delivered, or is a dead letter"
        option = f"--traffic-resume {metadata.run} --traffic-resend {DEAD_LETTERS} (TRAFFIC_RESEND={DEAD_LETTERS})"
        raise ResumeError(f"{what}. Have its dead letters sent again with {option}.")
    if resend and not _has_to_send(journal):
        in_doubt = replay(journal).ledger.counts[RecordState.IN_DOUBT]
        why = f"{count_records(in_doubt)} in doubt may have been sent, and under at-most-once nothing is sent twice"
        raise ResumeError(f"nothing of run {metadata.run} can be sent again: {why if in_doubt else 'it is delivered'}.")


def _has_to_send(journal: Journal) -> bool:
    """Whether a run is not at its end, or has dead letters that may be sent again."""
    if journal.metadata.state == RunState.RUNNING:
        return True
    ledger = replay(journal).ledger
    return ledger.unsettled > 0 or bool(ledger.dead_letters_to_send(journal.metadata.terms.policy))


def leave_cut_off(folder: StateFolder) -> None:
    """Have no run taken up by itself any more: a person wants none of those that were cut off.

    They can still be resumed by their ids, but for those whose journals are damaged: these are renamed. JournalError
    where one is in use, JournalWriteError or OSError where the disk refuses.
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


def recover(journal: Journal, dataset: Dataset, *, resend: bool = False) -> ToResume:
    """The run of a journal as it was left; `resend`: with its dead letters to be sent again, where they may be.

    ResumeError where `dataset` is not the one that the run began with, JournalError where the journal is damaged.
    """
    metadata = journal.metadata
    if dataset.digest != metadata.digest or dataset.records < metadata.offset + metadata.records:
        what = f"{dataset.file} is not the file that run {metadata.run} began with"
        found = f"{dataset.records} records, SHA-256 {dataset.digest[:12]}..."
        expected = f"{metadata.records}, {metadata.digest[:12]}..."
        remedy = f"Put {metadata.file} back as it was, or {LEAVE_RUN}."
        raise ResumeError(f"{what}: {found}, not {expected}. {remedy}")
    recovery = replay(journal)
    reopened = Reopened(recovery.ledger.dead_letters_to_send(metadata.terms.policy) if resend else RangeSet())
    recovery.take(reopened)
    order = Order(metadata.records, metadata.seed, metadata.order, metadata.offset)
    return ToResume(journal, Run.recovered(metadata.terms, dataset, order, recovery), recovery.held(), reopened)


def replay(journal: Journal) -> Recovery:
    """A run's account, as its journal has it. JournalError where that is damaged."""
    recovery = Recovery(journal.metadata.records)
    try:
        for entry in journal.entries():
            recovery.take(entry)
    except RecoveryError as error:
        raise JournalError(f"the journal {journal.path} contradicts itself ({error}). {LEAVE_IT}.") from error
    return recovery


def past_runs(folder: StateFolder, besides: str | None) -> list[dict[str, Any]]:
    """A summary of each run but `besides`, the latest first."""
    rows = (_summary(folder, run) for run in folder.runs() if run != besides)
    return [row for row in rows if row is not None]


def summarise(account: dict[str, Any], *, resumable: bool) -> dict[str, Any]:
    """What the list of runs shows of a status or report; `resumable`: whether its journal is there, and free.

    Of these members `resumable` says whether the run can be gone on with as it is, and `resendable` how many of its
    dead letters can be sent again: None where that is not known before the run is taken up.
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
    )
    return {name: account.get(name) for name in names} | {
        "resumable": resumable and account.get("state") != RunState.COMPLETED,
        "resendable": _resendable(account) if resumable else 0,
        "verdict": verdict(account),
    }


def _resendable(account: dict[str, Any]) -> int | None:
    counts = account.get("counts")
    if counts is None:
        return None
    doubtful = 0 if account.get("policy") == "at-most-once" else counts.get("in_doubt", 0)
    return int(counts.get("rejected", 0) + doubtful)


def _find(folder: StateFolder, wanted: Callable[[Journal], bool]) -> Journal | None:
    """The journal of the latest run that is wanted, open. JournalError where one before it cannot be read."""
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
    """What the journal of a run says that it is, or why it cannot be told; None where there is none."""
    path = folder.journal_path(run)
    if not path.exists():
        return None
    try:
        with closing(Journal.open(path)) as journal:
            return journal.metadata
    except JournalError as error:
        return error


def _summary(folder: StateFolder, run: str) -> dict[str, Any] | None:
    """A run's row; None where there is nothing to tell of it."""
    metadata = read_metadata(folder, run)
    if isinstance(metadata, JournalError):
        return summarise({"run": run, "state": RunState.UNKNOWN, "reason": str(metadata)}, resumable=False)
    report = folder.read_report(run)
    # A report that is not of the run's latest end is of one before it was taken up again.
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
    """What can be said of a run that left a journal and no report."""
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
