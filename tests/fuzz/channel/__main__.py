"""Send the workers' port as many odd frames as are asked for while a run goes on: the run must end right all the same.

    python -m fuzz.channel --frames 1000000 --first 0

A third comes from peers with the secret, a third from peers that speak ZeroMQ and have none, or another, and a third is
bytes that no peer sends. All are drawn from the seed.
"""

import argparse
import contextlib
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgpack
import zmq

from support.cluster import REPLAY, Cluster, records_file
from support.fake_api import FakeApi, Step, fake_api
from support.stranger import ODD, stranger
from traffic.core.protocol import Ack, Hello

USERS, WORKERS = 8, 2
# The run is to outlast the frames: one record is sent while some hundreds of them are.
LEAST_RECORDS, FRAMES_A_RECORD = 2000, 200
ANOTHER = "another secret, which is as long as the first"
# Frames that one peer, or one connection, sends.
OF_ONE = 500
KINDS = [
    *("client_ready", "client_stopped", "heartbeat", "stats", "spawning", "spawning_complete", "quit", "exception"),
    *("locustfile", "logs", "custom", "traffic.hello", "traffic.ack", "traffic.results", "traffic.welcome"),
]
_ACK = Ack(1, 1, 0, "20260101-000000-abcdef", ((0, 5),), (), (), 100, 5, 5, 0, "", leaving=False)
_REAL = [msgpack.packb((one.type, one.to_wire(), "stranger")) for one in (Hello(9, 0), _ACK)]


def value(draw: random.Random, depth: int = 0) -> Any:
    """Anything that msgpack can carry."""
    plain = [None, True, 0, -1, 2**63, 1.5, "", "stranger", "2.47.0", b"\xff" * draw.randint(0, 40), draw.random()]
    if depth > 3 or draw.random() < 0.6:
        return draw.choice(plain)
    size = draw.randint(0, 4)
    if draw.random() < 0.5:
        return [value(draw, depth + 1) for _ in range(size)]
    return {draw.choice(("state", "run", "session", "holds", "a", 1)): value(draw, depth + 1) for _ in range(size)}


def damaged(draw: random.Random, data: bytes) -> bytes:
    """A message of which a few bytes are others, are gone, or are there twice."""
    made = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(made) or 1)
        act = draw.randrange(3)
        if act == 0:
            made[at : at + 1] = draw.randbytes(1)
        elif act == 1:
            del made[at : at + draw.randint(1, 9)]
        else:
            made[at:at] = made[at : at + draw.randint(1, 9)]
    return bytes(made)


def frames(draw: random.Random) -> list[bytes]:
    """The parts of one odd message."""
    act = draw.random()
    if act < 0.2:
        return [draw.randbytes(draw.randint(0, 200)) for _ in range(draw.randint(1, 3))]
    if act < 0.6:
        return [msgpack.packb((draw.choice(KINDS), value(draw), draw.choice(("stranger", "", None, 7))))]
    if act < 0.99:
        return [damaged(draw, draw.choice(_REAL))]
    return draw.choice([parts for parts in ODD if sum(map(len, parts)) < 1 << 20])


def speak(draw: random.Random, port: int, name: str, secret: str | None, count: int) -> None:
    """Send messages as one peer; `secret` None: what the tests' master has."""
    known = () if secret is None else (secret,)
    with stranger(port, name.encode(), *known) as peer:
        for _ in range(count):
            parts = frames(draw)
            if secret is None:
                while not peer.poll(5000, zmq.POLLOUT):
                    pass
                peer.send_multipart(parts)
            else:
                with contextlib.suppress(zmq.Again):  # nobody takes them
                    peer.send_multipart(parts, zmq.NOBLOCK)


def throw(draw: random.Random, port: int, count: int) -> None:
    """Send bytes that are no ZeroMQ, or only begin as such."""
    greeting = b"\xff" + b"\x00" * 8 + b"\x7f\x03\x01" + draw.choice((b"CURVE", b"NULL", b"PLAIN")).ljust(20, b"\0")
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(draw.choice((b"", greeting + b"\0" * 32)))
        for _ in range(count):
            line.sendall(draw.randbytes(draw.randint(1, 200)))


def fuzz(cluster: Cluster, api: FakeApi, asked: int, first: int) -> Counter[str]:
    """Send so many frames; return how many of each sort."""
    sent: Counter[str] = Counter()
    turn = first
    while sent.total() < asked:
        draw, count = random.Random(turn), min(OF_ONE, asked - sent.total())
        sort = ("with the secret", "without it", "no ZeroMQ")[turn % 3]
        if sort == "with the secret":
            speak(draw, cluster.port, f"stranger {turn}", None, count)
        elif sort == "without it":
            speak(draw, cluster.port, f"stranger {turn}", draw.choice(("", ANOTHER)), count)
        else:
            throw(draw, cluster.port, count)
        sent[sort] += count
        turn += 1
        if not cluster.master.alive:
            break
    return sent


def main() -> int:
    """Run it. Return 1 if the run did not end right."""
    made = argparse.ArgumentParser(prog="python -m fuzz.channel")
    made.add_argument("--frames", type=int, default=20_000, help="how many frames")
    made.add_argument("--first", type=int, default=0, help="the first seed")
    asked = made.parse_args()
    began, records = time.monotonic(), LEAST_RECORDS + asked.frames // FRAMES_A_RECORD
    with tempfile.TemporaryDirectory() as folder, fake_api() as api:
        api.always(Step(delay=2.0))
        options: dict[str, Any] = {"TRAFFIC_FILE": records_file(Path(folder), records)}
        with Cluster(Path(folder), api.url, workers=WORKERS, users=USERS, locustfile=REPLAY, **options) as cluster:
            cluster.until(lambda: api.count > 0, "the run has begun")
            sent = fuzz(cluster, api, asked.frames, asked.first)
            during = api.count
            api.always(Step())
            code = cluster.wait(seconds=300)
            counts = cluster.report["counts"]
            once = Counter(post.index for post in api.posts()) == dict.fromkeys(range(records), 1)
            good = code == 0 and counts["delivered"] == counts["attempts"] == records and once
            dropped = cluster.master.log.count("dropped a message")
            if not good:
                print(cluster.master.log[-5000:])
    seconds = time.monotonic() - began
    print(f"{sent.total()} frames ({dict(sent)}) in {seconds:.0f} s, while {during} records were sent; "
          f"{dropped} lines name dropped ones; exit code {code}, {counts}, each once: {once}")  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
