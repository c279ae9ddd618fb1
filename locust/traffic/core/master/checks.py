"""Check what a run came to against a person's bounds, such as `latency.p(99) < 250`.

The grammar is that of k6's thresholds (metric, aggregate, operator, number); metrics are the run's own. Guarded here: a
check of what was never measured fails.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from traffic.core.histogram import Histogram

TIMES, OUTCOMES = ("latency", "service", "late"), ("delivered", "rejected", "in_doubt")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CHECK = re.compile(
    r"(?P<metric>[a-z_]+)(?:\.(?P<how>[a-z]+)(?:\((?P<share>\d+(?:\.\d+)?)\))?)?\s*"
    r"(?P<compare><=|>=|==|!=|<|>)\s*(?P<bound>\d+(?:\.\d+)?)\s*(?P<percent>%)?"
    r"(?:\s*[,;]?\s*abort:\s*(?P<abort>\d+(?:\.\d+)?)\s*s)?"
)
_MS, _WHOLE = 1000.0, 100.0


class CheckError(ValueError):
    """A text that is no check; the error's text is the rule that it breaks."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run has come to so far. Times are in seconds, `rate` is in records a second, over the whole run.

    `rate_error` is by what share the rate differs from the planned one. None: not measured. `counts` are the report's.
    """

    latency: Histogram
    service: Histogram
    late: Histogram
    rate: float | None
    rate_error: float | None
    counts: Mapping[str, int]

    @property
    def settled(self) -> int:
        """How many records have their outcome."""
        return sum(self.counts[name] for name in OUTCOMES)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check as a person wrote it, what was measured for it, and whether that is within the bound.

    `value` is in milliseconds, records, records a second, or a share. Without one the check has not passed.
    """

    check: str
    value: float | None
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Return the result as a status has it."""
        return {"check": self.check, "value": self.value, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class Check:
    """A bound for what is measured of a run; `abort_s`: the run ends once it has failed for so long; None: never."""

    text: str
    metric: str
    how: str
    share: float
    compare: str
    bound: float
    abort_s: float | None

    @classmethod
    def read(cls, text: str) -> "Check":
        """Read a check. CheckError if it is none."""
        found = _CHECK.fullmatch(text.strip())
        if found is None:
            raise CheckError("must be a check such as latency.p(99) < 250, rejected.rate < 1% or rate > 500")
        metric, how = found["metric"], found["how"] or ""
        _check_metric(metric, how, found["share"])
        if found["percent"] and not (how == "rate" or metric == "rate_error"):
            raise CheckError(f"must have no % here: {metric} is no share")
        bound = float(found["bound"]) / (_WHOLE if found["percent"] else 1.0)
        abort = None if found["abort"] is None else float(found["abort"])
        return cls(text.strip(), metric, how, float(found["share"] or 0), found["compare"], bound, abort)

    def result(self, measured: Measured) -> CheckResult:
        """Return how the check stands."""
        value = self._value(measured)
        passed = value is not None and _COMPARE[self.compare](value, self.bound)
        return CheckResult(self.text, None if value is None else round(value, 6), passed)

    def _value(self, measured: Measured) -> float | None:
        if self.metric in TIMES:
            seconds = self._seconds(getattr(measured, self.metric))
            return None if seconds is None else _MS * seconds
        if self.metric == "rate_error":
            return None if measured.rate_error is None else abs(measured.rate_error)
        if self.metric == "rate":
            return measured.rate
        count = measured.counts[self.metric]
        if self.how != "rate":
            return count
        return count / measured.settled if measured.settled else None

    def _seconds(self, times: Histogram) -> float | None:
        named = {"avg": times.mean, "min": times.least, "med": times.quantile(0.5)}
        if self.how == "max":
            return times.most if times.counts else None
        return named[self.how] if self.how in named else times.quantile(self.share / _WHOLE)


def _check_metric(metric: str, how: str, share: str | None) -> None:
    """CheckError if there is no such metric, or it has no such aggregate."""
    if metric in TIMES:
        is_share = how == "p" and share is not None and float(share) <= _WHOLE
        if not is_share and (share is not None or how not in {"avg", "min", "med", "max"}):
            raise CheckError(f"must say which {metric} is meant: {metric}.avg, .min, .med, .max or .p(N), N up to 100")
    elif metric in (*OUTCOMES, "attempts"):
        if share is not None or how not in {"", "count", "rate"}:
            raise CheckError(f"must be {metric}, {metric}.count or {metric}.rate")
    elif metric in ("rate", "rate_error"):
        if how:
            raise CheckError(f"must be {metric} alone, without .{how}")
    else:
        known = ", ".join((*TIMES, "rate", "rate_error", *OUTCOMES, "attempts"))
        raise CheckError(f"must be a check of one of {known}")


def read_checks(lines: str) -> tuple[Check, ...]:
    """Read checks, one on each line; empty lines are none. CheckError if one is none."""
    return tuple(Check.read(line) for line in lines.splitlines() if line.strip())


class CheckWatch:
    """Notes since when checks have failed. Times are seconds on any one clock."""

    def __init__(self) -> None:
        self._failed_since: dict[str, float] = {}

    def expired(self, checks: Iterable[Check], measured: Measured, now: float) -> CheckResult | None:
        """Return a check that has failed for as long as it may, without a break; None if there is none.

        What is not measured yet has not failed yet.
        """
        for check in checks:
            result = check.result(measured)
            if check.abort_s is None or result.passed or result.value is None:
                self._failed_since.pop(check.text, None)
            elif now - self._failed_since.setdefault(check.text, now) >= check.abort_s:
                return result
        return None


def failed_checks(run_status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the checks of a status or report that have not passed; none if it is of a release without checks."""
    return [one for one in run_status.get("checks") or () if not one["passed"]]
