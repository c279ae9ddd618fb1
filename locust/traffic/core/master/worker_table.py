"""Define the table of workers: a worker's row in a report, and the columns that every view draws from it.

A column is added here, and counted where it arises. The plain text, the terminal, the CSV, the page to print and the
Traffic page draw whatever columns this table has. A row that a view reads may be of an earlier release: a member that
it lacks is written as nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from traffic.core.master.worker_share import WorkerShare


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker in a status or a report; the figures are numbers of records.

    `slice` is what it was dealt, `moved` what it took from others or (negative) gave to them. `trouble` says why it
    gets nothing done, or what it lacks.
    """

    id: str
    slice: int = 0
    moved: int = 0
    leased: int = 0
    delivered: int = 0
    rejected: int = 0
    in_doubt: int = 0
    state: str = "gone"
    trouble: str = ""

    @classmethod
    def of(cls, worker: str, share: WorkerShare, *, leased: int, state: str, trouble: str) -> "WorkerRow":
        """Return the row of a worker that has a share in the run."""
        return cls(
            id=worker,
            slice=share.slice,
            moved=share.moved,
            leased=leased,
            delivered=share.delivered,
            rejected=share.rejected,
            in_doubt=share.in_doubt,
            state=state,
            trouble=trouble,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the row as a report has it."""
        return {name: getattr(self, name) for name in _MEMBERS}


_MEMBERS = tuple(field.name for field in fields(WorkerRow))


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the member `name` of a row under `heading`.

    `kind` says how a value is written: a text stands to the left, a count and a signed change to the right. `outcome`
    marks what became of records, and whether that is good or bad. `in_report` is false for what only a live run has.
    """

    name: str
    heading: str
    kind: Literal["text", "count", "change"] = "count"
    outcome: Literal["", "good", "bad"] = ""
    in_report: bool = True

    @property
    def to_right(self) -> bool:
        """Whether values stand to the right."""
        return self.kind != "text"

    def write(self, row: Mapping[str, Any]) -> str:
        """Return the row's value as text; empty if the row is of a release that had no such column."""
        value = row.get(self.name)
        if value is None:
            return ""
        return f"{value:+}" if self.kind == "change" else str(value)

    def to_json(self) -> dict[str, str]:
        """Return what the Traffic page needs to draw the column."""
        return {"name": self.name, "heading": self.heading, "kind": self.kind}


WORKER = Column("id", "worker", "text")
FIGURES = (
    Column("slice", "slice"),
    Column("moved", "moved", "change"),
    Column("leased", "leased", in_report=False),
    Column("delivered", "delivered", outcome="good"),
    Column("rejected", "rejected", outcome="bad"),
    Column("in_doubt", "in doubt", outcome="bad"),
)
REPORT_FIGURES = tuple(column for column in FIGURES if column.in_report)
