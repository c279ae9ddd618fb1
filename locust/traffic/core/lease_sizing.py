"""How large leases are: how many records a worker asks for, and how many of them one lease carries.

A worker's feed should hold what its users take within a second, and never less than two records for each user, so that
nobody waits for the master. It asks for more when it has run down to half of that, so a lease is worth its message.
"""

import numpy as np
import numpy.typing as npt

from traffic.core.lease_terms import LeaseTerms

# The feed should never hold fewer records than this for each user.
RECORDS_PER_USER = 2


def feed_target(terms: LeaseTerms, policy: str, *, users: int, records_per_s: int) -> int:
    """Return how many records a worker's feed should hold: `window_records` of the terms at most.

    `users` is how many would take a record now; `records_per_s` how many they have been taking in a second. Under
    at-most-once it is one for each user, because what waits in a lost worker's feed is in doubt.
    """
    most = users if policy == "at-most-once" else terms.window_records
    return min(most, max(RECORDS_PER_USER * users, records_per_s))


def low_watermark(target: int) -> int:
    """Return how many records wait, of a target of so many, when it is time to ask for more."""
    return target // 2


def records_to_ask_for(target: int, waiting: int) -> int:
    """Return how many records to ask for when `waiting` are in the feed: none above the low watermark."""
    return target - waiting if waiting <= low_watermark(target) else 0


def most_records(terms: LeaseTerms, asked_for: int) -> int:
    """Return how many records one lease carries at most, whatever their size, to a worker that asked for so many."""
    return min(asked_for, terms.lease_records)


def records_that_fit(terms: LeaseTerms, lengths: npt.NDArray[np.integer]) -> int:
    """Return how many of the records, from the first, one lease carries: `lease_bytes` of the terms, but at least one.

    `lengths` are the records' lengths in bytes, in their order; there is at least one.
    """
    total = np.cumsum(lengths, dtype=np.uint64)
    return max(1, int(np.searchsorted(total, terms.lease_bytes, side="right")))
