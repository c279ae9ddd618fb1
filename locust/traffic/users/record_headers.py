"""The headers of the request that delivers a record, whichever kind of user sends it."""

from traffic.core.worker.record import key_of

KEY = "Idempotency-Key"
# What a class's `default_headers` may replace.
REPLACEABLE = frozenset({"content-type"})


def record_headers(run: str, worker: str, index: int | str) -> dict[str, str]:
    """Return the headers by name; `run` and `worker` by their ids.

    The key comes last: with "" for the record's index, the index can be added behind the headers' bytes.
    """
    return {
        "Content-Type": "application/json",
        "Traffic-Worker": worker,
        KEY: key_of(run, index),
    }
