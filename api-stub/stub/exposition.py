"""Shows Prometheus what was counted. Rule: counts are read when Prometheus asks, so that requests do not pay for it."""

import resource
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from stub.commit import GroupCommit
from stub.metrics import Histogram, Metrics

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Exposition(Collector):
    """Collects the counts of one stub and the state of its queue."""

    def __init__(self, metrics: Metrics, commit: GroupCommit) -> None:
        self._metrics = metrics
        self._commit = commit
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Yield every family with its present values."""
        metrics, commit = self._metrics, self._commit
        posts = CounterMetricFamily(
            "stub_posts", "POSTs answered, by status; 0 where none was sent.", labels=["status"]
        )
        for status, count in sorted(metrics.posts.items()):
            posts.add_metric([str(status)], count)
        yield posts
        yield CounterMetricFamily(
            "stub_replayed", "POSTs answered with the first answer of their key.", value=metrics.replayed
        )
        misbehaved = CounterMetricFamily("stub_misbehaved", "POSTs hurt on request.", labels=["fault"])
        for fault, count in sorted(metrics.misbehaved.items()):
            misbehaved.add_metric([fault], count)
        yield misbehaved
        yield _histogram("stub_post_seconds", "From a POST's head to its answer.", metrics.post_seconds)
        yield _histogram("stub_write_seconds", "One durable write of a batch.", metrics.write_seconds)
        yield _histogram("stub_batch_messages", "Messages written together.", metrics.batch_messages)
        yield GaugeMetricFamily("stub_waiting", "Messages that wait to be written.", value=commit.waiting)
        yield GaugeMetricFamily(
            "stub_store_up", "1 if the store is open and its last write succeeded.", value=int(commit.store_up)
        )
        yield GaugeMetricFamily("process_resident_memory_bytes", "Memory in use.", value=_resident())


def _histogram(name: str, help_text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, help_text, buckets=list(histogram.buckets()), sum_value=histogram.sum)


def _resident() -> int:
    """Return the memory in use, in bytes; if /proc is missing, the most that was ever in use."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
