"""Say in a status, and in the report, how well a run keeps its pace."""

from typing import Any

from traffic.core.histogram import Histogram
from traffic.core.master.pacer import Pacer
from traffic.core.pace.measures import BOUNDS_S, LateCause, PaceMeasures

_BOUND_NAMES = dict(zip(BOUNDS_S, ("over_10ms", "over_100ms", "over_1s"), strict=True))


def pace_status(pacer: Pacer, now: float, *, whole: bool) -> dict[str, Any]:
    """Return the members of `pace` that change while a run goes; times in seconds, shares without a unit.

    `whole`: this master has led the run from its beginning, so that its rate is known.
    """
    total, clock = pacer.monitor.total(), pacer.clock
    rate, error = rates(pacer, total) if whole else (None, None)
    late: dict[str, Any] = {name: total.over[at] for at, name in enumerate(_BOUND_NAMES.values())}
    late |= _times(total.late)
    late["because"] = {cause.name.lower(): total.because[cause] for cause in LateCause}
    return {
        "second": round(clock.read(now), 3),
        "running": clock.running,
        "planned_s": pacer.planned_s,
        "sent_s": round(total.second, 3),
        "rate": rate,
        "rate_error": error,
        "late": late,
        "service": _times(total.service),
        "users_busy": pacer.monitor.users_busy(total),
        "short_of_users": pacer.monitor.short,
        "frozen": [
            {"from": round(one.at, 3), "s": round(one.seconds, 3), "reason": one.reason}
            for one in clock.stops_until(now)
        ],
    }


def _times(histogram: Histogram) -> dict[str, float | None]:
    p50, p99 = histogram.quantile(0.5), histogram.quantile(0.99)
    most = histogram.most if histogram.total else None
    return {name: None if at is None else round(at, 6) for name, at in (("p50", p50), ("p99", p99), ("max", most))}


def rates(pacer: Pacer, total: PaceMeasures) -> tuple[float | None, float | None]:
    """Return how many records a second were sent, and by what share that differs from the plan; None before that."""
    schedule, seconds = pacer.schedule, total.second
    due = schedule.before(seconds + 1e-6)  # the one that is due at this very moment included
    planned_s = min(seconds, pacer.planned_s) if due == schedule.records else seconds
    if seconds <= 0 or planned_s <= 0 or due == 0:
        return None, None
    rate, planned = total.sent / seconds, due / planned_s
    return round(rate, 3), round(rate / planned - 1, 5)
