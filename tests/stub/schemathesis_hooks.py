"""Hooks for schemathesis: what a description cannot say of its valid requests."""

import itertools
from typing import Any

import schemathesis

_NUMBERS = itertools.count()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Let a valid request be one that is stored.

    No two share an Idempotency-Key: one that did, with another payload, would be answered 422, and rightly; which
    requests conflict is not for a schema to say. None asks for misbehaviour: it would get it.
    """
    if not case.headers or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if key := case.headers.get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = f"{key[:200]}.{next(_NUMBERS)}"
    case.headers.pop("Stub-Misbehave", None)
