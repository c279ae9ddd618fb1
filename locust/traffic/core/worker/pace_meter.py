"""Measure how well a worker keeps a pace: how late records are taken, why, and how long answers take.

Times are kept in lists, and counted when an ack is made: so a record costs no more than two appends.
"""

from traffic.core.pace.measures import BOUNDS_S, LATE_S, LateCause, PaceMeasures

# A user that is free for less takes the next record at once: meanwhile all were as good as busy.
GAP_S = 0.02
_NEVER = float("-inf")


class PaceMeter:
    """Measures one run on one worker. `busy` is how many users were sending at once, at most, since the last ack."""

    def __init__(self) -> None:
        self._measures = PaceMeasures()
        self._late: list[float] = []
        self._service: list[float] = []
        self.busy = 0
        # Since when all users have been sending, but for moments, and until when; and whether they still are.
        self._full_since = self._full_until = _NEVER
        self._full = False

    def note_taken(self, late: float, second: float, cause: LateCause) -> None:
        """Note a record that was taken `late` seconds after it was due, in a second of the schedule.

        `cause` says why, if it was late at all.
        """
        self._measures.sent += 1
        self._measures.second = max(self._measures.second, second)
        self._late.append(late)
        if late > LATE_S:
            self._measures.because[cause] += 1
            for at, bound in enumerate(BOUNDS_S):
                self._measures.over[at] += late > bound

    def note_over(self, seconds: float, now: float) -> None:
        """Note an attempt that is over after so many seconds: its user is free."""
        self._service.append(seconds)
        if self._full:
            self._full, self._full_until = False, now

    def note_busy(self, sending: int, users: int, now: float) -> None:
        """Note how many of the users are sending."""
        self.busy = max(self.busy, sending)
        if sending >= users and not self._full:
            self._full = True
            self._full_since = self._full_since if now - self._full_until <= GAP_S else now

    def late_cause(self, due: float, now: float) -> LateCause:
        """Return why a record that was due at `due` is taken only now: mostly because no user was free, or not."""
        full = (now if self._full else self._full_until) - max(due, self._full_since)
        return LateCause.NO_FREE_USER if full >= (now - due) / 2 else LateCause.BACKLOG

    def measures(self) -> PaceMeasures:
        """Return what was measured so far."""
        self._measures.late.add(self._late)
        self._measures.service.add(self._service)
        self._late.clear()
        self._service.clear()
        return self._measures.copy()
