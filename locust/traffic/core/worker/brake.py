"""Stop a worker to which the API refuses nearly everything with one status, before it has sent the whole file in vain.

Guarded here: from the rejection that trips the brake on, nothing is handed out until the master has read of it; then
the run is paused, or a person wants it to go on in spite of that status. Deliveries cost nothing: only rejections are
looked at.
"""

from collections import deque
from math import ceil

# Of the latest attempts that were answered, so many must be refused with the same status.
SHARE = 0.9


class Brake:
    """The brake of one worker in one run. `looked_at` is how many of the latest answers count; 0: it never trips.

    `tripped` is the status that has tripped it; 0: none has, or the master has read of it.
    """

    def __init__(self, looked_at: int = 0) -> None:
        self._looked_at = looked_at
        self.tripped = 0
        self._status = 0
        # How many attempts had been answered at each of the latest rejections with `_status`.
        self._rejections: deque[int] = deque(maxlen=ceil(SHARE * looked_at) if looked_at else 1)
        # Statuses that have tripped it: from then on a person decides.
        self._reported: set[int] = set()

    @property
    def stops(self) -> bool:
        """Whether nothing may be handed out."""
        return self.tripped != 0

    def note_rejection(self, status: int, answered: int) -> bool:
        """Note a rejection, after which so many attempts have been answered in all. Returns whether it trips."""
        if not self._looked_at or self.tripped or not status or status in self._reported:
            return False
        if status != self._status:
            self._status = status
            self._rejections.clear()
        self._rejections.append(answered)
        full = len(self._rejections) == self._rejections.maxlen
        if not full or answered - self._rejections[0] >= self._looked_at:
            return False
        self.tripped = status
        return True

    def confirm(self, status: int) -> None:
        """Note that the master has read an ack that said `status`: from now on it says whether the run goes on."""
        if status and status == self.tripped:
            self._reported.add(status)
            self.tripped = 0
