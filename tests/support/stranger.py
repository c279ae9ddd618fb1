"""Somebody at the master's port who is no worker, and what such a one may send."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import zmq

from support.secret import SECRET
from traffic.channel.guard import prove_to_master
from traffic.channel.secret import Keys

LINGER_MS = 2000


def said(kind: Any, data: Any = None, node: Any = "stranger") -> list[bytes]:
    """A message as Locust packs it, in one part."""
    return [bytes(msgpack.dumps((kind, data, node)))]


_STATS = {"stats": [{"name": "x"}], "stats_total": {}, "errors": {}, "user_classes_count": {"A": "x"}, "user_count": 1}
# Of each the master has nothing to take, whoever sends it.
ODD: list[list[bytes]] = [
    [b""],
    [b"\xc1"],
    [b"GET / HTTP/1.1\r\n\r\n"],
    [b"\x91" * 100_000 + b"\x90"],
    [b"\xdd\xff\xff\xff\xff"],
    [b"\x93\xa4quit\xdd" + (8 << 20).to_bytes(4, "big") + b"\x90" * (8 << 20) + b"\xa8stranger"],
    [*said("quit"), b"", b""],
    said(["quit"]),
    said({"a": 1}),
    said(7),
    said("quit", None, None),
    said("quit", None, "another"),
    said("quit", None, ["stranger"]),
    said("no such type", b"x" * 10_000),
    said("client_ready"),
    said("client_ready", 7),
    said("client_ready", ["2.47.0"]),
    said("locustfile", 1),
    said("heartbeat", [1]),
    said("heartbeat", {"state": []}),
    said("stats"),
    said("stats", 1),
    said("stats", _STATS),
    said("logs", 1),
    said("exception", 1),
    said("traffic.hello", {"version": "2", "hello": -1}),
    said("traffic.ack", {"session": 2**64 - 1}),
    said("traffic.ack", [[[[]]]]),
]


@contextmanager
def stranger(port: int, identity: bytes, secret: str = SECRET) -> Iterator[zmq.Socket[bytes]]:
    """A socket that is connected to the master's port under an id; `secret`: what it knows, empty for nothing."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    if secret:
        prove_to_master(socket, Keys.of(secret.encode()))
    socket.setsockopt(zmq.IDENTITY, identity)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.connect(f"tcp://127.0.0.1:{port}")
    try:
        yield socket
    finally:
        socket.close()
        context.term()
