"""The life of a run: its phases, and which of them may follow which.

Guarded here: a run ends once, by way of its report, and no phase follows an end.
"""

from collections.abc import Mapping
from enum import StrEnum

from traffic.core.master.run_state import RunState


class Phase(StrEnum):
    """What a run is doing. Each phase but REPORTING is a state that a run is shown in."""

    RUNNING = RunState.RUNNING.value
    PAUSED = RunState.PAUSED.value
    STOPPING = RunState.STOPPING.value
    REPORTING = "reporting"
    COMPLETED = RunState.COMPLETED.value
    STOPPED = RunState.STOPPED.value
    FAILED = RunState.FAILED.value


_ENDS = frozenset({Phase.COMPLETED, Phase.STOPPED, Phase.FAILED})
# PAUSED after PAUSED: the reason has changed. STOPPING after STOPPING: the process ends while a run is being stopped.
TRANSITIONS: Mapping[Phase, frozenset[Phase]] = {
    Phase.RUNNING: frozenset({Phase.PAUSED, Phase.STOPPING, Phase.REPORTING}),
    Phase.PAUSED: frozenset({Phase.PAUSED, Phase.RUNNING, Phase.STOPPING, Phase.REPORTING}),
    Phase.STOPPING: frozenset({Phase.STOPPING, Phase.REPORTING}),
    Phase.REPORTING: _ENDS,
    Phase.COMPLETED: frozenset(),
    Phase.STOPPED: frozenset(),
    Phase.FAILED: frozenset(),
}


class TransitionError(Exception):
    """A fault of our own: a run was to enter a phase that cannot follow its present one."""


class Lifecycle:
    """The phase of one run, and why the run is in it. Only `transition` changes either."""

    def __init__(self, phase: Phase, reason: str = "") -> None:
        self._phase, self._reason, self._state = phase, reason, RunState(phase)

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._phase

    @property
    def reason(self) -> str:
        """Why the run is paused, or failed; empty in most phases."""
        return self._reason

    @property
    def state(self) -> RunState:
        """The state that the run is shown in: while its report is made, the one before."""
        return self._state

    def transition(self, to: Phase, reason: str = "") -> None:
        """Enter a phase. TransitionError, and no change, if it cannot follow the present one."""
        if to not in TRANSITIONS[self._phase]:
            raise TransitionError(f"a run cannot be {to.value} after it was {self._phase.value}")
        if to is Phase.REPORTING:
            self._phase = to
        else:
            self._phase, self._reason, self._state = to, reason, RunState(to)
