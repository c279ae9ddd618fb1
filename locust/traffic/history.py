"""The runs of a state folder: which of them can be taken up again, what became of each, how long they are kept."""

import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from traffic.clock import timestamp
from traffic.core.dataset import Dataset
from traffic.core.order import Order
from traffic.core.ranges import RangeSet
from traffic.core.recovery import Recovery, RecoveryError
from traffic.core.run import Run
from traffic.journal import LEAVE_IT, LEAVE_RUN, Facts, Journal, JournalError, JournalInUseError, ended
from traffic.state import RUN_ID, StateFolder

logger = logging.getLogger(__name__)

DAY_S = 86400.0
LATEST = "last"
NONE = "no"


class ResumeError(Exception):
    """A run that cannot be taken up again; the text says why, and what can be done."""


def find_cut_off(folder: StateFolder, *, unattended: bool = False) -> Journal | None:
    """The journal of the latest run that was neither completed nor stopped, open; None where there is none.

    An unattended master leaves the journal of a completed run until its process ends: one that is still there is of a
    process that was killed before it could tell. JournalError where a journal cannot be read: then nobody knows.
    """
    return _find(folder, {"running", "completed"} if unattended else {"running"})


def find_to_resume(folder: StateFolder, wanted: str) -> Journal:
    """The journal of the run that `wanted` names, its id or "last", open.

    ResumeError where there is none, JournalError where it cannot be used.
    """
    if wanted == LATEST:
        journal = _find(folder, {"running", "stopped", "failed"})
        if journal is None:
            raise ResumeError(f"no run in {folder.path} can be resumed: each was completed, or there is none.")
        return journal
    if not RUN_ID.fullmatch(wanted) or not (path := folder.journal_path(wanted)).exists():
        open_runs = [run for run in folder.runs() if folder.journal_path(run).exists()]
        known = f"Those that can be: {', '.join(open_runs[:5])}." if open_runs else "None can be."
        raise ResumeError(f"no run {wanted!r} in {folder.path} can be resumed. {known}")
    return Journal.open(path)


def leave_cut_off(folder: StateFolder) -> None:
    """Have no run taken up by itself any more: a person wants none of those that were cut off.

    They can still be resumed by their ids, but for those whose journals are damaged: these are renamed. JournalError
    where one is in use, JournalWriteError or OSError where the disk refuses.
    """
    for run in folder.runs():
        path = folder.journal_path(run)
        if not path.exists():
            continue
        try:
            journal = Journal.open(path)
        except JournalInUseError:
            raise
        except JournalError as error:
            spoilt = path.with_name("journal.unusable")
            logger.warning("%s It is kept as %s.", error, spoilt)
            path.replace(spoilt)
            continue
        try:
            if journal.facts.state == "running":
                journal.write(facts=ended(journal.facts, "stopped", timestamp()))
        finally:
            journal.close()


def recover(journal: Journal, dataset: Dataset) -> tuple[Run, dict[str, RangeSet]]:
    """The run of a journal as it was left, and what its workers had in hand.

    ResumeError where `dataset` is not the one that the run began with, JournalError where the journal is damaged.
    """
    facts = journal.facts
    if dataset.digest != facts.digest or dataset.records < facts.offset + facts.records:
        what = f"{dataset.file} is not the file that run {facts.run} began with"
        seen = (
            f"{dataset.records} records, SHA-256 {dataset.digest[:12]}..., not {facts.records}, {facts.digest[:12]}..."
        )
        remedy = f"Put {facts.file} back as it was, or {LEAVE_RUN}."
        raise ResumeError(f"{what}: {seen}. {remedy}")
    recovery = Recovery(facts.records)
    try:
        for entry in journal.entries():
            recovery.take(entry)
    except RecoveryError as error:
        raise JournalError(f"the journal {journal.path} contradicts itself ({error}). {LEAVE_IT}.") from error
    order = Order(facts.records, facts.seed, facts.order, facts.offset)
    return Run.recovered(facts.terms, dataset, order, recovery), recovery.held()


def past_runs(folder: StateFolder, besides: str | None) -> list[dict[str, Any]]:
    """A summary of each run but `besides`, the latest first; `resumable` where its journal is there."""
    rows = (_summary(folder, run) for run in folder.runs() if run != besides)
    return [row for row in rows if row is not None]


def summarise(account: dict[str, Any], *, resumable: bool) -> dict[str, Any]:
    """What the list of runs shows of a status or report."""
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
    )
    return {name: account.get(name) for name in names} | {"resumable": resumable}


def prune(folder: StateFolder, keep_runs: int, keep_days: int, live: str | None) -> None:
    """Delete the runs beyond the latest `keep_runs`, or older than `keep_days` (0: whatever their age).

    Never `live`, nor a run that was cut off.
    """
    oldest = time.time() - keep_days * DAY_S if keep_days else 0.0
    for nth, run in enumerate(folder.runs()):
        path = folder.run_folder(run)
        try:
            surplus = nth >= keep_runs or path.stat().st_mtime < oldest
            if surplus and run != live and not _cut_off(folder.journal_path(run)):
                folder.remove_run(run)
                logger.info("the files of run %s were deleted: %s", run, _because(nth, keep_runs, keep_days))
        except OSError as error:
            logger.warning("the old run %s could not be deleted: %s", path, error.strerror or error)


def _because(nth: int, keep_runs: int, keep_days: int) -> str:
    return f"the latest {keep_runs} are kept" if nth >= keep_runs else f"runs are kept for {keep_days} days"


def _find(folder: StateFolder, states: set[str]) -> Journal | None:
    for run in folder.runs():
        path = folder.journal_path(run)
        if not path.exists():
            continue
        journal = Journal.open(path)
        if journal.facts.state in states:
            return journal
        journal.close()
    return None


def _cut_off(path: Path) -> bool:
    """Whether a journal may be of a run that was cut off, or is another master's."""
    if not path.exists():
        return False
    try:
        journal = Journal.open(path)
    except JournalError:
        return True
    journal.close()
    return journal.facts.state == "running"


def _summary(folder: StateFolder, run: str) -> dict[str, Any] | None:
    """A run's row; None where there is nothing to tell of it."""
    path = folder.journal_path(run)
    try:
        journal = Journal.open(path) if path.exists() else None
    except JournalError as error:
        return summarise({"run": run, "state": "unknown", "reason": str(error)}, resumable=False)
    if journal is not None:
        journal.close()
    report = _report(folder.run_folder(run))
    if journal is not None and (report is None or journal.facts.state == "running"):
        return summarise(_told(journal.facts), resumable=True)
    return report and summarise(report, resumable=journal is not None and journal.facts.state != "completed")


def _report(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        report = json.loads((folder / "report.json").read_bytes())
        return report if isinstance(report, dict) else None
    return None


def _told(facts: Facts) -> dict[str, Any]:
    """What can be said of a run that left a journal and no report."""
    return {
        "run": facts.run,
        "state": "cut off" if facts.state == "running" else facts.state,
        "reason": "its master ended before the run did" if facts.state == "running" else "",
        "dataset": {"file": facts.file, "records": facts.records, "digest": f"sha256:{facts.digest}"},
        "order": facts.order,
        "seed": facts.seed,
        "policy": facts.terms.policy,
        "started": facts.started,
        "ended": facts.ended,
        "resumed": [asdict(one) for one in facts.resumed],
    }
