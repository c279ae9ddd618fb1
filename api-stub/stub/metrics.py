"""What the stub counts, as Prometheus reads it. Rule: counting costs a request about a microsecond."""

import resource
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Histogram:
    """Counts values by upper bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        """Write it as Prometheus reads it."""
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.9g}"
        yield f"{name}_count {total}"


class Metrics:
    """All that one stub process has counted since its start."""

    def __init__(self) -> None:
        self.posts: Counter[int] = Counter()  # by the status that answered
        self.misbehaved: Counter[str] = Counter()  # by the fault
        self.replayed = 0
        self.post_seconds = Histogram(_SECONDS)
        self.write_seconds = Histogram(_SECONDS)
        self.batch_messages = Histogram(_MESSAGES)

    def text(self, waiting: int, store_up: bool) -> str:
        """Write everything."""
        return "\n".join(self._lines(waiting, store_up)) + "\n"

    def _lines(self, waiting: int, store_up: bool) -> Iterator[str]:
        yield from _head("stub_posts_total", "counter", "POSTs answered, by status; 0 where none was sent.")
        yield from (f'stub_posts_total{{status="{s}"}} {n}' for s, n in sorted(self.posts.items()))
        yield from _head("stub_replayed_total", "counter", "POSTs answered with the first answer of their key.")
        yield f"stub_replayed_total {self.replayed}"
        yield from _head("stub_misbehaved_total", "counter", "POSTs hurt on request.")
        yield from (f'stub_misbehaved_total{{fault="{f}"}} {n}' for f, n in sorted(self.misbehaved.items()))
        yield from _head("stub_post_seconds", "histogram", "From a POST's head to its answer.")
        yield from self.post_seconds.lines("stub_post_seconds")
        yield from _head("stub_write_seconds", "histogram", "One durable write of a batch.")
        yield from self.write_seconds.lines("stub_write_seconds")
        yield from _head("stub_batch_messages", "histogram", "Messages written together.")
        yield from self.batch_messages.lines("stub_batch_messages")
        yield from _head("stub_waiting", "gauge", "Messages that wait to be written.")
        yield f"stub_waiting {waiting}"
        yield from _head("stub_store_up", "gauge", "1 if the store is open and its last write succeeded.")
        yield f"stub_store_up {int(store_up)}"
        yield from _head("process_resident_memory_bytes", "gauge", "Memory in use.")
        yield f"process_resident_memory_bytes {_resident()}"


def _head(name: str, kind: str, help_text: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"


def _resident() -> int:
    """Return the memory in use, in bytes; where /proc is missing, the most that ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
