"""Record how a run's counts changed over time, in a bounded number of rows.

Guarded here: there are never more than `MOST` rows; the first and the last sample are among them; time and settled
counts never fall from one row to the next. When the rows are full, every other one is dropped and samples are kept
half as often. `generation` then increases, so that a reader with a copy knows to fetch all rows again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MOST = 600
STEP_S = 1.0
# So many rows are in a report, which is read as a whole: enough for a curve.
IN_REPORT = 150
COLUMNS = (
    *("t_s", "delivered", "rejected", "in_doubt", "leased", "pending", "attempts", "due", "sent"),
    *("p50_s", "p99_s"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The counts at a moment, when masters have led the run for `t_s` seconds: the time between two does not count.

    In a paced run, `due` counts the records that are due by then, and `sent` those that workers have begun to send;
    otherwise both are 0.

    `p50_s` and `p99_s` are response times: those that 50 and 99 of 100 attempts did not exceed of which the master has
    heard since the sample before; None if there were none. If that sample is not kept, they still are of that time.
    """

    t_s: float
    delivered: int
    rejected: int
    in_doubt: int
    leased: int
    pending: int
    attempts: int
    due: int = 0
    sent: int = 0
    p50_s: float | None = None
    p99_s: float | None = None

    @property
    def row(self) -> list[float | int | None]:
        """The values in the order of `COLUMNS`, the time to a tenth of a second."""
        counts = (self.delivered, self.rejected, self.in_doubt, self.leased, self.pending, self.attempts)
        times = (None if at is None else round(at, 6) for at in (self.p50_s, self.p99_s))
        return [round(self.t_s, 1), *counts, self.due, self.sent, *times]


class Timeline:
    """The samples that are kept, `step_s` apart. `generation`, at first as given, counts how often that was doubled.

    Another timeline of the same run, after a resumption, begins with a greater generation, and with the `former` rows.
    """

    def __init__(self, generation: int = 0, most: int = MOST, former: Iterable[Sample] = ()) -> None:
        self.rows: list[Sample] = []
        self.step_s, self.generation = STEP_S, generation
        self._most = most
        for sample in former:
            self.note(sample)

    @property
    def latest_s(self) -> float:
        """The time of the latest sample; 0 if there is none."""
        return self.rows[-1].t_s if self.rows else 0.0

    def due(self, t_s: float) -> bool:
        """Whether a sample at this time would be kept."""
        return not self.rows or t_s >= self.rows[-1].t_s + self.step_s

    def note(self, sample: Sample, *, last: bool = False) -> bool:
        """Add a sample, later than all before, if it is due, or the `last`; return whether it was added."""
        if not last and not self.due(sample.t_s):
            return False
        if len(self.rows) >= self._most:
            del self.rows[1::2]
            self.step_s *= 2
            self.generation += 1
        # After every other row was dropped, a sample that was due by the former step may not be due by the new one.
        kept = last or self.due(sample.t_s)
        if kept:
            self.rows.append(sample)
        return kept

    def to_json(self, generation: int, first: int) -> dict[str, object]:
        """Return the rows from number `first` on, or all of them if `generation` is not the present one, as JSON."""
        start = first if generation == self.generation and 0 <= first <= len(self.rows) else 0
        return {
            "generation": self.generation,
            "next": len(self.rows),
            "columns": COLUMNS,
            "rows": [sample.row for sample in self.rows[start:]],
        }

    def report(self) -> dict[str, object]:
        """Return the course of the run as the report has it: `columns`, and up to about `IN_REPORT` rows."""
        step = -(-len(self.rows) // IN_REPORT)
        kept = [*self.rows[: -1 : max(1, step)], *self.rows[-1:]]
        return {"columns": COLUMNS, "rows": [sample.row for sample in kept]}
