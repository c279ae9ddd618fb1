"""Name the states that a run is shown in, and say which of them are live and which are an end."""

from enum import StrEnum


class RunState(StrEnum):
    """What a run is doing, or how it ended. Journals, reports, metrics and the page have these very words.

    READY and READING are shown while a master has no live run; CUT_OFF and UNKNOWN only in the list of runs: the master
    ended before the run did, or the journal cannot be read.
    """

    READY = "ready"
    READING = "reading"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    CUT_OFF = "cut off"
    UNKNOWN = "unknown"

    @property
    def live(self) -> bool:
        """Whether a master is at work on the run."""
        return self in (RunState.RUNNING, RunState.PAUSED, RunState.STOPPING)

    @property
    def ended(self) -> bool:
        """Whether the run has its report."""
        return self in (RunState.COMPLETED, RunState.STOPPED, RunState.FAILED)
