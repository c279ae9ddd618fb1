"""Hooks for schemathesis, for rules on valid requests that a description cannot express."""

import itertools
from typing import Any

import schemathesis

_NUMBERS = itertools.count()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Make sure that a valid request is one that the stub stores.

    No two requests share an Idempotency-Key: with another payload the second would rightly be answered 422, and a
    schema cannot express which requests conflict. No request asks for a fault, because it would meet one.
    """
    if not case.headers or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if key := case.headers.get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = f"{key[:200]}.{next(_NUMBERS)}"
    case.headers.pop("Stub-Misbehave", None)
