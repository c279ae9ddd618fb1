"""Whatever becomes of a run's records, its report adds up and lists every one that is not delivered (P2)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import OutcomesRecorded, Reopened
from traffic.core.master.invariants import check_ledger
from traffic.core.master.progress import Progress
from traffic.core.master.recovery import Recovery
from traffic.core.master.report import dead_letters, run_status, unsent_indexes
from traffic.core.master.run import Run
from traffic.core.master.verdict import all_delivered
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetter, DeadLetterGroup, RecordState
from unit.a_run import ENDED, a_run, close, context

RECORDS = 12
WORKERS = ["a", "b", "c"]
ENDS = ["delivered", "rejected", "in doubt", "given back", "reclaimed"]
moves = st.lists(
    st.tuples(st.sampled_from(WORKERS), st.integers(1, 4), st.sampled_from([*ENDS, "leave"])),
    max_size=12,
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    made = a_run(tmp_path_factory.mktemp("run"), RECORDS, [], "random")
    yield made
    close(made)


def move(run: Run, worker: str, size: int, end: str) -> None:
    """Let a worker have some records, and let something become of them; or let it leave."""
    ledger = run.ledger
    if end == "leave":
        ledger.leave(worker, [name for name in ledger.assignment.remainders if name != worker])
        return
    if not ledger.assignment.remainders.get(worker):
        ledger.join(worker)
    positions = ledger.assignment.remainders[worker].head(size)
    if not positions:
        return
    lease = ledger.lease(worker, positions)
    if end == "delivered":
        ledger.record_delivered(worker, positions)
    elif end == "given back":
        ledger.return_lease(lease, positions)
    elif end == "reclaimed":
        ledger.reclaim(lease)
    else:
        state = RecordState.REJECTED if end == "rejected" else RecordState.IN_DOUBT
        ledger.record_failure(positions, Cause(state, 1, 422, "no", worker))


@st.composite
def journals(draw: st.DrawFn) -> tuple[Recovery, dict[int, DeadLetter]]:
    """What a journal of outcomes gives back once some of the dead letters are reopened; what these were."""
    recovery, ends = Recovery(RECORDS), draw(st.lists(st.sampled_from(RecordState), max_size=RECORDS))
    for position, state in enumerate(ends):
        place = RangeSet([(position, position + 1)])
        letters = (
            (DeadLetterGroup(place, Cause(state, position, 422, "no", WORKERS[position % 3])),) if state > 2 else ()
        )
        if state >= RecordState.DELIVERED:
            recovery.take(OutcomesRecorded("a", RangeSet() if letters else place, letters))
    dead = dict(recovery.ledger.dead)
    again = RangeSet.of(position for position in dead if draw(st.booleans()))
    recovery.take(Reopened(again))
    return recovery, {position: dead[position] for position in again.members()}


@given(journal=journals(), dealt=st.lists(st.sampled_from(WORKERS), unique=True), moves=moves)
def test_what_was_reopened_and_not_sent_again_is_what_it_was(origin, journal, dealt, moves):
    recovery, former = journal
    ledger = recovery.ledger
    assert ledger.prior_attempts.former == former
    run = Run.recovered(origin.config, origin.dataset, origin.order, recovery)
    ledger.assign(dealt)
    for worker, size, end in moves:
        move(run, worker, size, end)
        check_ledger(ledger)
    coordinator = LeaseCoordinator(LeaseTerms(), first_session=1)
    coordinator.run = run
    sent = ledger.prior_attempts.tried_among(ledger.positions(RecordState.PENDING))
    untouched = {at: letter for at, letter in former.items() if at in ledger.prior_attempts.former and at not in sent}
    coordinator.close()
    check_ledger(ledger)
    assert not ledger.prior_attempts.former
    assert not ledger.positions(RecordState.PENDING).minus(
        ledger.positions(RecordState.PENDING).minus(RangeSet.of(former))
    )
    assert {at: ledger.dead[at] for at in untouched} == untouched


@given(dealt=st.lists(st.sampled_from(WORKERS), unique=True), moves=moves)
def test_a_report_adds_up_and_misses_nobody(origin, dealt, moves):
    run = Run.of(origin.config, origin.dataset, origin.order)
    run.ledger.assign(dealt)
    for worker, size, end in moves:
        move(run, worker, size, end)
        check_ledger(run.ledger)
    report = run_status(run, context("stopped", ENDED), Progress())
    counts = report["counts"]
    assert counts["records"] == RECORDS
    assert counts["delivered"] + counts["rejected"] + counts["in_doubt"] + counts["unsent"] == RECORDS
    assert all_delivered(report) == (counts["delivered"] == RECORDS)
    for kind in ("delivered", "rejected", "in_doubt"):
        assert sum(worker[kind] for worker in report["workers"]) == counts[kind]
    letters, unsent = list(dead_letters(run)), list(unsent_indexes(run))
    assert (len(letters), len(unsent)) == (counts["rejected"] + counts["in_doubt"], counts["unsent"])
    delivered = run.order.indexes(np.flatnonzero(run.ledger.states == RecordState.DELIVERED)).tolist()
    assert sorted([*delivered, *unsent, *(letter["index"] for letter in letters)]) == list(range(RECORDS))
