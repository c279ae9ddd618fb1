"""Locust's own statistics, kept in bulk: requests are logged in a list and folded into Locust's tables each second.

The tables then hold what `events.request` would have put there one by one: the same counts, the same buckets.
"""

import time
from collections import Counter
from typing import Any

import numpy as np
from locust import stats as locust_stats
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.stats import RequestStats, StatsEntry, StatsError

from traffic.core.timings import Request

_LOCUSTS_BUCKETS = locust_stats.bucket_response_time
# From here on, Locust's buckets are wider than a millisecond.
_ROUNDED_MS = 99.5
_S_TO_MS = 1000.0


class StatsBuffer:
    """The requests of one name and method that Locust's tables do not hold yet. Times are in seconds."""

    __slots__ = ("content", "failures", "log", "method", "name", "request", "times")

    def __init__(self, name: str, method: str) -> None:
        self.name, self.method, self.request = name, method, Request(name, method)
        self.times: list[float] = []
        self.log = self.times.append
        self.content = 0
        self.failures: Counter[str] = Counter()

    def fold(self, stats: RequestStats) -> None:
        """Move everything into Locust's tables, with the present time."""
        if not self.times:
            return
        now = time.time()
        delta = _entry(stats, self.name, self.method, np.array(self.times) * _S_TO_MS, now)
        delta.total_content_length = self.content
        if self.failures:
            delta.num_failures = self.failures.total()
            delta.num_fail_per_sec[int(now)] = delta.num_failures
        stats.total.extend(delta)
        stats.entries[self.name, self.method].extend(delta)
        for reason, count in self.failures.items():
            _note_error(stats, self.method, self.name, reason, count, now)
        self.times.clear()
        self.failures.clear()
        self.content = 0


def _entry(stats: RequestStats, name: str, method: str, times_ms: Any, now: float) -> StatsEntry:
    delta = StatsEntry(stats, name, method)
    delta.start_time = delta.last_request_timestamp = now
    delta.num_requests = len(times_ms)
    delta.num_reqs_per_sec[int(now)] = len(times_ms)
    # Locust's annotations say whole milliseconds; its users measure fractions.
    delta.total_response_time = float(times_ms.sum())  # type: ignore[assignment]
    delta.min_response_time, delta.max_response_time = float(times_ms.min()), float(times_ms.max())  # type: ignore[assignment]
    delta.response_times = _buckets(times_ms)
    return delta


def _buckets(times_ms: Any) -> dict[int, int]:
    """Return how many requests are in each bucket, by Locust's rule or the one that replaced it."""
    bucket = locust_stats.bucket_response_time
    fine = times_ms < (_ROUNDED_MS if bucket is _LOCUSTS_BUCKETS else -1.0)
    rounded, counts = np.unique(np.rint(times_ms[fine]).astype(int), return_counts=True)
    made = Counter(dict(zip(rounded.tolist(), counts.tolist(), strict=True)))
    made.update(bucket(one) for one in times_ms[~fine].tolist())
    return made


def _note_error(stats: RequestStats, method: str, name: str, reason: str, count: int, now: float) -> None:
    error = CatchResponseError(reason)
    key = StatsError.create_key(method, name, error)
    entry = stats.errors.get(key)
    if entry is None:
        entry = stats.errors[key] = StatsError(method, name, error)
    entry.occurrences += count
    entry.first_seen = now if entry.first_seen is None else entry.first_seen
    entry.last_seen = now


def only_locust_listens(environment: Environment) -> bool:
    """Return whether Locust's own runner is the only listener to requests."""
    listeners = environment.events.request._handlers
    return all(getattr(one, "__module__", None) == "locust.runners" for one in listeners)
