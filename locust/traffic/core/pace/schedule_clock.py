"""The run's schedule clock, as the master has it: it runs while the run may send, and stands still otherwise.

While the API wants the run slower it runs slower: then records come due later, and nothing is overdue because of that.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """The clock stood still at the second `at` of the schedule, for `seconds`, for a reason."""

    at: float
    seconds: float
    reason: str


class ScheduleClock:
    """Stands at `start` until it is run. Times are seconds on any one clock. `stops` has when it stood still."""

    def __init__(self, start: float = 0.0) -> None:
        self._at = start
        self._since: float | None = None  # since when it runs
        self._stopped: tuple[float, str] | None = None  # since when it stands still, and why
        self._ran = False
        self._pace = 1.0  # how many seconds of the schedule pass in one while it runs
        self.stops: list[Stop] = []

    @property
    def started(self) -> bool:
        """Whether it ever ran."""
        return self._since is not None or self._ran

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._since is not None

    def read(self, now: float) -> float:
        """Return the second of the schedule."""
        return self._at if self._since is None else self._at + max(0.0, now - self._since) * self._pace

    @property
    def speed(self) -> float:
        """How many of its seconds pass in one: 0 while it stands still."""
        return 0.0 if self._since is None else self._pace

    def slow(self, share: float, now: float) -> None:
        """Let it run at a share of its usual speed from now on, from 0 to 1."""
        if self._since is not None:
            self._at, self._since = self.read(now), now
        self._pace = share

    def stand_at(self, second: float) -> None:
        """Put a clock that stands still forward to a second. Does nothing if it runs, or is later."""
        if self._since is None:
            self._at = max(self._at, second)

    def stops_until(self, now: float) -> list[Stop]:
        """Return all stops, the present one included if the clock has run before."""
        if self._stopped is None or not self._ran:
            return self.stops
        return [*self.stops, Stop(self._at, max(0.0, now - self._stopped[0]), self._stopped[1])]

    def set(self, now: float, reason: str) -> bool:
        """Stop the clock for a reason, or let it run if there is none. Return whether that changed anything."""
        if reason:
            return self._stop(now, reason)
        if self._since is not None:
            return False
        if self._stopped is not None and (stood := now - self._stopped[0]) > 0:
            self.stops.append(Stop(self._at, stood, self._stopped[1]))
        self._since, self._stopped = now, None
        return True

    def _stop(self, now: float, reason: str) -> bool:
        if self._since is None:
            self._stopped = self._stopped or (now, reason)
            return False
        self._at, self._since, self._stopped, self._ran = self.read(now), None, (now, reason), True
        return True
