"""The same death again and again: of the master, of it and all workers, or of everything, at a moment drawn by lot."""

import random
import re
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from chaos.faults import Act, Kind, Scenario
from chaos.harm import Death
from chaos.history import Attempt
from chaos.rounds import Result

DEADLINE_S = 400.0
# The death comes when this share of the records has been sent.
EARLIEST, LATEST = 0.02, 0.97
_SETTLED = re.compile(r"is resumed: (\d+) of \d+ records of .* are settled, (\d+) were in hand")


def deadly(kind: Kind, seed: int, records: int, workers: int, users: int, share: float | None = None) -> Scenario:
    """A run at full speed whose master is killed when `share` has been sent, and started again at once.

    Without `share` the moment is drawn from the seed.
    """
    drawn = random.Random(seed).uniform(EARLIEST, LATEST)
    act = Act(kind, share=drawn if share is None else share)
    return Scenario(
        seed,
        records=records,
        workers=workers,
        users=users,
        wait="0",
        acts=(act,),
        store="mongodb" if kind == "everything" else "sqlite",
        deadline_s=DEADLINE_S,
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """The longest time without a POST after a death, in seconds after it. `all_back`: when each worker POSTed again."""

    began: float
    ended: float
    all_back: float


def gap(attempts: Iterable[Attempt], death: Death, workers: int) -> Gap | None:
    """Return the gap after a death; None if nothing was sent after it, or not by all."""
    after = sorted((one for one in attempts if one.sent >= death.killed), key=lambda one: one.sent)
    times = [death.killed, *(one.sent for one in after)]
    if not after:
        return None
    at = max(range(len(after)), key=lambda n: times[n + 1] - times[n])
    seen = set[str]()
    for one in after[at:]:
        seen.add(one.worker)
        if len(seen) == workers:
            began, ended, back = (when - death.killed for when in (times[at], times[at + 1], one.sent))
            return Gap(began, ended, back)
    return None


@dataclass(frozen=True, slots=True)
class Twice:
    """The records that were sent more than once: in flight at the death, answered before it, anything else.

    `oldest_s`: how long before the death the first of those answered had its answer.
    """

    in_flight: int = 0
    answered: int = 0
    other: int = 0
    oldest_s: float = 0.0

    @property
    def records(self) -> int:
        """How many."""
        return self.in_flight + self.answered + self.other


def sent_twice(attempts: Iterable[Attempt], killed: float) -> Twice:
    """Those of a run whose master was killed then."""
    firsts, again = dict[str, Attempt](), set[str]()
    for one in sorted(attempts, key=lambda one: one.sent):
        if one is not firsts.setdefault(one.key, one):
            again.add(one.key)
    tries = [firsts[key] for key in again]
    answered = [killed - one.ended for one in tries if one.ended <= killed]
    in_flight = sum(one.sent <= killed < one.ended for one in tries)
    other = len(tries) - in_flight - len(answered)
    return Twice(in_flight, len(answered), other, max(answered, default=0.0))


def line(result: Result) -> str:
    """A run in one line."""
    death = result.deaths[0] if result.deaths else None
    settled = _SETTLED.search(result.takings_up[0]) if result.takings_up else None
    found = gap(result.attempts, death, result.scenario.workers) if death else None
    twice = sent_twice(result.attempts, death.killed if death else 0.0)
    verdict = result.verdict
    parts = [
        f"seed {result.scenario.seed}: {'ok' if result.good else 'BROKEN'}",
        result.done[0] if result.done else "nothing was done",
        f"{settled[1]} settled and {settled[2]} in hand at resume" if settled else "not resumed",
        f"{result.resends.posts} POSTs, {twice.records} records twice ({twice.in_flight} in flight, {twice.answered}"
        f" answered up to {twice.oldest_s:.2f} s before), {len(result.resends.uncaused)} uncaused",
        f"{len(verdict.lost)} lost, {len(verdict.duplicated)} stored twice" if verdict else "no verdict",
        f"no POST {found.began:.1f}-{found.ended:.1f} s after, all back at {found.all_back:.1f} s"
        if found
        else "not all workers were back",
        f"exit {result.exit_code}, {result.state}, {result.seconds:.0f} s, verdict: {verdict}",
    ]
    return " | ".join(parts)


def summary(results: list[Result]) -> str:
    """All runs in one line."""
    verdicts = [result.verdict for result in results if result.verdict]
    gaps = [gap(result.attempts, result.deaths[0], result.scenario.workers) for result in results if result.deaths]
    found = [one for one in gaps if one is not None]
    twice = [sent_twice(result.attempts, result.deaths[0].killed) for result in results if result.deaths]
    return (
        f"{len(results)} runs, {sum(result.good for result in results)} good, {len(found)} with all workers back; "
        f"lost {sum(len(one.lost) for one in verdicts)}, stored twice {sum(len(one.duplicated) for one in verdicts)}, "
        f"records sent twice {sum(one.records for one in twice)}"
        f" (at most {max((one.records for one in twice), default=0)} a run, {sum(one.in_flight for one in twice)}"
        f" in flight, {sum(one.answered for one in twice)} answered"
        f" {max((one.oldest_s for one in twice), default=0.0):.2f} s before at most), "
        f"without a cause {sum(len(result.resends.uncaused) for result in results)}; "
        f"first POST of the new master {_spread([one.ended for one in found])}, "
        f"all back {_spread([one.all_back for one in found])}; "
        f"exit codes {dict(Counter(result.exit_code for result in results))}"
    )


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "never"
    return f"{min(seconds):.1f}-{max(seconds):.1f} s (median {statistics.median(seconds):.1f})"
