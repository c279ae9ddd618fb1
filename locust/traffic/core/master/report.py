"""Make the status of a run and, at its end, its delivery report; list its dead letters and unsent records.

Status and report are the same JSON object. A report adds up: records = delivered + rejected + in doubt + unsent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from traffic.core.excerpt import Excerpt
from traffic.core.headers import masked
from traffic.core.master.dead_letters import DeadLetters, PositionArray
from traffic.core.master.letter_groups import group_names, groups_to_json, letter_groups
from traffic.core.master.progress import Progress
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.master.timing_book import timings_status
from traffic.core.master.verdict import verdict
from traffic.core.master.worker_table import WorkerRow
from traffic.core.order import Indexes
from traffic.core.ranges import RangeSet
from traffic.core.reading import REQUESTS
from traffic.core.record_state import DeadLetter, RecordState
from traffic.core.records import UnreadableError
from traffic.core.request_record import body_of, fields_of, method_and_path, split
from traffic.core.trace import trace_id

PIECE = 1 << 16
BATCH = 500


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the master knows of a run beside its ledger: its state, times (ISO 8601, UTC), and the workers' states."""

    state: str
    reason: str
    started: str
    ended: str | None
    worker_states: dict[str, str]
    # When the run was resumed, and how many records were settled by then: {"at", "settled"}; if dead letters were to be
    # sent again, how many: {"resent_dead_letters"}.
    resumed: tuple[dict[str, Any], ...] = ()
    # Whether a person has paused the run.
    paused_by_person: bool = False
    # By worker, why it gets nothing done, or what it lacks.
    troubles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many of a run's records have which state, and how many attempts there were."""

    records: int = 0
    pending: int = 0
    leased: int = 0
    delivered: int = 0
    rejected: int = 0
    in_doubt: int = 0
    unsent: int = 0
    attempts: int = 0
    resent: int = 0
    maybe_resent: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the counts as a report has them."""
        return {name: getattr(self, name) for name in COUNTS}


COUNTS = tuple(member.name for member in fields(RunCounts))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A status or a delivery report as it is made.

    It is read as JSON alone: from disk, a pipe or the web, and maybe from a release that had other members.
    """

    run: str | None
    state: str
    reason: str
    paused_by_person: bool = False
    dataset: dict[str, Any]
    order: str | None = None
    seed: int | None = None
    policy: str | None = None
    counts: RunCounts
    workers: list[WorkerRow]
    rate: float = 0.0
    eta_s: float | None = None
    timings: dict[str, Any] | None = None
    started: str | None = None
    ended: str | None = None
    resumed: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object, with its verdict."""
        made = {member.name: getattr(self, member.name) for member in fields(self)}
        made |= {"counts": self.counts.to_json(), "workers": [row.to_json() for row in self.workers]}
        return {**made, "verdict": verdict(made)}


def run_status(run: Run, context: RunContext, progress: Progress) -> dict[str, Any]:
    """Return the status of a run or, if it has ended, its delivery report, as a JSON object."""
    report = RunReport(
        run=run.config.run,
        state=context.state,
        reason=context.reason,
        paused_by_person=context.paused_by_person,
        dataset={
            "file": run.dataset.name,
            "records": run.dataset.records,
            "digest": f"sha256:{run.dataset.digest}",
            "offset": int(run.order.first),
            "chosen": run.order.records,
        },
        order=run.order.kind,
        seed=run.order.seed,
        policy=run.config.policy,
        counts=_counts(run, ended=context.ended is not None),
        workers=list(_workers(run, context)),
        rate=round(progress.rate, 1),
        eta_s=_eta_s(run, context, progress),
        timings=timings_status(run.timings),
        started=context.started,
        ended=context.ended,
        resumed=list(context.resumed),
    )
    return report.to_json()


def _eta_s(run: Run, context: RunContext, progress: Progress) -> float | None:
    """Return the seconds to go: 0 once the run has ended, None while it is paused."""
    if context.ended is not None:
        return 0.0
    return None if context.state == RunState.PAUSED else _rounded(progress.eta_s(run.ledger.unsettled))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _counts(run: Run, *, ended: bool) -> RunCounts:
    counts = run.ledger.counts
    return RunCounts(
        records=run.ledger.records,
        pending=0 if ended else counts[RecordState.PENDING],
        leased=counts[RecordState.LEASED],
        delivered=counts[RecordState.DELIVERED],
        rejected=counts[RecordState.REJECTED],
        in_doubt=counts[RecordState.IN_DOUBT],
        unsent=counts[RecordState.PENDING] if ended else 0,
        attempts=sum(run.attempts.values()),
        resent=sum(run.resent.values()),
        maybe_resent=sum(run.maybe_resent.values()),
    )


def _workers(run: Run, context: RunContext) -> Iterator[WorkerRow]:
    for worker, share in run.ledger.shares.items():
        yield WorkerRow.of(
            worker,
            share,
            leased=sum(lease.open.count for lease in run.ledger.leases.of(worker)),
            state=context.worker_states.get(worker, "gone"),
            trouble=context.troubles.get(worker, ""),
        )


def dead_letters(run: Run, dead: DeadLetters | None = None) -> Iterator[dict[str, Any]]:
    """Return dead letters as JSON objects, in the run's order; those of the run, if no others are given.

    `record` is the body as text, None if it can no longer be read, or is no text. Of a whole request, `request` has the
    rest: its method, its URL and its headers, secrets masked. `answer` is what the API said; None if it said nothing.
    `group` is the letter's group (see `letter_groups`).
    """
    dead = run.ledger.dead if dead is None else dead
    places = dead.places()
    for start in range(0, len(places), PIECE):
        piece = places[start : start + PIECE]
        indexes = run.order.indexes(piece)
        for low in range(0, len(piece), BATCH):
            yield from _letters(run, dead, piece[low : low + BATCH], indexes[low : low + BATCH])


def dead_letter_groups(run: Run, dead: DeadLetters | None = None) -> dict[str, Any]:
    """Return the groups of a run's dead letters, and how many answers were not kept, as a JSON object."""
    groups = letter_groups(run.ledger.dead if dead is None else dead, run.answers)
    made = groups_to_json(groups, lambda position: int(run.order.indexes([position])[0]))
    return made | {"answers_not_kept": run.answers.not_kept}


def letters_at(run: Run, dead: DeadLetters, places: PositionArray) -> list[dict[str, Any]]:
    """Return the dead letters at these positions, as JSON objects."""
    return _letters(run, dead, places, run.order.indexes(places))


def _letters(run: Run, dead: DeadLetters, places: PositionArray, indexes: Indexes) -> list[dict[str, Any]]:
    letters = dead.at(places)
    answers = run.answers.read(sorted({letter.answer for letter in letters}))
    groups = group_names(letters, run.answers)
    rows = zip(letters, groups, indexes.tolist(), _records(run, indexes), strict=True)
    return [
        _dead_letter(run, letter, index, record) | {"answer": _answer(answers, letter), "group": group}
        for letter, group, index, record in rows
    ]


def _answer(answers: dict[int, Excerpt], letter: DeadLetter) -> dict[str, Any] | None:
    answer = answers.get(letter.answer)
    return answer.to_json() if answer is not None else None


def _dead_letter(run: Run, letter: DeadLetter, index: int, record: bytes | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "index": index,
        "outcome": letter.state.name.lower(),
        "attempts": letter.attempts,
        "status": letter.status,
        "reason": letter.reason,
        "worker": letter.worker,
        "key": f"{run.config.run}-{index}",
        "record": None,
    }
    if run.config.trace:
        made["trace"] = trace_id(made["key"])
    if record is None:
        return made
    if run.config.records == REQUESTS:
        return made | {"record": _text(body_of(record)), "request": _request(record)}
    return made | {"record": _text(record)}


def _request(record: bytes) -> dict[str, Any]:
    """Return the head of a whole request, as lines of requests have it."""
    _, line, fields, _ = split(record)
    method, path = method_and_path(line)
    header: dict[str, list[str]] = {}
    for name, value in fields_of(fields):
        header.setdefault(name, []).append(masked(name, value))
    return {"method": method, "url": path, "header": header}


def _records(run: Run, indexes: Indexes) -> list[bytes | None]:
    """Return the records, None for each that can no longer be read."""
    try:
        return list(run.dataset.bodies(indexes))
    except UnreadableError:
        if len(indexes) == 1:
            return [None]
    return [_records(run, indexes[at : at + 1])[0] for at in range(len(indexes))]


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def unsent_indexes(run: Run) -> Iterator[int]:
    """Return the indexes of the records that have neither a lease nor an outcome, in the run's order."""
    for start, stop in run.ledger.positions(RecordState.PENDING):
        for low in range(start, stop, PIECE):
            yield from run.order.indexes(RangeSet([(low, min(low + PIECE, stop))]).array()).tolist()
