"""What a worker knows of the master's schedule clock: an estimate, from the answers to its acks.

Guarded here: the estimate decides when a record is sent, never whether one may be; custody is counted without it.

Each answer says when its ack was read and when the answer left, by the master's clock; the worker knows when it sent
the one and received the other. NTP's arithmetic gives from these four the distance of the two clocks, with an error of
half the delay at most (RFC 5905, section 8); of the latest samples, the one with the least delay counts (section 10).
"""

from collections import deque

# Four acks a second: what drifts apart in two seconds at 100 parts in a million is 0.2 ms.
SAMPLES = 8
_NEVER = float("inf")


class ScheduleEstimate:
    """Estimates the second of the schedule at a time of the worker's own clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)  # delay and distance
        self._left = self._second = 0.0
        self._speed = 0.0

    @property
    def known(self) -> bool:
        """Whether there is an estimate."""
        return bool(self._samples)

    @property
    def delay_s(self) -> float:
        """The delay of the sample that counts: the error is half of it at most. Infinite without a sample."""
        return min(self._samples)[0] if self._samples else _NEVER

    def note_round_trip(self, sent: float, read: float, left: float, received: float) -> None:
        """Note an ack: it was `sent`, and its answer `received`, by this clock; `read` and `left` are the master's."""
        delay = (received - sent) - (left - read)
        self._samples.append((max(0.0, delay), ((read - sent) + (left - received)) / 2))

    def note_second(self, left: float, second: float, speed: float) -> None:
        """Note that at `left`, by the master's clock, the schedule was at a second, and how fast it runs."""
        self._left, self._second, self._speed = left, second, speed

    def second(self, now: float) -> float:
        """Return the second of the schedule; minus infinity while it is unknown."""
        if not self._samples:
            return -_NEVER
        return self._second + (now + min(self._samples)[1] - self._left) * self._speed

    def when(self, second: float) -> float:
        """Return the time at which the schedule comes, or came, to a second; infinity while nobody knows when it will.

        Of a schedule that stands still, a second that has passed is minus infinity.
        """
        if not self._samples:
            return _NEVER
        if self._speed <= 0:
            return -_NEVER if second <= self._second else _NEVER
        return self._left + (second - self._second) / self._speed - min(self._samples)[1]
