"""Keep what the workers' attempts took, and put it together for the run.

Guarded here: what a worker tells of a kind is the whole of it, so an older message changes nothing, and no attempt
counts twice, however often it is told.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from traffic.core.histogram import Histogram
from traffic.core.timings import MOST_KINDS, Kind, KindTiming, Timing, total_of

# The report names so many requests at most, those with the most attempts; the others are one row.
MOST_REQUESTS = 50
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_Key = TypeVar("_Key", bound=Hashable)


class TimingBook:
    """The timings of one run, by worker and kind; `kinds` has those of all workers together."""

    def __init__(self) -> None:
        self.kinds: dict[Kind, Timing] = {}
        self._by_worker: dict[str, dict[Kind, Timing]] = {}

    def note(self, worker: str, told: Iterable[KindTiming]) -> tuple[KindTiming, ...]:
        """Note what a worker has measured since the run began on it; return what is new of it."""
        known = self._by_worker.setdefault(worker, {})
        new = tuple(one for one in told if self._is_new(known, one))
        for one in new:
            before = known.get(one.kind, Timing())
            together = self.kinds.setdefault(one.kind, Timing())
            together.service.replace(before.service, one.timing.service)
            together.response.replace(before.response, one.timing.response)
            known[one.kind] = one.timing
        return new

    def restore(self, kept: Iterable[tuple[str, KindTiming]]) -> None:
        """Note what a journal has, each with its worker."""
        for worker, told in kept:
            self.note(worker, [told])

    @staticmethod
    def _is_new(known: dict[Kind, Timing], told: KindTiming) -> bool:
        if told.kind not in known:
            return len(known) < 2 * MOST_KINDS  # more than an honest worker has
        return told.timing.service.total > known[told.kind].service.total

    @property
    def workers(self) -> Iterable[str]:
        """The workers of which something is known."""
        return self._by_worker.keys()

    def attempts(self, worker: str) -> int:
        """Return how many attempts a worker has measured, as far as the master knows."""
        return sum(timing.service.total for timing in self._by_worker.get(worker, {}).values())

    def total(self) -> Timing:
        """Return what all attempts took."""
        return total_of(self.kinds.values())

    def by(self, key: Callable[[Kind], _Key]) -> dict[_Key, Timing]:
        """Return what the attempts took, those together of whose kinds `key` returns the same."""
        made: dict[_Key, Timing] = {}
        for kind, timing in self.kinds.items():
            made.setdefault(key(kind), Timing()).update(timing)
        return made


def timings_status(book: TimingBook) -> dict[str, Any] | None:
    """Return the member `timings` of a status or report, times in seconds; None while nothing is measured.

    `response` counts from when a record was due, `service` from when it was sent; without a schedule they are the same.
    `requests` are told apart by name and method, `statuses` by HTTP status, and `errors` by why there was no answer.
    """
    total = book.total()
    if not total.service.total:
        return None
    requests = book.by(lambda kind: (kind.name, kind.method))
    named = sorted(requests.items(), key=lambda item: (-item[1].service.total, item[0]))
    made = [{"name": name, "method": method, **_row(timing)} for (name, method), timing in named[:MOST_REQUESTS]]
    if rest := [timing for _, timing in named[MOST_REQUESTS:]]:
        made.append({"name": f"({len(rest)} others)", "method": "", **_row(total_of(rest))})
    statuses = sorted(book.by(lambda kind: kind.status).items())
    errors = sorted(book.by(lambda kind: kind.error).items(), key=lambda item: -item[1].service.total)
    return {
        **_row(total),
        "requests": made,
        "statuses": [{"status": status, **_row(timing)} for status, timing in statuses],
        "errors": [{"error": error, "attempts": timing.service.total} for error, timing in errors if error],
    }


def _row(timing: Timing) -> dict[str, Any]:
    times = {"response": _times(timing.felt), "service": _times(timing.service)}
    return {"attempts": timing.service.total, **times}


def _times(times: Histogram) -> dict[str, float]:
    """Return mean, percentiles and longest of times that there are, in seconds."""
    found = {"mean": times.mean, "min": times.least, **{name: times.quantile(share) for name, share in SHARES.items()}}
    return {name: round(value or 0.0, 6) for name, value in (*found.items(), ("max", times.most))}
