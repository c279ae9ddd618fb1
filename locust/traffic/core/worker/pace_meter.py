"""Measure how well a worker keeps a pace: how late records are taken, why, and how long answers take.

Times are kept in lists, and counted when an ack is made: so a record costs no more than two appends.
"""

from traffic.core.pace.measures import BOUNDS_S, LATE_S, LateCause, PaceMeasures


class PaceMeter:
    """Measures one run on one worker. `busy` is how many users were sending at once, at most, since the last ack."""

    def __init__(self) -> None:
        self._measures = PaceMeasures()
        self._late: list[float] = []
        self._service: list[float] = []
        self.busy = 0

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

    def note_over(self, seconds: float) -> None:
        """Note an attempt that is over after so many seconds."""
        self._service.append(seconds)

    def note_busy(self, users: int) -> None:
        """Note how many users are sending."""
        self.busy = max(self.busy, users)

    def measures(self) -> PaceMeasures:
        """Return what was measured so far."""
        self._measures.late.add(self._late)
        self._measures.service.add(self._service)
        self._late.clear()
        self._service.clear()
        return self._measures.copy()
