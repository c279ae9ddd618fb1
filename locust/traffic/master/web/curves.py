"""Draw the course of a run as lines for a printable page: its rate, and how long attempts took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from traffic.terminal import plain

# The size of a drawing in its own units; the page stretches it.
WIDTH, HEIGHT = 300, 80
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over the `seconds` of a run, each as the points of an SVG polyline; `most` is the greatest value."""

    title: str
    seconds: str
    most: str
    lines: tuple[str, ...]


def curves_of(timeline: dict[str, Any] | None) -> list[Curve]:
    """Return the curves of a report's timeline; none if it has too few rows, or is of a release without one."""
    rows = [dict(zip(timeline["columns"], row, strict=False)) for row in timeline["rows"]] if timeline else []
    if len(rows) < 3 or rows[-1]["t_s"] <= rows[0]["t_s"]:  # noqa: PLR2004 - two rows have one rate: no curve
        return []
    made = [_curve("Records settled a second", rows, [_rates(rows)], plain.rate)]
    times = [[row.get(name) for row in rows] for name in ("p50_s", "p99_s")]
    if any(value is not None for value in times[1]):
        made.append(_curve("Response times, half and 99 % of the attempts", rows, times, plain.milliseconds))
    return made


def _rates(rows: Sequence[_Row]) -> list[float | None]:
    """Return how many records were settled a second, up to each row; the rows may be a moment apart at the end."""
    settled = [row["delivered"] + row["rejected"] + row["in_doubt"] for row in rows]
    made: list[float | None] = [None]
    for at in range(1, len(rows)):
        before = at - 1 if at < len(rows) - 1 else max(0, at - 2)
        seconds = rows[at]["t_s"] - rows[before]["t_s"]
        made.append((settled[at] - settled[before]) / seconds if seconds > 0 else None)
    return made


def _curve(
    title: str, rows: Sequence[_Row], lines: Sequence[Sequence[float | None]], written: Callable[[float], str]
) -> Curve:
    begin, end = rows[0]["t_s"], rows[-1]["t_s"]
    most = max(value for line in lines for value in line if value is not None)
    across, up = WIDTH / (end - begin), HEIGHT / (most or 1.0)

    def points(line: Sequence[float | None]) -> str:
        known = ((row["t_s"], value) for row, value in zip(rows, line, strict=True) if value is not None)
        return " ".join(f"{(at - begin) * across:.1f},{HEIGHT - value * up:.1f}" for at, value in known)

    return Curve(title, f"{end:g}", written(most), tuple(points(line) for line in lines))
