"""The trace that a record's requests belong to (W3C Trace Context, level 1), if the run has them traced.

The trace id follows from the record's key: so every attempt of a record is in one trace, on whichever worker, and a
dead letter's trace is known without being kept.
"""

import hashlib
import random

HEADER = "traceparent"
# What belongs to the trace that a request was recorded in, and not to the one that it is sent in.
OF_A_TRACE = frozenset({HEADER, "tracestate"})


def trace_id(key: str) -> str:
    """Return a record's trace id: 32 hexadecimal digits, never all 0."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def traceparent(key: str) -> str:
    """Return the header of an attempt: the record's trace, a span of its own, and that it is to be recorded."""
    span = random.getrandbits(64) | 1
    return f"00-{trace_id(key)}-{span:016x}-01"
