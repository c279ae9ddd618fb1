"""What went over the wire to the API, and why a record went more than once.

Each POST as a tap between workers and API saw it: neither the workers' counters nor the API's are asked. A POST that
had no cause is a broken promise, even where the API's memory of keys hid it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

RECLAIMED = "reclaimed from a lost worker"
ANSWER_LOST = "answer lost"
ASKED_FOR = "retry asked for"
RESTARTED = "API restarted"
CAUSES = (RECLAIMED, ANSWER_LOST, ASKED_FOR, RESTARTED)
TRY_AGAIN = frozenset({408, 425, 429})
NOT_ACTED_ON = TRY_AGAIN | {503}


@dataclass(slots=True)
class Attempt:
    """One POST. `status` is 0 until the whole answer was passed on; `lost_by` says who hung up before that."""

    key: str
    worker: str
    sent: float
    ended: float = math.inf
    status: int = 0
    lost_by: str = ""

    @property
    def delivered(self) -> bool:
        """Whether a 2xx answer reached the worker's machine whole."""
        return 200 <= self.status < 300

    @property
    def asks_again(self) -> bool:
        """Whether the API asked for another attempt."""
        return self.status >= 500 or self.status in TRY_AGAIN


@dataclass
class Resends:
    """`causes` counts the POSTs that were not a record's first, by why; `uncaused` are those without a reason."""

    posts: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    uncaused: list[str] = field(default_factory=list)

    @property
    def again(self) -> int:
        """How many POSTs were not a record's first."""
        return sum(self.causes.values()) + len(self.uncaused)


@dataclass
class Known:
    """What the harness knows of a round: workers it hurt or that the master gave up, when the API was down."""

    lost: dict[str, float] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)
    api_down: list[tuple[float, float]] = field(default_factory=list)
    users: int = 1
    at_most_once: bool = False


def explain(attempts: Iterable[Attempt], known: Known) -> Resends:
    """Give every POST of a record after its first a cause, or name it."""
    made, by_key = Resends(), defaultdict[str, list[Attempt]](list)
    for attempt in attempts:
        by_key[attempt.key].append(attempt)
    late = Counter[str]()
    for tries in by_key.values():
        tries.sort(key=lambda attempt: attempt.sent)
        made.posts += len(tries)
        for number in range(1, len(tries)):
            _explain_one(tries[:number], tries[number], known, made, late)
    return made


def _explain_one(before: list[Attempt], again: Attempt, known: Known, made: Resends, late: Counter[str]) -> None:
    cause = _cause(before, again, known)
    if (
        cause is None
        and not known.at_most_once
        and late[again.worker] < known.frozen.get(again.worker, 0) * known.users
    ):
        # Its users had taken these before it was frozen, and no rule can call them back: one for each user at most.
        late[again.worker] += 1
        cause = RECLAIMED
    if cause is None:
        steps = [f"{one.worker[-4:]} {one.sent:.3f}-{one.ended:.3f} {one.status or one.lost_by}" for one in before]
        made.uncaused.append(f"{again.key} by {again.worker[-4:]} at {again.sent:.3f} after {', '.join(steps)}")
    else:
        made.causes[cause] += 1


def _cause(before: list[Attempt], again: Attempt, known: Known) -> str | None:
    """Why a POST followed those before it; None where nothing allows it."""
    if known.at_most_once:
        return ASKED_FOR if all(one.status in NOT_ACTED_ON for one in before) else None
    last = before[-1]
    others = {one.worker for one in before} - {again.worker}
    if any(worker in known.lost and known.lost[worker] <= again.sent for worker in others):
        return RECLAIMED
    if any(one.delivered and one.ended <= again.sent for one in before) or not last.ended <= again.sent:
        return None
    if last.asks_again:
        return ASKED_FOR
    if last.status:
        return None
    down = any(start - 0.2 <= last.ended <= stop + 0.2 for start, stop in known.api_down)
    return RESTARTED if down else ANSWER_LOST
