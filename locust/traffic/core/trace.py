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


def new_span() -> int:
    """Return the id of an attempt's span: 64 bits, never all 0."""
    return random.getrandbits(64) | 1


def traceparent(key: str, span: int) -> str:
    """Return the header of an attempt: the record's trace, the attempt's span, and that it is to be recorded."""
    return f"00-{trace_id(key)}-{span:016x}-01"
