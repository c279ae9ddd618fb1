"""Delete runs beyond a number or an age when another run begins.

Guarded here: a run is deleted only if its journal, if there is one, says that it is this run and has ended; and of its
folder only the files that we wrote.
"""

import logging
import time

from traffic.core.master.run_state import RunState
from traffic.runs.history import read_metadata
from traffic.runs.journal import JournalError
from traffic.runs.run_metadata import RunMetadata
from traffic.runs.state_dir import StateFolder

logger = logging.getLogger(__name__)

DAY_S = 86400.0


def prune(folder: StateFolder, keep_runs: int, keep_days: int, live: str | None) -> None:
    """Delete the runs beyond the latest `keep_runs`, or older than `keep_days` (0: whatever their age).

    Never `live`, nor a run that was cut off, nor one whose folder holds anything that we did not write.
    """
    oldest = time.time() - keep_days * DAY_S if keep_days else 0.0
    for nth, run in enumerate(folder.runs()):
        path = folder.run_folder(run)
        try:
            surplus = nth >= keep_runs or path.stat().st_mtime < oldest
            if surplus and run != live and _has_ended(read_metadata(folder, run), run):
                _remove(folder, run, _why_surplus(nth, keep_runs, keep_days))
        except OSError as error:
            logger.warning("the old run %s could not be deleted: %s", path, error.strerror or error)


def _remove(folder: StateFolder, run: str, why: str) -> None:
    if foreign := folder.remove_run(run):
        what = "the old run %s is not deleted: its folder holds %r, which is not of a run"
        logger.warning(what, folder.run_folder(run), foreign[0])
    else:
        logger.info("the files of run %s were deleted: %s", run, why)


def _why_surplus(nth: int, keep_runs: int, keep_days: int) -> str:
    return f"the latest {keep_runs} are kept" if nth >= keep_runs else f"runs are kept for {keep_days} days"


def _has_ended(metadata: RunMetadata | JournalError | None, run: str) -> bool:
    """Return whether a run left no journal, or one that says that it is this run and has ended."""
    return metadata is None or (
        isinstance(metadata, RunMetadata) and metadata.run == run and metadata.state != RunState.RUNNING
    )
