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
MASTER_KILLED = "in flight when the master was killed"
CAUSES = (RECLAIMED, ANSWER_LOST, ASKED_FOR, RESTARTED, MASTER_KILLED)
# A worker that is heard hands out records for so long after its last confirmed ack: the lease.
LEASE_S = 5.0
# An answer that came so long before its worker was lost had been confirmed, and so is known. The slack is for a
# worker that reads an answer later than the tap passed it on.
CONFIRMED_S = LEASE_S + 2.0
# A worker has joined the successor of a killed master so long after that took up the run.
REJOINED_S = 10.0
# A worker that was told to leave waits so long for answers, and for the master, at most.
LEAVING_S = 5.0
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
    """What the harness knows of a round: workers it hurt or that the master gave up, when API and master were down.

    `master_down`: from its kill until its successor had taken up the run.
    """

    lost: dict[str, float] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)
    api_down: list[tuple[float, float]] = field(default_factory=list)
    master_down: list[tuple[float, float]] = field(default_factory=list)
    users: int = 1
    at_most_once: bool = False

    def note_left(self, worker: str, at: float) -> None:
        """Note that a worker was told to leave: without a master that confirms its last outcomes, it is lost."""
        if any(killed <= at + LEAVING_S and at <= back for killed, back in self.master_down):
            self.lost.setdefault(worker, at)

    def unconfirmed_since(self, worker: str) -> float:
        """From when on no outcome of a lost worker need have been known; earlier ones were, and stay so."""
        since = self.lost[worker] - CONFIRMED_S
        for killed, back in sorted(self.master_down, reverse=True):
            # Nothing was confirmed without a master, nor before the worker was back at the next one.
            if killed <= self.lost[worker] and since <= back + REJOINED_S:
                since = min(since, killed - CONFIRMED_S)
        return since


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
    """Return why a POST followed those before it; None if nothing allows it."""
    if known.at_most_once:
        return ASKED_FOR if all(one.status in NOT_ACTED_ON for one in before) else None
    if any(_lost_with(one, again, known) for one in before):
        return RECLAIMED
    if any(one.delivered and one.ended <= again.sent for one in before):
        return None
    if any(_cut_off(one, again, known) for one in before):
        return MASTER_KILLED
    return _cause_of_retry(before[-1], again, known)


def _cause_of_retry(last: Attempt, again: Attempt, known: Known) -> str | None:
    if not last.ended <= again.sent:
        return None
    if last.asks_again:
        return ASKED_FOR
    if last.status:
        return None
    down = any(start - 0.2 <= last.ended <= stop + 0.2 for start, stop in known.api_down)
    return RESTARTED if down else ANSWER_LOST


def _lost_with(one: Attempt, again: Attempt, known: Known) -> bool:
    """Whether nobody need have known what came of an attempt, because another's worker was lost with it."""
    if one.worker == again.worker or known.lost.get(one.worker, math.inf) > again.sent:
        return False
    return not (one.delivered and one.ended < known.unconfirmed_since(one.worker))


def _cut_off(one: Attempt, again: Attempt, known: Known) -> bool:
    """Whether an attempt was still unanswered when it was sent again, and its lease one of a killed master's."""
    return again.sent < one.ended and any(
        killed <= again.sent and one.sent <= killed + LEASE_S for killed, _ in known.master_down
    )
