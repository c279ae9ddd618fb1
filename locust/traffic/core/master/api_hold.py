"""Keep whether the API has asked the run to wait: until when, and who tries first afterwards.

Guarded here: while the API asks for it no worker hands out a record. Afterwards one worker tries with one record at a
time; all others follow once one of its attempts was answered otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from traffic.core.protocol import Hold

_NEVER = float("-inf")


@dataclass(slots=True)
class ApiHold:
    """The present hold, if any, and counts of all. Times are seconds on the coordinator's clock.

    `until` is when the API may be tried again, `since` when it first asked to wait and has taken nothing from then on.
    `status` is that of its answer. `prober` is the worker that tries, once it is time. `answers` counts the answers
    that asked the run to wait, `times` how often it waited, and `seconds` how long, without the present hold.
    """

    held: bool = False
    until: float = _NEVER
    since: float = _NEVER
    status: int = 0
    prober: str = ""
    times: int = 0
    seconds: float = 0.0
    answers: int = 0
    _asked_by: str = ""
    _answers: dict[str, int] = field(default_factory=dict)

    def count(self, worker: str, put_off: int) -> None:
        """Note how many answers have asked a worker to wait, since the run began there."""
        self._answers[worker] = max(put_off, self._answers.get(worker, 0))
        self.answers = sum(self._answers.values())

    def note(self, asked: Hold, worker: str, now: float) -> bool:
        """Note that the API has asked a worker to wait. Returns whether that changes anything for the workers."""
        until = now + asked.seconds
        new = not self.held or bool(self.prober)
        if not self.held:
            self.since, self.until = now, until
            self.times += 1
        self.held, self.prober = True, ""
        self.until, self.status, self._asked_by = max(self.until, until), asked.status, worker
        return new

    def restore(self, seconds: float, status: int, now: float) -> None:
        """Hold a run that a former master had held; `seconds` are left."""
        self.note(Hold(max(0.0, seconds), status), "", now)

    def waited_s(self, now: float) -> float:
        """Return how long the run has waited for the API, in all."""
        return self.seconds + (now - self.since if self.held else 0.0)

    def stops(self, worker: str) -> bool:
        """Return whether a worker must hand out no record."""
        return self.held and worker != self.prober

    def lift(self, now: float) -> bool:
        """End the hold: the API takes requests again. Returns whether there was one."""
        was, self.held, self.prober = self.held, False, ""
        self.seconds += now - self.since if was else 0.0
        return was

    def try_now(self, now: float) -> None:
        """Let the API be tried now, whatever it has asked for, because a person wants it."""
        if self.held:
            self.until = self.since = now

    def follow(self, troubled: Mapping[str, bool], now: float) -> bool:
        """Choose who tries, once it is time. Returns whether that changes anything for the workers.

        `troubled` says of each worker that has users whether it is in trouble; then it cannot try. Of the others, the
        first in this order does, unless the one that the API has asked to wait can. If all are in trouble, the hold
        ends: what counts then is whether the API can be reached at all.
        """
        if not self.held or now < self.until:
            return False
        able = [worker for worker, trouble in troubled.items() if not trouble]
        if troubled and not able:
            return self.lift(now)
        if self.prober in able or not able:
            return False
        self.prober = self._asked_by if self._asked_by in able else able[0]
        return True
