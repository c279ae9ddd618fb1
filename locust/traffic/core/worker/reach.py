"""Detect whether a worker gets anything done, from the answers to its attempts.

Guarded here: a worker that gets nothing done knows it within seconds, from a few attempts that fail fast or from one
that fails slowly; one answer proves the opposite. One lost answer alone proves nothing.
"""

from traffic.core.outcome import LONGEST_REASON, Answer

# After so many attempts in a row without an answer the worker is in trouble; then it makes one attempt a second.
DEAD_AFTER = 5
PROBE_S = 1.0
# An attempt that failed after so long a wait, with no other answered meanwhile, proves as much as several fast ones.
SLOW_S = 1.0
# A fault of the worker's own is reported for so long after the latest attempt that met it.
FAULT_S = 10.0
_NEVER = float("-inf")


class Reach:
    """Judges the attempts of one worker at one run. Times are seconds on the worker's own clock.

    `trouble` says why nothing gets done; empty if something does. `silent`: attempts leave the worker, and have no
    answer. `fault` is a fault of the worker's own that its latest attempts met, whether others succeed or not.
    """

    def __init__(self) -> None:
        self.trouble = self.fault = ""
        self.silent = False
        self._failures_in_a_row = self._slow_failures = 0
        self._answered, self._answered_at = 0, _NEVER
        self._fault_until = self._probe_due = _NEVER

    def note_progress(self, answered: int, now: float) -> None:
        """Note how many attempts have been answered so far; call it often."""
        if answered != self._answered:
            self._answered, self._answered_at = answered, now
            self._failures_in_a_row = self._slow_failures = 0
        if self.fault and now >= self._fault_until:
            self.fault = ""

    def fail(self, answer: Answer, now: float) -> None:
        """Note an attempt that had no answer."""
        if answer.fault == "user":
            return
        if answer.fault == "worker":
            self.fault, self._fault_until = self._reason(answer), now + FAULT_S
        self._failures_in_a_row += 1
        self._slow_failures += answer.waited >= SLOW_S and now - self._answered_at >= max(SLOW_S, answer.waited / 2)
        # One answer may be lost. If no connection is made, or nothing was ever answered, one failure is enough.
        enough = 2 if answer.sent and self._answered else 1
        if self.trouble or self._failures_in_a_row >= DEAD_AFTER or self._slow_failures >= enough:
            self._probe_due = now + PROBE_S if self.trouble else now
            self.silent = answer.sent
            self.trouble = self._reason(answer)

    def succeed(self) -> None:
        """Note an attempt that was answered."""
        self.trouble, self.silent = "", False
        self._failures_in_a_row = self._slow_failures = 0

    def may_probe(self, now: float, *, in_flight: bool) -> bool:
        """Return whether a worker in trouble may make an attempt. While attempts have no answer, one at a time."""
        return now >= self._probe_due and not (self.silent and in_flight)

    def probe(self, now: float) -> None:
        """Note that a worker in trouble makes an attempt."""
        self._probe_due = now + PROBE_S

    def _reason(self, answer: Answer) -> str:
        reason = answer.reason[:LONGEST_REASON]
        if answer.fault == "worker":
            return reason
        return f"the API {'does not answer' if answer.sent else 'cannot be reached'}: {reason}"
