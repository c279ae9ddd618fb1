"""The channel of master and workers: who is let in, which secrets can be used, and what is said of a refusal."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import gevent
import pytest
import zmq as plain
import zmq.green as zmq
from locust.rpc import Message
from locust.rpc.zmqrpc import BaseSocket
from zmq.utils import z85

from support.secret import SECRET
from traffic.channel.guard import close_to_strangers, judged, prove_to_master
from traffic.channel.new_secret import make_secret
from traffic.channel.refusals import GONE, REPORT_EVERY_S, Refusals, why_refused
from traffic.channel.secret import Keys, SecretError, check_channel, keys_from
from traffic.locust_patches.channel import close_channel

KEYS, OTHERS = Keys.of(SECRET.encode()), Keys.of(b"another secret, which is as long as the first")
RAW = z85.decode(KEYS.worker_public)
MISMATCH, CRYPTOGRAPHIC = plain.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, plain.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
PROTOCOL, CLOSED = plain.EVENT_HANDSHAKE_FAILED_PROTOCOL, plain.EVENT_HANDSHAKE_FAILED_NO_DETAIL


def question(mechanism: bytes = b"CURVE", domain: bytes = b"traffic", *credentials: bytes) -> list[bytes]:
    return [b"1.0", b"7", domain, b"127.0.0.1", b"", mechanism, *(credentials or (RAW,))]


def test_by_one_secret_both_sides_have_the_same_keys_and_no_two_of_them_are_alike() -> None:
    assert Keys.of(SECRET.encode()) == KEYS
    made = [KEYS.master_secret, KEYS.master_public, KEYS.worker_secret, KEYS.worker_public]
    assert len({*made, OTHERS.master_secret, OTHERS.worker_secret}) == 6
    assert SECRET not in repr(KEYS)
    assert KEYS.worker_secret.decode() not in repr(KEYS)


def test_who_has_the_workers_key_is_let_in_and_nobody_else() -> None:
    assert judged(question(), RAW) == [b"1.0", b"7", b"200", b"", b"", b""]
    strangers = [
        question(b"CURVE", b"traffic", z85.decode(OTHERS.worker_public)),
        question(b"CURVE", b"traffic", RAW[:-1]),
        question(b"CURVE", b"traffic", RAW, b""),
        question(b"CURVE", b"", RAW),
        question(b"NULL"),
        question(b"PLAIN", b"traffic", b"name", RAW),
    ]
    assert [judged(one, RAW)[2] for one in strangers] == [b"400"] * len(strangers)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TRAFFIC_SECRET": "short"}, "the secret in TRAFFIC_SECRET has 5 characters; the least is 32. Make one with:"),
        ({"TRAFFIC_SECRET": SECRET, "TRAFFIC_SECRET_FILE": "x"}, "are both set. Unset one of them"),
        ({"TRAFFIC_SECRET_FILE": "/no/such/file"}, "/no/such/file cannot be read: No such file or directory. Make one"),
        ({"TRAFFIC_SECRET_FILE": "/"}, "the secret in / cannot be read: Is a directory"),
        ({"TRAFFIC_SECRET_FILE": "/dev/null"}, "the secret in /dev/null, by TRAFFIC_SECRET_FILE, has 0 characters"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_and_the_channel_is_not_left_open(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SecretError, match=said.replace("(", r"\(")):
        keys_from(environ)


def test_the_secret_is_in_the_variable_or_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert keys_from({"TRAFFIC_SECRET": SECRET}) == keys_from({"TRAFFIC_SECRET_FILE": str(file)}) == KEYS
    assert keys_from({"TRAFFIC_SECRET": "", "TRAFFIC_SECRET_FILE": ""}) is None


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    make_secret(file)
    made = file.read_text()
    make_secret(file)
    assert file.read_text() == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys_from({"TRAFFIC_SECRET_FILE": str(file)}) is not None


def test_an_open_channel_is_warned_of_or_refused() -> None:
    assert check_channel({"TRAFFIC_SECRET": SECRET}, "required", "*") == ""
    assert check_channel({}, "", "127.0.0.1") == ""
    assert "whoever reaches the workers' port can take part" in check_channel({}, "", "*")
    with pytest.raises(SecretError, match=r"there must be a secret, and there is none\. Set TRAFFIC_SECRET_FILE"):
        check_channel({}, "required", "127.0.0.1")
    with pytest.raises(SecretError, match="must be required or empty, not 'sure'"):
        check_channel({}, "sure", "127.0.0.1")


@pytest.mark.parametrize(
    ("event", "value", "master", "secret", "said"),
    [
        (PROTOCOL, MISMATCH, True, True, "it has no secret, and this master has one: give the worker the same"),
        (PROTOCOL, MISMATCH, True, False, "it has a secret, and this master has none: give this master the same"),
        (PROTOCOL, MISMATCH, False, True, "it has no secret, and this worker has one: give the master the same"),
        (PROTOCOL, MISMATCH, False, False, "it has a secret, and this worker has none: give this worker the same"),
        (PROTOCOL, CRYPTOGRAPHIC, True, True, "it has another secret than this master: give both the same"),
        (plain.EVENT_HANDSHAKE_FAILED_AUTH, 400, False, True, "it has another secret than this worker: give both"),
        (CLOSED, 104, False, True, "it has another secret than this worker, or is no master of Locust"),
        (PROTOCOL, plain.PROTOCOL_ERROR_ZMTP_UNSPECIFIED, True, True, "it is no worker of Locust"),
        (CLOSED, 104, False, False, "it is no master of Locust"),
    ],
)
def test_a_refusal_says_what_to_do(event: int, value: int, *, master: bool, secret: bool, said: str) -> None:
    assert why_refused(event, value, master=master, secret=secret).startswith(said)


def test_who_only_connects_to_the_master_and_goes_is_mentioned_seldom(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals, why = Refusals(lambda: now), why_refused(CLOSED, 104, master=True, secret=True)
    caplog.set_level(logging.INFO)
    for _ in range(20):
        refusals.note(why, master=True)
        now += REPORT_EVERY_S
    assert why == GONE
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_a_refusal_is_said_at_once_and_then_seldom(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    for _ in range(1000):
        refusals.note("it is no worker of Locust", master=True)
    refusals.note("it has no secret", master=True)
    now = REPORT_EVERY_S
    refusals.note("it has no secret", master=True)
    refusals.note("it is no worker of Locust", master=True)
    assert [record.message for record in caplog.records] == [
        "a peer at the workers' port was refused: it is no worker of Locust",
        "a peer at the workers' port was refused: it has no secret",
        "a peer at the workers' port was refused: it has no secret",
        "a peer at the workers' port was refused: it is no worker of Locust (1000 times since this was last said)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


# Real sockets, in this process.


class Channel:
    """A master's socket, and workers' sockets that connect to it."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.master = self.context.socket(zmq.ROUTER)
        self.closed: Any = close_to_strangers(self.master, KEYS)
        self.port = self.master.bind_to_random_port("tcp://127.0.0.1")
        self.workers: list[Any] = []

    def send_as(self, identity: bytes, keys: Keys | None) -> Any:
        worker: Any = zmq.Context.instance().socket(zmq.DEALER)
        worker.linger, worker.identity = 0, identity
        if keys is not None:
            prove_to_master(worker, keys)
        worker.connect(f"tcp://127.0.0.1:{self.port}")
        worker.send(b"hello")
        self.workers.append(worker)
        return worker

    def received(self, seconds: float = 10.0) -> list[bytes]:
        with gevent.Timeout(seconds):
            return list(self.master.recv_multipart())

    def close(self) -> None:
        for socket in (self.master, *self.workers):
            socket.close(linger=0)
        self.closed()
        self.context.term()


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


def test_a_worker_with_the_secret_is_heard_and_others_are_not(channel: Channel) -> None:
    foreign = Keys(KEYS.master_secret, KEYS.master_public, OTHERS.worker_secret, OTHERS.worker_public)
    channel.send_as(b"nothing", None)
    channel.send_as(b"another secret", OTHERS)
    channel.send_as(b"only the master's public key", foreign)
    channel.send_as(b"a worker", KEYS)
    assert channel.received() == [b"a worker", b"hello"]
    with pytest.raises(gevent.Timeout):
        channel.received(0.5)


def test_where_nobody_answers_whether_a_peer_is_let_in_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traffic.channel.guard.gevent.spawn", lambda *_: None)
    channel = Channel()
    channel.send_as(b"a worker", KEYS)
    with pytest.raises(gevent.Timeout):
        channel.received(1.0)
    channel.close()


def refuse(error: Exception) -> NoReturn:
    raise error


def test_what_cannot_be_sent_and_was_not_refused_is_left_to_locust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseSocket, "__init__", BaseSocket.__init__)
    monkeypatch.setattr(BaseSocket, "send", BaseSocket.send)
    monkeypatch.setattr("traffic.locust_patches.channel.REFUSED_WITHIN_S", 0.0)
    close_channel(refuse)
    tries: list[bytes] = []

    def send(data: bytes, *_: int) -> None:
        tries.append(data)
        if len(tries) == 1:
            raise plain.ZMQError(plain.ETERM)

    message = Message("heartbeat", None, "a worker")
    BaseSocket.send(SimpleNamespace(socket=SimpleNamespace(send=send)), message)
    assert tries == [message.serialize()] * 2


def test_locusts_sockets_are_made_as_this_release_of_it_makes_them() -> None:
    code = getattr(BaseSocket.__init__, "__wrapped__", BaseSocket.__init__).__code__
    assert code.co_varnames[: code.co_argcount] in {
        ("self", "sock_type", "ipv4_only"),
        ("socket", "sock_type", "ipv4_only"),
    }
