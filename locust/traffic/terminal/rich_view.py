"""Render the live line and the delivery report for a terminal: in colour, and as wide as the terminal.

The words are those of `plain`, which writes for files and pipes. Import this module only if there is a terminal: rich
is slow to load. There are no colours if NO_COLOR is set.
"""

import io
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from traffic.core.master.run_state import RunState
from traffic.core.master.verdict import verdict
from traffic.core.master.worker_table import REPORT_FIGURES, WORKER, Column
from traffic.core.text import count_records, printable
from traffic.terminal import plain

GAP = "  "
MIN_BAR, MAX_BAR = 8, 30
# A narrower terminal shows figures with fewer words.
WIDE = 60
MINUTE_S, HOUR_S = 60, 3600
STATE_STYLES = {RunState.RUNNING: "bold green", RunState.READING: "bold cyan"}
_ANY_WIDTH = 10_000
GOOD, BAD, FAINT = "green", "bold red", "dim"
VERDICT_STYLES = {"good": "bold green", "warning": "bold yellow", "bad": "bold red"}


class _Nowhere(io.StringIO):
    """What a console writes to whose text is only wanted: rich writes to a terminal even where it captures."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._of_terminal = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the terminal's."""
        return self._of_terminal


class TerminalRenderer:
    """Renders text for the terminal that `stream` writes to, escape codes included. Writes nothing there."""

    def __init__(self, stream: TextIO) -> None:
        nowhere = _Nowhere(stream.encoding)
        self._console = Console(file=nowhere, force_terminal=True, highlight=False, markup=False, emoji=False)

    def live_line(self, status: dict[str, Any], width: int) -> str:
        """Return the live line, at most `width` columns wide. `status` has at least `state` and `reason`."""
        return self._render(live_line(status, width, "━─" if self._console.encoding.startswith("utf") else "=-"))

    def report(self, report: dict[str, Any]) -> str:
        """Return the delivery report as several lines, without the end of the last."""
        table = _workers(report["workers"])
        widest = self._console.options.update(width=_ANY_WIDTH)
        fits = self._console.measure(table, options=widest).maximum <= self._console.width
        return self._render(_report(report, table if fits else Group(*_without_table(report["workers"]))))

    def _render(self, content: RenderableType) -> str:
        with self._console.capture() as captured:
            self._console.print(content)
        return captured.get().removesuffix("\n")


def live_line(status: dict[str, Any], width: int, strokes: str = "━─") -> Text:
    """Return the live line. Parts for which there is no room are left out, the least important first."""
    state = status["state"]
    line = Text(state, STATE_STYLES.get(state, "bold yellow"))
    if (counts := status.get("counts")) is not None:
        _add_counts(line, status, counts, width, strokes)
    if status["reason"]:
        line.append(GAP + printable(status["reason"]))
    line.truncate(width, overflow="ellipsis")
    return line


def _add_counts(line: Text, status: dict[str, Any], counts: dict[str, int], width: int, strokes: str) -> None:
    settled = plain.settled(counts)
    share = Text(f"{100 * settled // counts['records']:3}%", "bold")
    failed = counts["rejected"] + counts["in_doubt"]
    left = width - line.cell_len - len(GAP) - share.cell_len
    candidates = [Text(f"{failed} not delivered", BAD) if failed else Text(), _progress(settled, counts, width)]
    if not status["reason"]:
        candidates += [Text(plain.rate(status["rate"])), Text(_to_go(status["eta_s"]), FAINT)]
    chosen = []
    for piece in candidates:
        if piece and left >= len(GAP) + piece.cell_len:
            chosen.append(piece)
            left -= len(GAP) + piece.cell_len
    if not status["reason"] and (room := min(left - len(GAP), MAX_BAR)) >= MIN_BAR:
        chosen.insert(0, _bar(settled / counts["records"], room, strokes))
    for piece in (share, *chosen):
        line.append(GAP).append_text(piece)


def _progress(settled: int, counts: dict[str, int], width: int) -> Text:
    total = count_records(counts["records"]) if width >= WIDE else counts["records"]
    return Text(f"{settled} of {total}")


def _bar(share: float, width: int, strokes: str) -> Text:
    full = int(share * width)
    return Text.assemble((strokes[0] * full, GOOD), (strokes[1] * (width - full), FAINT))


def _to_go(eta_s: float | None) -> str:
    if eta_s is None:
        return ""
    seconds = round(eta_s)
    if seconds < MINUTE_S:
        return f"{seconds} s to go"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S} min {seconds % MINUTE_S:02} s to go"
    return f"{seconds // HOUR_S} h {seconds % HOUR_S // MINUTE_S:02} min to go"


def _report(report: dict[str, Any], workers: RenderableType) -> RenderableType:
    lines = plain.report_table({**report, "workers": []}).splitlines()
    head, _, *details = lines[:-2]  # the last two are the head of an empty table, and the audit's line
    title = Text(head, VERDICT_STYLES[verdict(report)["level"]])
    audit = report["audit"]
    audited = Text(lines[-1].strip(), BAD if audit and not audit["agrees"] else "")
    shown = [_indented(Text(fact.strip())) for fact in details]
    return Group(title, _indented(_sum(report["counts"])), *shown, workers, _indented(audited))


def _indented(text: Text, by: int = len(GAP)) -> RenderableType:
    """Indent every line of a text that may be wrapped."""
    return Padding(text, (0, 0, 0, by), expand=False)


def _sum(counts: dict[str, int]) -> Text:
    """Return the line `N = delivered + rejected + in doubt + unsent`."""
    line = Text.assemble((count_records(counts["records"]), "bold"), " = ", (f"{counts['delivered']} delivered", GOOD))
    for name in ("rejected", "in_doubt", "unsent"):
        line.append(" + ").append(f"{counts[name]} {name.replace('_', ' ')}", BAD if counts[name] else "")
    return line


def _workers(workers: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2), header_style="bold")
    table.add_column(GAP + WORKER.heading, no_wrap=True)
    for column in REPORT_FIGURES:
        table.add_column(column.heading, justify="right" if column.to_right else "left", no_wrap=True)
    for row in workers:
        table.add_row(Text(GAP + WORKER.write(row)), *(_figure(column, row) for column in REPORT_FIGURES))
    return table


def _figure(column: Column, row: dict[str, Any]) -> Text:
    style = {"good": GOOD, "bad": BAD if row.get(column.name) else ""}.get(column.outcome, "")
    return Text(column.write(row), style)


def _without_table(workers: list[dict[str, Any]]) -> Iterable[RenderableType]:
    """Return each worker's figures under its id, for a terminal that is too narrow for a table."""
    for row in workers:
        shares = [Text.assemble(f"{one.heading} ", _figure(one, row)) for one in REPORT_FIGURES if not one.outcome]
        outcomes = [Text.assemble(_figure(one, row), f" {one.heading}") for one in REPORT_FIGURES if one.outcome]
        yield _indented(Text(WORKER.write(row)))
        yield _indented(Text(", ").join(shares), 4)
        yield _indented(Text(", ").join(outcomes), 4)
