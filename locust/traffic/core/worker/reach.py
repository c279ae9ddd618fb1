"""Detect whether a worker gets anything done, from the answers to its attempts.

Guarded here: a worker that gets nothing done knows it within seconds, from a few attempts that fail fast or from one
that fails slowly; one answer proves the opposite. One lost answer alone proves nothing.
"""

from traffic.core.outcome import LONGEST_REASON, Answer

# After this many attempts in a row without an answer the worker is in trouble: one attempt a second probes its way.
DEAD_AFTER = 5
PROBE_S = 1.0
# An attempt that failed after so long a wait, with no other answered meanwhile, says as much as several fast ones.
SLOW_S = 1.0
# A fault of the worker's own is told for so long after it was last met.
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
        self._row = self._slow = 0
        self._answered, self._answered_at = 0, _NEVER
        self._fault_until = self._probe_due = _NEVER

    def look(self, answered: int, now: float) -> None:
        """Take how many attempts have been answered so far; call it often."""
        if answered != self._answered:
            self._answered, self._answered_at = answered, now
            self._row = self._slow = 0
        if self.fault and now >= self._fault_until:
            self.fault = ""

    def fail(self, answer: Answer, now: float) -> None:
        """Take an attempt that had no answer."""
        if answer.fault == "user":
            return
        if answer.fault == "worker":
            self.fault, self._fault_until = self._words(answer), now + FAULT_S
        self._row += 1
        self._slow += answer.waited >= SLOW_S and now - self._answered_at >= max(SLOW_S, answer.waited / 2)
        # One answer may be lost. That no connection is made, or that nothing was ever answered, is clear at once.
        enough = 2 if answer.sent and self._answered else 1
        if self.trouble or self._row >= DEAD_AFTER or self._slow >= enough:
            self._probe_due = now + PROBE_S if self.trouble else now
            self.silent = answer.sent
            self.trouble = self._words(answer)

    def succeed(self) -> None:
        """Take an attempt that was answered."""
        self.trouble, self.silent = "", False
        self._row = self._slow = 0

    def may_probe(self, now: float, *, flying: bool) -> bool:
        """Whether a worker in trouble may make an attempt. Of those that have no answer, one at a time is enough."""
        return now >= self._probe_due and not (self.silent and flying)

    def probe(self, now: float) -> None:
        """Take that a worker in trouble makes an attempt."""
        self._probe_due = now + PROBE_S

    def _words(self, answer: Answer) -> str:
        reason = answer.reason[:LONGEST_REASON]
        if answer.fault == "worker":
            return reason
        return f"the API {'does not answer' if answer.sent else 'cannot be reached'}: {reason}"
