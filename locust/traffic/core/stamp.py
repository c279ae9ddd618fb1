"""The time that is put into a record on its way: when it was first handed out, the same at all its attempts.

Guarded here: a record under one key has one body. A server that keeps keys answers 422 to the same key with another
body (draft-ietf-httpapi-idempotency-key-header-07, 2.7), so the time must not depend on the attempt, nor on the worker.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

FORMS = ("iso", "ms")


@dataclass(frozen=True, slots=True)
class Stamp:
    """`member` is its name, `form` how the time stands there: `iso` (UTC, milliseconds), or `ms` since 1970.

    ValueError, as a rule that is broken, if it is none.
    """

    member: str
    form: str = "iso"

    def __post_init__(self) -> None:
        """Check it."""
        if not self.member or self.form not in FORMS:
            raise ValueError(f"must be a member's name, perhaps with = and one of {', '.join(FORMS)} behind it")

    @property
    def text(self) -> str:
        """The stamp as the option has it."""
        return f"{self.member}={self.form}"

    def added(self, record: bytes, at_ms: int) -> bytes:
        """Return a record with the time, `at_ms` in milliseconds since 1970, as the last member of its body.

        The record ends with the closing bracket of an object, which `dataset/stamp_check` has made sure of.
        """
        value = str(at_ms) if self.form == "ms" else f'"{_iso(at_ms)}"'
        before = record[:-1].rstrip(b" \t\r\n")
        comma = b"" if before.endswith(b"{") else b","
        return b"%b%b%b:%b}" % (before, comma, json.dumps(self.member).encode(), value.encode())


def _iso(at_ms: int) -> str:
    whole, thousandths = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{thousandths:03}Z"
