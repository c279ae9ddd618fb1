"""The messages keep their names on the wire, and come back from it as they were."""

from dataclasses import replace

import pytest

from traffic.core.excerpt import Excerpt
from traffic.core.histogram import Histogram
from traffic.core.lease_terms import LeaseTerms
from traffic.core.pace.measures import PaceMeasures
from traffic.core.protocol import (
    FROM_MASTER,
    FROM_WORKER,
    Ack,
    AckReply,
    Failure,
    Hello,
    Hold,
    LeaseGrant,
    Message,
    ResultBatch,
    RunConfig,
    Stamp,
    Tried,
    Welcome,
)
from traffic.core.timings import Kind, KindTiming, Timing
from traffic.core.wire import ProtocolError

LEASE_NAMES = {
    *("session", "seq", "answers", "lease", "positions", "again", "indexes", "bodies", "tried"),
    *("due", "spacing", "stamp", "probe", "limit", "results"),
}
REPLY_NAMES = {"session", "seq", "answers", "over", "paused", "stamp", "probe", "limit", "results"}
ACK_NAMES = {
    *("session", "seq", "heard", "run", "delivered", "failed", "holds", "wants", "attempts", "resent"),
    *("users", "trouble", "leaving", "maybe_resent", "fault", "tried"),
    *("pace", "busy", "overdue", "hold", "put_off", "probed", "slowed", "refused", "timings", "rows"),
}
MEASURES = PaceMeasures(7, 3.5, Histogram([(3, 7)], 0.5), Histogram([(40, 7)], 1.5), [3, 2, 1], [1, 1, 1, 0, 0])
EXCERPT = Excerpt("application/json", (("x-request-id", "a1"),), b'{"error":"no"}', 14)
FAILURE = Failure(((3, 5),), False, 2, 422, "HTTP 422", EXCERPT)
MESSAGES: tuple[tuple[Message, set[str]], ...] = (
    (Hello(5, 1), {"version", "hello"}),
    (
        Ack(7, 2, 1, "run", ((0, 3),), (FAILURE,), ((5, 8),), 40, 9, 1, 2, "", False, 1, "", (Tried(8, 1, True),)),
        ACK_NAMES,
    ),
    (
        Welcome(7, 1, RunConfig("run", "POST", "/", (0.0, 1.0), 3, "at-least-once"), LeaseTerms.of(2.0)),
        {"session", "seq", "run", "terms"},
    ),
    (
        LeaseGrant(7, 3, 2, 11, ((4, 6),), ((5, 6),), b"\0" * 16, (b"{}", b"{}"), (Tried(5, 2, False),)),
        LEASE_NAMES,
    ),
    (
        LeaseGrant(7, 3, 2, 11, ((4, 5),), (), b"\0" * 8, (b"{}",), (), b"\0" * 8, 0.5, Stamp(1.5, 2.5, -1.0, 0.5)),
        LEASE_NAMES,
    ),
    (
        replace(
            Ack(7, 2, 1, "run", (), (), (), 0, 9, 0, 2, "", False, pace=MEASURES, busy=2, overdue=1),
            hold=Hold(30.5, 429),
            put_off=3,
            probed=True,
            slowed=4,
            timings=(KindTiming(Kind("/", "POST", 0, "reset"), Timing(MEASURES.late, MEASURES.service)),),
            rows=7,
        ),
        ACK_NAMES,
    ),
    (AckReply(7, 4, 3, True, False), REPLY_NAMES),
    (ResultBatch("run", 1, 2, b"\x28\xb5"), {"run", "number", "rows", "data"}),
    (AckReply(7, 4, 3, False, True, Stamp(1.5), True, 2.5, 9), REPLY_NAMES),
)


@pytest.mark.parametrize(("message", "names"), MESSAGES, ids=[type(message).__name__ for message, _ in MESSAGES])
def test_a_message_has_these_names_on_the_wire_and_comes_back_as_it_was(message: Message, names: set[str]) -> None:
    sent = message.to_wire()
    assert set(sent) == names
    assert type(message).from_wire(sent) == message
    for name in names:
        with pytest.raises(ProtocolError):
            type(message).from_wire({key: value for key, value in sent.items() if key != name})


def test_each_kind_of_message_is_among_these() -> None:
    assert {type(message) for message, _ in MESSAGES} == {*FROM_MASTER, *FROM_WORKER}
