"""Say why an act on the run is not possible now: a whole sentence for its button, or nothing if it is possible."""

from dataclasses import dataclass

from traffic.core.master.run_state import RunState

NO_RUN = "No run is live."
ENDING_SENTENCES = {RunState.STOPPING: "The run is stopping.", "ending": "The run is ending."}


@dataclass(frozen=True, slots=True)
class AllowedActs:
    """Which acts the live run allows. `state` is running, paused, stopping or ending; empty if no run is live.

    `paced`: the run has a rate.
    """

    state: str = ""
    reason: str = ""
    by_person: bool = False
    paced: bool = False

    def why_not_pause(self) -> str:
        """Why the run cannot be paused by a person."""
        return "The run is paused already." if self.by_person else self._why_ending()

    def why_not_unpause(self) -> str:
        """Why a person cannot let the run go on."""
        if self.by_person or (ending := self._why_ending()):
            return "" if self.by_person else ending
        if self.state == RunState.PAUSED:
            return f"The run waits by itself: {self.reason.rstrip('.')}. It goes on when that is over."
        return "The run is not paused."

    def why_not_change_rate(self) -> str:
        """Why the rate of the run cannot be changed."""
        if self.state and not self.paced:
            return "The run has no rate that could be changed."
        return self._why_ending()

    def why_not_stop(self) -> str:
        """Why the run cannot be stopped."""
        return self._why_ending()

    def why_not_start(self, run: str) -> str:
        """Why no other run can be started, while run `run` is live."""
        situation = self.reason if self.by_person else f"paused: {self.reason}" if self.reason else self.state
        return f"Run {run} is {situation.rstrip('.')}. Stop it first."

    def _why_ending(self) -> str:
        return ENDING_SENTENCES.get(self.state, "") if self.state else NO_RUN
