"""Any frame at all is read as a message or dropped, and one that is dropped is counted and named."""

import logging
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from locust.exception import RPCError
from locust.rpc import Message

from traffic.core.protocol import FROM_MASTER, FROM_WORKER
from traffic.core.wire import ProtocolError
from traffic.locust_patches import frames
from traffic.locust_patches.frames import MOST_BYTES, Drops, OddFrameError, ReceiveLoop, read, read_from_worker
from traffic.locust_patches.message_checks import CHECKS, why_invalid

CUSTOM = {"traffic.hello", "traffic.ack"}
ENTRY = {
    "name": "/",
    "method": "POST",
    "last_request_timestamp": 1.5,
    "start_time": 1.0,
    "num_requests": 1,
    "num_none_requests": 0,
    "num_failures": 0,
    "total_response_time": 12.5,
    "max_response_time": 12.5,
    "min_response_time": None,
    "total_content_length": 0,
    "response_times": {12: 1},
    "num_reqs_per_sec": {1: 1},
    "num_fail_per_sec": {},
}
STATS = {
    "stats": [ENTRY],
    "stats_total": ENTRY,
    "errors": {"k": {"method": "POST", "name": "/", "error": "e", "occurrences": 1}},
    "user_classes_count": {"Posting": 1},
    "user_count": 1,
}
BEAT = {"state": "ready", "current_cpu_usage": 1.5, "current_memory_usage": 1}
# What workers send, and Locust handles.
GOOD: list[tuple[str, Any]] = [
    ("client_ready", "2.47.0"),
    ("client_ready", -1),
    ("locustfile", {"version": "2.47.0"}),
    ("client_stopped", None),
    ("heartbeat", BEAT),
    ("heartbeat", {"state": "running", "current_cpu_usage": 0}),
    ("stats", STATS),
    ("stats", STATS | {"by_a_plugin": [1]}),
    ("spawning", None),
    ("spawning_complete", {"user_classes_count": {"Posting": 1}, "user_count": 1}),
    ("logs", {"worker_id": "w", "logs": ["a line"]}),
    ("quit", None),
    ("exception", {"msg": "m", "traceback": "t"}),
    ("traffic.ack", {"anything": 1}),
]
BAD: list[tuple[str, Any]] = [
    ("client_ready", None),
    ("client_ready", ""),
    ("client_ready", 5),
    ("client_ready", ["2.47.0"]),
    ("client_ready", {"version": 1}),
    ("locustfile", None),
    ("locustfile", {"version": 2}),
    ("heartbeat", None),
    ("heartbeat", BEAT | {"state": "on fire"}),
    ("heartbeat", BEAT | {"state": ["ready"]}),
    ("heartbeat", BEAT | {"current_cpu_usage": "95"}),
    ("heartbeat", BEAT | {"current_cpu_usage": float("nan")}),
    ("heartbeat", BEAT | {"current_memory_usage": {}}),
    ("heartbeat", {"state": "ready"}),
    ("stats", None),
    ("stats", []),
    ("stats", STATS | {"stats": None}),
    ("stats", STATS | {"stats": [{}]}),
    ("stats", STATS | {"stats_total": {**ENTRY, "num_requests": "1"}}),
    ("stats", STATS | {"stats_total": {**ENTRY, "response_times": {"12": 1}}}),
    ("stats", STATS | {"stats_total": {**ENTRY, "total_response_time": float("inf")}}),
    ("stats", STATS | {"errors": {"k": {}}}),
    ("stats", STATS | {"errors": [1]}),
    ("stats", STATS | {"user_classes_count": {"Posting": "1"}}),
    ("stats", STATS | {"user_count": -1}),
    ("spawning_complete", None),
    ("spawning_complete", {"user_classes_count": [1]}),
    ("logs", {"worker_id": 1, "logs": []}),
    ("logs", ["a line"]),
    ("exception", None),
    ("exception", {"msg": b"m", "traceback": "t"}),
    ("no such type", None),
    ("", None),
    ("traffic.acked", {}),
]


def packed(*values: Any) -> bytes:
    return bytes(msgpack.dumps(values))


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\x90"


ODD = {
    "nothing": b"",
    "text": b"hello",
    "broken off": packed("quit", None, "w")[:-1],
    "something behind": packed("quit", None, "w") + b"\x00",
    "no list": packed(1)[1:],
    "a map": bytes(msgpack.dumps({"a": 1})),
    "too few": packed("quit", None),
    "too many": packed("quit", None, "w", 1),
    "a list for a type": packed(["quit"], None, "w"),
    "a number for a type": packed(7, None, "w"),
    "bytes for a type": packed(b"quit", None, "w"),
    "no type": packed(None, None, "w"),
    "half a date": packed("stats", {"__datetime__": True}, "w"),
    "no date": packed("stats", {"__datetime__": True, "as_str": "x"}, "w"),
    "an id of MongoDB": packed("stats", {"__ObjectId__": True, "as_str": "x"}, "w"),
    "no UTF-8": b"\x93\xa2\xff\xff\xc0\xa1w",
    "a list as a key": b"\x93\xa4quit\x81\x90\x01\xa1w",
    "an announced list": b"\xdd\xff\xff\xff\xff",
    "announced bytes": b"\xc6\xff\xff\xff\xff",
    "deep": b"\x93\xa4quit" + nested(100_000) + b"\xa1w",
    "large": packed("quit", bytes(MOST_BYTES), "w"),
    "many lists": b"\x93\xa4quit\xdd" + (8 << 20).to_bytes(4, "big") + b"\x90" * (8 << 20) + b"\xa1w",
    "many maps": b"\x93\xa4quit\xdd" + (8 << 20).to_bytes(4, "big") + b"\x80" * (8 << 20) + b"\xa1w",
    "a reserved byte": b"\xc1",
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_frame_is_no_message(body):
    with pytest.raises(OddFrameError) as why:
        read_from_worker([b"w", body])
    assert len(str(why.value)) < 300


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"w"],
        [b"w", packed("quit", None, "w"), b""],
        [b"w", b"", packed("quit", None, "w")],
        [b"\x00k\xff", packed("quit", None, "w")],
        [b"w", packed("quit", None, "another")],
        [b"w", packed("quit", None, None)],
        [b"w", packed("quit", None, ["w"])],
        [b"", packed("quit", None, "w")],
    ],
)
def test_an_odd_sender_says_nothing(parts):
    with pytest.raises(OddFrameError):
        read_from_worker(parts)


@pytest.mark.parametrize(("kind", "data"), GOOD)
def test_what_workers_send_is_read_and_can_be_handled(kind, data):
    worker, message = read_from_worker([b"w", Message(kind, data, "w").serialize()])
    assert (worker, message.type, message.data, message.node_id) == ("w", kind, data, "w")
    assert why_invalid(message, CUSTOM) == ""


@pytest.mark.parametrize(("kind", "data"), BAD)
def test_what_locusts_handlers_would_fail_at_is_not_given_to_them(kind, data):
    why = why_invalid(Message(kind, data, "w"), CUSTOM)
    assert why
    assert len(why) < 200


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_odd(body):
    try:
        message = read(body)
    except OddFrameError:
        return
    assert isinstance(message.type, str)
    assert isinstance(why_invalid(message, CUSTOM), str)


@given(st.sampled_from([*CHECKS, "traffic.ack", "x"]), JSON_LIKE)
def test_any_data_of_any_type_is_judged(kind, data):
    assert isinstance(why_invalid(Message(kind, data, "w"), CUSTOM), str)


DEEP = msgpack.loads(nested(900))


@pytest.mark.parametrize("kind", [*FROM_WORKER, *FROM_MASTER])
@pytest.mark.parametrize("value", [DEEP, 2**64 - 1, -1, "x" * 100_000, float("nan"), b"", None, [[0, 2**64 - 1]], {}])
def test_a_field_of_our_messages_that_holds_anything_is_a_fault_of_the_protocol(kind, value):
    for name in kind.readers:
        good = dict.fromkeys(kind.readers, 0)
        try:
            kind.from_wire({**good, name: value})
        except ProtocolError as error:
            assert len(str(error)) < 300  # noqa: PT017 - some values are good
    with pytest.raises(ProtocolError):
        kind.from_wire(value)


# Counting, naming.


def test_drops_are_all_counted_and_named_once_in_a_while(caplog):
    time = [100.0]
    drops = Drops(lambda: time[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            drops.drop(b"\x00\xff\n" + b"x" * 1000, "it is odd")
            drops.report()
        time[0] += 60
        drops.drop("w", "it is odd, too")
        drops.drop("w", "it is odd at last")
        time[0] += 60
        drops.report()
        time[0] += 60
        drops.report()
    assert drops.total == 1002
    first, second, third = caplog.messages
    assert third == "dropped a message from 'w': it is odd at last"
    assert first.startswith(r"dropped a message from b'\x00\xff\nxxx")
    assert first.endswith("…: it is odd")
    assert len(first) < 300
    assert second == "dropped a message from 'w': it is odd, too (1000 dropped since this was last said)"


def socket_of(*received: Any) -> Any:
    """A socket on which these come in, an exception being raised."""
    left = list(received)

    def recv() -> Any:
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return SimpleNamespace(socket=SimpleNamespace(recv_multipart=recv, recv=recv))


def test_the_receive_loop_passes_over_odd_frames_to_the_next_message():
    before = frames.drops.total
    odd = [[b"w", body] for body in list(ODD.values())[:20] * 6]
    server = socket_of(*odd, [b"\xff"], [b"w", packed("quit", None, "w")])
    worker, message = frames._receive_from_worker(server)
    assert (worker, message.type) == ("w", "quit")
    assert frames.drops.total - before == len(odd) + 1


def test_a_worker_passes_over_them_too():
    message = frames._receive_from_master(socket_of(b"", b"\xc1", packed("ack", {"index": 0}, "w")))
    assert (message.type, message.data) == ("ack", {"index": 0})


def test_a_broken_socket_is_still_locusts_to_mend():
    with pytest.raises(RPCError):
        frames._receive_from_worker(socket_of(zmq.ZMQError()))
    with pytest.raises(RPCError):
        frames._receive_from_master(socket_of(zmq.ZMQError()))


def test_what_a_handler_fails_at_is_dropped_and_told_with_its_trace(caplog, monkeypatch):
    monkeypatch.setattr(frames, "drops", Drops())

    def fails() -> None:
        raise KeyError("state")

    frames.handled(fails, "w", "heartbeat")
    assert frames.drops.total == 1
    assert "its 'heartbeat' could not be handled: KeyError" in caplog.text
    assert "Traceback" in caplog.text


# Whether it reads.


def test_a_loop_that_waits_is_well_and_one_that_is_long_busy_or_dead_is_not(monkeypatch):
    time = [100.0]
    monkeypatch.setattr(frames, "now_s", lambda: time[0])
    loop = ReceiveLoop()
    assert loop.ill(10) == ""
    loop.note_waiting()
    time[0] += 1000
    assert loop.ill(10) == ""
    loop.note_message()
    time[0] += 10
    assert loop.ill(10) == ""
    time[0] += 1
    assert loop.ill(10) == "the loop that reads the workers' messages has been busy with one for 11 s"
    loop._greenlet = SimpleNamespace(dead=True)
    assert loop.ill(10) == "the loop that reads the workers' messages has ended"
