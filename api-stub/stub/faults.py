"""Misbehaviour on request. Rule: what a request meets depends on the seed and its key, never on the order of arrival.

So a run with faults can be repeated, whatever the number of workers. `docs/stub.md` has the words.
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
MAX_WORDS = 1000  # characters of a header
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
WORDS = f"^({_WORD})?( *, *({_WORD})?)*$"
"""All that `read_plan` takes matches this; what it does not say is how far the numbers may go."""


class MisbehaveError(ValueError):
    """Words that name no misbehaviour."""


class Fault(Enum):
    """One way to let a sender down."""

    ERROR = "error"
    HANG = "hang"
    CLOSE = "close"
    RESET = "reset"
    CUT = "cut"


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, whether it comes after the message is stored, the status of an error, and its share of requests."""

    fault: Fault
    after: bool
    status: int | None = None
    share: float = 1.0

    @property
    def name(self) -> str:
        """The word for it in settings and metrics."""
        return f"{self.fault.value}-after" if self.after and self.fault is not Fault.CUT else self.fault.value


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """What one request meets."""

    latency: float = 0.0
    hurt: FaultSpec | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What requests may meet. `latency` is (least, most) seconds, or (median, None) for the long-tailed kind."""

    hurts: tuple[FaultSpec, ...] = ()
    latency: tuple[float, float | None] = (0.0, 0.0)
    retry_after: int | None = None
    attempts: int | None = None

    def fate(self, seed: int, key: str | None, nth: int) -> Draw:
        """Draw what the nth request (from 1) with a key meets."""
        if self.attempts is not None and nth > self.attempts:
            return Draw()
        which, how_long = _draw(seed, key, nth)
        return Draw(latency=self._latency(how_long), hurt=self._hurt(which))

    def _hurt(self, drawn: float) -> FaultSpec | None:
        for hurt in self.hurts:
            drawn -= hurt.share
            if drawn < 0:
                return hurt
        return None

    def _latency(self, drawn: float) -> float:
        least, most = self.latency
        if most is None:
            return min(least * math.exp(_TAIL * NormalDist().inv_cdf(drawn)), MAX_LATENCY)
        return least + drawn * (most - least)


NONE = Plan()


class Counter:
    """Counts the requests of each key, for the keys seen last."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._counts: OrderedDict[str | None, int] = OrderedDict()
        self._remembered = remembered

    def next(self, key: str | None) -> int:
        """Count one more request of a key; 1 for the first."""
        nth = self._counts.pop(key, 0) + 1
        self._counts[key] = nth
        if len(self._counts) > self._remembered:
            self._counts.popitem(last=False)
        return nth


def read_plan(text: str) -> Plan:
    """Read `latency=0.1-0.5, error=503@0.1, ...`. Raises MisbehaveError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["none"]:
        return NONE
    options: dict[str, str] = {}
    hurts = []
    for word in words:
        match = _FAULT.fullmatch(word)
        if match is None:
            raise MisbehaveError(f"{word!r} is not of the form name, name=value, name@share or name=value@share")
        if match["name"] in ("latency", "retry-after", "attempts") and match["share"] is None:
            options[match["name"]] = match["value"] or ""
        else:
            hurts.append(_read_hurt(word, match["name"], match["value"], match["share"]))
    return _plan(hurts, options)


def _plan(hurts: Sequence[FaultSpec], options: dict[str, str]) -> Plan:
    if math.fsum(hurt.share for hurt in hurts) > 1 + 1e-9:
        raise MisbehaveError("the shares add up to more than 1")
    return Plan(
        hurts=tuple(hurts),
        latency=_read_latency(options["latency"]) if "latency" in options else (0.0, 0.0),
        retry_after=_read_whole("retry-after", options, 0),
        attempts=_read_whole("attempts", options, 1),
    )


def _read_hurt(word: str, name: str, value: str | None, share: str | None) -> FaultSpec:
    fault = {f.value: f for f in Fault}.get(name.removesuffix("-after"))
    if fault is None or name == "cut-after":
        raise MisbehaveError(f"{name!r} is no misbehaviour: latency, error, hang, close, reset, cut, ...")
    status = None
    if fault is Fault.ERROR:
        if not value or not re.fullmatch("[45][0-9][0-9]", value):
            raise MisbehaveError(f"{word!r}: an error needs a status from 400 to 599, as in error=503")
        status = int(value)
    elif value is not None:
        raise MisbehaveError(f"{word!r}: {name} takes no value")
    after = name.endswith("-after") or fault is Fault.CUT
    return FaultSpec(fault=fault, after=after, status=status, share=_read_share(word, share))


def _read_share(word: str, share: str | None) -> float:
    if share is None:
        return 1.0
    value = _read_number(word, share)
    if value > 1:
        raise MisbehaveError(f"{word!r}: a share is from 0 to 1")
    return value


def _read_latency(value: str) -> tuple[float, float | None]:
    if value.startswith("long:"):
        return _read_number("latency", value.removeprefix("long:")), None
    least, dash, most = value.partition("-")
    first = _read_number("latency", least)
    last = _read_number("latency", most) if dash else first
    if not first <= last <= MAX_LATENCY:
        raise MisbehaveError(f"latency={value}: give seconds up to {MAX_LATENCY:g}, the least first")
    return first, last


def _read_number(word: str, text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise MisbehaveError(f"{word!r}: {text!r} is no number")
    return float(text)


def _read_whole(name: str, options: dict[str, str], least: int) -> int | None:
    if name not in options:
        return None
    value = options[name]
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) < least:
        raise MisbehaveError(f"{name} must be a whole number from {least}, got {value!r}")
    return int(value)


def _draw(seed: int, key: str | None, nth: int) -> tuple[float, float]:
    """Two numbers between 0 and 1, neither of them 0 nor 1."""
    named = "" if key is None else f"={key}"
    digest = hashlib.blake2b(f"{seed} {nth} {named}".encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:6]), int.from_bytes(digest[6:12])
    return (first + 0.5) / 2**48, (second + 0.5) / 2**48
