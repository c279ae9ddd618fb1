"""What attempts took: told apart by kind, exact over workers, lost messages and restarts, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.core.master.timing_book import MOST_REQUESTS, TimingBook, timings_status
from traffic.core.outcome import Answer
from traffic.core.timings import MOST_ERRORS, MOST_KINDS, OTHER, Kind, KindTiming, Request
from traffic.core.wire import ProtocolError
from traffic.core.worker.timing_log import TimingLog

POST = Request("/messages", "POST")
CREATED, REFUSED = Answer(201, "HTTP 201"), Answer(422, "HTTP 422")
TIMED_OUT = Answer(0, "timed out")
ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from([POST, Request("/a", "GET"), Request("/b", "PUT")]),
        st.sampled_from([CREATED, REFUSED, TIMED_OUT, Answer(0, "reset")]),
        st.floats(0.0001, 50),
        st.booleans(),
    ),
    max_size=200,
)


def over_the_wire(told: tuple[KindTiming, ...]) -> tuple[KindTiming, ...]:
    return tuple(KindTiming.from_wire(one.to_wire()) for one in told)


@given(ATTEMPTS, st.lists(st.sampled_from(["told", "lost", "twice", "again", "restart"]), max_size=30))
def test_however_messages_get_lost_each_attempt_counts_once(attempts, fates):
    log, book, straight = TimingLog(), TimingBook(), TimingLog()
    before: tuple[KindTiming, ...] = ()
    journal: dict[Kind, KindTiming] = {}

    def tell(told: tuple[KindTiming, ...]) -> None:
        journal.update((one.kind, one) for one in book.note("w", over_the_wire(told)))

    steps = max(1, len(attempts) // max(1, len(fates)))
    for number, fate in enumerate(fates):
        for request, answer, took, due in attempts[number * steps : (number + 1) * steps]:
            for one in (log, straight):
                one.note(request, answer, 100.0, 99.0 if due else 0.0, 100.0 + took)
        told = log.unconfirmed()
        if fate != "lost":
            tell(told)
        if fate == "twice":
            tell(told)
        if fate == "again":
            tell(before)  # an older message arrives late
        if fate in ("told", "twice"):
            log.confirm(told)
        if fate == "restart":
            book, before_restart = TimingBook(), journal
            book.restore(("w", one) for one in before_restart.values())
            log.begin_session()
        before = told
    tell(log.unconfirmed())
    assert book.kinds == {one.kind: one.timing for one in straight.unconfirmed()}


def test_two_workers_add_up_and_each_request_status_and_error_has_a_row():
    book = TimingBook()
    for worker, took in (("one", 0.01), ("two", 0.03)):
        log = TimingLog()
        for answer, request in ((CREATED, POST), (CREATED, POST), (REFUSED, POST), (TIMED_OUT, Request("/a", "GET"))):
            log.note(request, answer, 5.0, 0.0, 5.0 + took)
        book.note(worker, log.unconfirmed())
    made = timings_status(book)
    assert made is not None
    assert made["attempts"] == 8
    assert [(one["name"], one["method"], one["attempts"]) for one in made["requests"]] == [
        ("/messages", "POST", 6),
        ("/a", "GET", 2),
    ]
    assert [(one["status"], one["attempts"]) for one in made["statuses"]] == [(0, 2), (201, 4), (422, 2)]
    assert made["errors"] == [{"error": "timed out", "attempts": 2}]
    assert made["response"] == made["service"], "nothing was due"
    assert made["service"]["mean"] == pytest.approx(0.02)
    assert made["service"]["min"] == pytest.approx(0.01, rel=0.02)
    assert made["service"]["p99"] == made["service"]["max"] == pytest.approx(0.03)


def test_with_a_schedule_the_response_counts_from_when_the_record_was_due():
    log, book = TimingLog(), TimingBook()
    log.note(POST, CREATED, 10.0, 7.0, 10.5)
    book.note("w", log.unconfirmed())
    made = timings_status(book)
    assert made is not None
    assert (made["service"]["max"], made["response"]["max"]) == (pytest.approx(0.5), pytest.approx(3.5))


def test_before_the_first_attempt_there_is_nothing_to_say():
    assert timings_status(TimingBook()) is None


def test_what_was_confirmed_is_not_told_again_until_it_changes():
    log = TimingLog()
    log.note(POST, CREATED, 0.0, 0.0, 1.0)
    told = log.unconfirmed()
    log.confirm(told)
    assert log.unconfirmed() == ()
    log.note(POST, CREATED, 0.0, 0.0, 2.0)
    log.confirm(told)  # late: it is about less
    assert [one.timing.service.total for one in log.unconfirmed()] == [2]


def test_errors_and_kinds_are_bounded_and_none_is_lost():
    log = TimingLog()
    for number in range(3 * MOST_ERRORS):
        log.note(POST, Answer(0, f"error {number}"), 0.0, 0.0, 1.0)
    told = log.unconfirmed()
    assert len(told) == MOST_ERRORS + 1
    assert max(told, key=lambda one: one.timing.service.total).kind == Kind(*POST, 0, OTHER)
    for number in range(2 * MOST_KINDS):
        log.note(Request(f"/{number}", "GET"), CREATED, 0.0, 0.0, 1.0)
    told = log.unconfirmed()
    assert len(told) <= MOST_KINDS + 2
    assert sum(one.timing.service.total for one in told) == 3 * MOST_ERRORS + 2 * MOST_KINDS


def test_a_peer_that_tells_of_ever_more_kinds_is_not_believed():
    book, log = TimingBook(), TimingLog()
    log.note(POST, CREATED, 0.0, 0.0, 1.0)
    timing = log.unconfirmed()[0].timing
    for number in range(5 * MOST_KINDS):
        book.note("w", [KindTiming(Kind(f"/{number}", "GET", 200, ""), timing)])
    assert len(book.kinds) == 2 * MOST_KINDS


def test_the_report_names_the_commonest_requests_and_adds_up_the_others():
    book, log = TimingBook(), TimingLog()
    for number in range(MOST_REQUESTS + 3):
        for _ in range(1 + (number < MOST_REQUESTS)):
            log.note(Request(f"/{number:03}", "GET"), CREATED, 0.0, 0.0, 1.0)
    book.note("w", log.unconfirmed())
    made = timings_status(book)
    assert made is not None
    assert len(made["requests"]) == MOST_REQUESTS + 1
    assert (made["requests"][-1]["name"], made["requests"][-1]["attempts"]) == ("(3 others)", 3)


@pytest.mark.parametrize("bad", [[], 7, ["/", "POST", -1, "", [0, 0, []], [0, 0, []]], ["/", "POST", 200, "", 1, 2]])
def test_what_is_no_timing_is_refused(bad):
    with pytest.raises((ProtocolError, ValueError)):
        KindTiming.from_wire(bad)
