"""Misbehaviour on request. Rule: what a request meets depends on the seed and its key, never on the order of arrival.

So a run with faults can be repeated, with any number of workers. `docs/stub.md` describes the faults.
"""

import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from statistics import NormalDist

import msgspec

MAX_LATENCY = 60.0  # seconds
MAX_HANG = 300.0  # seconds
MAX_PLAN_LENGTH = 1000  # characters of a header
REMEMBERED = 200_000  # keys whose requests are counted
_TAIL = math.log(10) / NormalDist().inv_cdf(0.99)  # so that 1 % lies above ten times the median
_FAULT = re.compile(r"(?P<name>[a-z-]+)(=(?P<value>[^@]+))?(@(?P<share>[0-9.]+))?")


_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_SHARE = f"(@{_NUMBER})?"
_WORD = "|".join(
    (
        "none",
        f"latency=(long:{_NUMBER}|{_NUMBER}(-{_NUMBER})?)",
        f"error(-after)?=[45][0-9][0-9]{_SHARE}",
        f"((hang|close|reset)(-after)?|cut){_SHARE}",
        "(retry-after|attempts)=[0-9]{1,9}",
    )
)
PLAN_PATTERN = f"^({_WORD})?( *, *({_WORD})?)*$"
"""Matches every text that `read_plan` accepts. The bounds of the numbers are not in it."""


class FaultPlanError(ValueError):
    """A text that is no fault plan."""


class FaultKind(Enum):
    """How a request is answered wrongly, or not at all."""

    ERROR = "error"
    HANG = "hang"
    CLOSE = "close"
    RESET = "reset"
    CUT = "cut"


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A fault: its kind, whether it comes after the message is stored, its share of requests, and an error's answer."""

    kind: FaultKind
    after: bool
    share: float = 1.0
    status: int | None = None
    retry_after: int | None = None

    @property
    def name(self) -> str:
        """The fault's name in settings and metrics."""
        return f"{self.kind.value}-after" if self.after and self.kind is not FaultKind.CUT else self.kind.value


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """What one request meets: a wait, then a fault or none."""

    latency: float = 0.0
    fault: FaultSpec | None = None


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What requests may meet. `latency` is (least, most) seconds, or (median, None) for the long-tailed kind.

    With `attempts`, only so many requests of each key meet anything.
    """

    faults: tuple[FaultSpec, ...] = ()
    latency: tuple[float, float | None] = (0.0, 0.0)
    attempts: int | None = None

    def draw(self, seed: int, key: str | None, nth: int) -> Draw:
        """Draw what the nth request (from 1) with this key meets."""
        if self.attempts is not None and nth > self.attempts:
            return Draw()
        first, second = _two_fractions(seed, key, nth)
        return Draw(latency=self._draw_latency(second), fault=self._draw_fault(first))

    def _draw_fault(self, fraction: float) -> FaultSpec | None:
        for fault in self.faults:
            fraction -= fault.share
            if fraction < 0:
                return fault
        return None

    def _draw_latency(self, fraction: float) -> float:
        least, most = self.latency
        if most is None:
            return min(least * math.exp(_TAIL * NormalDist().inv_cdf(fraction)), MAX_LATENCY)
        return least + fraction * (most - least)


NO_FAULTS = FaultPlan()


class RequestCounter:
    """Counts the requests of each key, for the latest `remembered` keys."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._counts: OrderedDict[str | None, int] = OrderedDict()
        self._remembered = remembered

    def next(self, key: str | None) -> int:
        """Count a request of this key. Returns its number, from 1."""
        nth = self._counts.pop(key, 0) + 1
        self._counts[key] = nth
        if len(self._counts) > self._remembered:
            self._counts.popitem(last=False)
        return nth


def read_plan(text: str) -> FaultPlan:
    """Read `latency=0.1-0.5, error=503@0.1, ...`. Raises FaultPlanError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["none"]:
        return NO_FAULTS
    options: dict[str, str] = {}
    faults = []
    for word in words:
        match = _FAULT.fullmatch(word)
        if match is None:
            raise FaultPlanError(f"{word!r} is not of the form name, name=value, name@share or name=value@share")
        if match["name"] in ("latency", "retry-after", "attempts") and match["share"] is None:
            options[match["name"]] = match["value"] or ""
        else:
            faults.append(_read_fault(word, match["name"], match["value"], match["share"]))
    return _plan(faults, options)


def _plan(faults: Sequence[FaultSpec], options: dict[str, str]) -> FaultPlan:
    if math.fsum(fault.share for fault in faults) > 1 + 1e-9:
        raise FaultPlanError("the shares add up to more than 1")
    retry_after = _read_whole("retry-after", options, 0)
    return FaultPlan(
        faults=tuple(msgspec.structs.replace(fault, retry_after=retry_after) for fault in faults),
        latency=_read_latency(options["latency"]) if "latency" in options else (0.0, 0.0),
        attempts=_read_whole("attempts", options, 1),
    )


def _read_fault(word: str, name: str, value: str | None, share: str | None) -> FaultSpec:
    kind = {f.value: f for f in FaultKind}.get(name.removesuffix("-after"))
    if kind is None or name == "cut-after":
        raise FaultPlanError(f"{name!r} is no misbehaviour: latency, error, hang, close, reset, cut, ...")
    status = None
    if kind is FaultKind.ERROR:
        if not value or not re.fullmatch("[45][0-9][0-9]", value):
            raise FaultPlanError(f"{word!r}: an error needs a status from 400 to 599, as in error=503")
        status = int(value)
    elif value is not None:
        raise FaultPlanError(f"{word!r}: {name} takes no value")
    after = name.endswith("-after") or kind is FaultKind.CUT
    return FaultSpec(kind=kind, after=after, status=status, share=_read_share(word, share))


def _read_share(word: str, share: str | None) -> float:
    if share is None:
        return 1.0
    value = _read_number(word, share)
    if value > 1:
        raise FaultPlanError(f"{word!r}: a share is from 0 to 1")
    return value


def _read_latency(value: str) -> tuple[float, float | None]:
    if value.startswith("long:"):
        return _read_number("latency", value.removeprefix("long:")), None
    least, dash, most = value.partition("-")
    first = _read_number("latency", least)
    last = _read_number("latency", most) if dash else first
    if not first <= last <= MAX_LATENCY:
        raise FaultPlanError(f"latency={value}: give seconds up to {MAX_LATENCY:g}, the least first")
    return first, last


def _read_number(word: str, text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise FaultPlanError(f"{word!r}: {text!r} is no number")
    return float(text)


def _read_whole(name: str, options: dict[str, str], least: int) -> int | None:
    if name not in options:
        return None
    value = options[name]
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) < least:
        raise FaultPlanError(f"{name} must be a whole number from {least}, got {value!r}")
    return int(value)


def _two_fractions(seed: int, key: str | None, nth: int) -> tuple[float, float]:
    """Return two fractions between 0 and 1, never 0 or 1 themselves."""
    key_part = "" if key is None else f"={key}"
    digest = hashlib.blake2b(f"{seed} {nth} {key_part}".encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:6]), int.from_bytes(digest[6:12])
    return (first + 0.5) / 2**48, (second + 0.5) / 2**48
