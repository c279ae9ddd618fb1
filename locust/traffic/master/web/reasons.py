"""Say why an act on the run is not possible now: a whole sentence for its button, empty if it is possible."""

from dataclasses import dataclass

from traffic.core.master.run_state import RunState

NO_RUN = "No run is live."
OVER = {RunState.STOPPING: "The run is stopping.", "ending": "The run is ending."}


@dataclass(frozen=True, slots=True)
class Seen:
    """The live run as the acts need it. `state` is running, paused, stopping or ending; empty: no run is live."""

    state: str = ""
    reason: str = ""
    by_person: bool = False

    def why_not_pause(self) -> str:
        """Why the run cannot be paused by a person."""
        return "The run is paused already." if self.by_person else self._over()

    def why_not_unpause(self) -> str:
        """Why a person cannot let the run go on."""
        if self.by_person or (over := self._over()):
            return "" if self.by_person else over
        if self.state == RunState.PAUSED:
            return f"The run waits by itself: {self.reason.rstrip('.')}. It goes on when that is over."
        return "The run is not paused."

    def why_not_stop(self) -> str:
        """Why the run cannot be stopped."""
        return self._over()

    def why_not_start(self, run: str) -> str:
        """Why no other run can be started, while run `run` is live."""
        so = self.reason if self.by_person else f"paused: {self.reason}" if self.reason else self.state
        return f"Run {run} is {so.rstrip('.')}. Stop it first."

    def _over(self) -> str:
        return OVER.get(self.state, "") if self.state else NO_RUN
