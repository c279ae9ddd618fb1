"""Read rates, durations and profiles as people write them: `500/s`, `10m`, `line(0,500,1m) const(500,10m)`.

The words of profiles are those of Yandex.Tank, Pandora and JMeter's Throughput Shaping Timer.
"""

import re

from traffic.core.pace.profile import Piece, Profile
from traffic.settings.readers import BadValueError

MOST_RATE = 1_000_000.0
MOST_SPEED = 1_000_000.0
LONGEST_S = 366 * 86_400.0
MOST_PIECES = 10_000
# How far a number of steps may be from a whole one: decimals are not exact.
_ROUNDED = 1e-6
_UNITS_S = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_RATE = re.compile(rf"({_NUMBER})(?:/([smhd]))?")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|[smhd]))+|{_NUMBER}")
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|[smhd])?")
_PIECE = re.compile(r"[\s,]*([a-z]+)\s*\(([^()]*)\)[\s,]*")

RATES = "such as 500/s, 30/m or 1000/h"
DURATIONS = "such as 90s, 10m or 1h30m"
_PROFILE = "line(FROM,TO,DURATION), const(RATE,DURATION) and step(FROM,TO,BY,DURATION)"
# How many values each piece has.
_VALUES = {"line": 3, "const": 2, "step": 4}


def duration(text: str) -> float:
    """Read a duration in seconds: 90, 90s, 10m, 1h30m, 1.5h, 250ms, 2d."""
    if (seconds := _duration(text)) is None:
        raise BadValueError(f"must be a duration {DURATIONS}, more than 0 and {LONGEST_S / 86_400:g} days at most")
    return seconds


def profile(text: str) -> Profile:
    """Read one rate, which holds until the records are used up, or the pieces of a profile."""
    if "(" in text:
        return Profile(_pieces(text))
    if not (level := _rate(text)):
        raise BadValueError(
            f"must be a rate {RATES}, above 0 and {MOST_RATE:.0f}/s at most, or a profile of {_PROFILE}"
        )
    return Profile.level(level)


def speed(text: str) -> float:
    """Read how many times as fast: 2, 0.5, 2x, 200%."""
    match = re.fullmatch(rf"({_NUMBER})(x|%)?", text.strip())
    value = float(match[1]) / (100 if match[2] == "%" else 1) if match else 0.0
    if not 0 < value <= MOST_SPEED:
        raise BadValueError(
            f"must be how many times as fast, such as 2, 0.5 or 200%, above 0 and {MOST_SPEED:g} at most"
        )
    return value


def rate(text: str) -> str:
    """Check a rate or a profile; return it as it is written."""
    profile(text)
    return text


def _rate(text: str) -> float | None:
    """Return a rate in records a second, which may be 0; None if the text is no rate."""
    match = _RATE.fullmatch(text.strip())
    value = float(match[1]) / _UNITS_S[match[2] or ""] if match else MOST_RATE + 1
    return value if value <= MOST_RATE else None


def _duration(text: str) -> float | None:
    text = text.strip()
    if not _DURATION.fullmatch(text):
        return None
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))
    return seconds if 0 < seconds <= LONGEST_S else None


def _pieces(text: str) -> list[Piece]:
    made: list[Piece] = []
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None or match[1] not in _VALUES:
            raise BadValueError(f"must be a profile of {_PROFILE}, and has {text[at:].strip()[:40]!r}")
        made += _read_piece(match[1], match[2].split(","), match[0].strip(" ,"))
        if len(made) > MOST_PIECES:
            raise BadValueError(f"must have {MOST_PIECES} pieces at most")
        at = match.end()
    return made


def _read_piece(word: str, values: list[str], text: str) -> list[Piece]:
    if len(values) != _VALUES[word]:
        raise BadValueError(f"must have {_VALUES[word]} values in {word}, and has {text}")
    rates, seconds = [_rate(value) for value in values[:-1]], _duration(values[-1])
    if seconds is None:
        raise BadValueError(f"must have a duration {DURATIONS} as the last value of {word}, and has {text}")
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        raise BadValueError(f"must have rates {RATES} in {word}, and has {text}")
    if word == "step":
        return [Piece(level, level, seconds) for level in _levels(known, text)]
    return [Piece(known[0], known[-1], seconds)]


def _levels(values: list[float], text: str) -> list[float]:
    """Return the rates from one to another in equal steps, both ends included: `values` are the two and the step."""
    begin, end, by = values
    steps = abs(end - begin) / by if by else MOST_PIECES
    if steps >= MOST_PIECES or abs(steps - round(steps)) > _ROUNDED:
        raise BadValueError(f"must come from FROM to TO in equal steps, {MOST_PIECES - 1} at most, and has {text}")
    count = round(steps)
    return [begin + (end - begin) * nth / max(1, count) for nth in range(count + 1)]
