"""What a user does with a worker's feed, one record at a time."""

from traffic.core.worker.feed import Feed, Record


def take(feed: Feed, now: float) -> Record | None:
    """Return a record to send now; None if there is none."""
    taken = feed.take_batch(now, 1)
    return taken[0] if taken else None


def next_retry(feed: Feed) -> float:
    """Return when the first of the records that wait for another attempt may be sent."""
    return feed._retries.heap[0][0]
