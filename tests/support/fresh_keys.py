"""A hook for schemathesis: no two of its valid requests share an Idempotency-Key.

One that did, with another payload, would be answered 422, and rightly: which requests conflict is not for a schema to
say. The contract's own tests hold what a known key must be answered.
"""

import itertools
from typing import Any

import schemathesis

_NUMBERS = itertools.count()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Number the key of a valid request."""
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if key and case.meta is not None and case.meta.generation.mode.is_positive:
        case.headers["Idempotency-Key"] = f"{key[:200]}.{next(_NUMBERS)}"
