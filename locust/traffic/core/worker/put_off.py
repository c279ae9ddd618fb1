"""What a worker does when the API asks to wait: it stops at once, tells the master, and tries when it is told to.

Guarded here: from the answer that asks to wait on, nothing is handed out before the master has been told and says
otherwise, or the wait is over. While the worker is to try the API, one record is in flight at a time.
"""

from traffic.core.outcome import Answer
from traffic.core.protocol import Hold
from traffic.core.worker.record import Record

_NEVER = float("-inf")


class PutOff:
    """The state of one worker in one run. Times are seconds on the worker's own clock.

    `probing`: the master wants this worker to try the API. `probed`: an attempt that began since then was answered, and
    did not ask to wait.
    """

    def __init__(self) -> None:
        self.probing = self.probed = False
        self._until, self._status = _NEVER, 0
        self._number = 0  # of the latest request to wait; 0: the master has confirmed it
        self._requests = 0
        self._probe: Record | None = None

    def note(self, answer: Answer, now: float) -> None:
        """Note an answer that asks to wait."""
        assert answer.retry_after is not None
        self._until = max(self._until, now + answer.retry_after) if self._number else now + answer.retry_after
        self._status, self.probed = answer.status, False
        self._requests += 1
        self._number = self._requests

    def stops(self, now: float, in_flight: int) -> bool:
        """Return whether no record may be handed out."""
        return (self._number > 0 and now < self._until) or (self.probing and in_flight > 0)

    def begin_probe(self, record: Record) -> None:
        """Note the record with which the API is tried."""
        self._probe = record

    def note_outcome(self, record: Record, answer: Answer) -> bool:
        """Note an answer that does not ask to wait. Returns whether it is that of a probe."""
        tried, self._probe = self._probe is record, None if self._probe is record else self._probe
        if not (tried and self.probing and answer.status):
            return False
        self.probed = True
        return True

    def request(self, now: float) -> tuple[int, Hold] | None:
        """Return what the next ack asks for, with its number; None if there is nothing to ask for."""
        return (self._number, Hold(max(0.0, self._until - now), self._status)) if self._number else None

    def confirm(self, number: int) -> None:
        """Note that the master knows of a request: from now on it says when to go on."""
        if number == self._number:
            self._number = 0

    def follow(self, *, probing: bool) -> None:
        """Note what the newest answer of the master says."""
        self.probed &= probing
        self.probing = probing
