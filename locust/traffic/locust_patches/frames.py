"""What comes in over Locust's sockets, and is no message, is dropped, counted and named.

The rule that this module guards: no frame ends the loop that reads them. Whoever reaches the port may send any; Locust
lets all but a few faults of them through to its receive loop, which ends by the first and then reads nothing for ever.

A frame is checked before it is unpacked, because it can say "a million empty lists" in a megabyte. `drop_odd_frames`
puts all this in place of Locust's own reading; it has to be called before a runner is made.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gevent
import zmq
from locust.exception import RPCError
from locust.rpc import Message
from locust.rpc.zmqrpc import BaseSocket, Server
from locust.runners import MasterRunner, WorkerRunner

from traffic.clock import now_s
from traffic.locust_patches.message_checks import fault

logger = logging.getLogger(__name__)

Raw = TypeVar("Raw")
Read = TypeVar("Read")

# More than any ack has, by far: one of 16,000 dead letters has 9 MB.
MOST_BYTES = 16 << 20
# ZeroMQ ends the connection of a peer that announces more than this, before it has taken it in.
MOST_ANNOUNCED = 64 << 20
# How many small objects a frame may hold. Each takes a hundred times the byte that it is in the frame.
MOST_OBJECTS = 2 << 20
_FEW_BYTES = 1 << 20
# The bytes that begin a list, a map, an extension, a small integer that Python has to make: msgpack's specification.
_BEGINNINGS = bytes([*range(0x80, 0xA0), 0xC7, 0xC8, 0xC9, 0xD0, *range(0xD4, 0xD9), *range(0xDC, 0xFB)])
LONGEST_NAMED = 60
TELL_EVERY_S = 5.0
# Frames in a row that are dropped before others get their turn.
BURST = 50


class OddFrameError(Exception):
    """A frame that is no message; the text says why."""


class Drops:
    """Counts what is dropped, and names it in the log: one line in `TELL_EVERY_S`, with the number of the others."""

    def __init__(self, clock: Callable[[], float] = now_s) -> None:
        self._clock, self._told_at = clock, -TELL_EVERY_S
        self._untold, self._latest = 0, ""
        self.total = 0

    def drop(self, peer: bytes | str, why: str, *, trace: bool = False) -> None:
        """Count one message of a peer; `trace`: an exception is being handled, whose trace is worth having."""
        self.total += 1
        self._untold += 1
        self._latest = f"{named(peer)}: {why}"
        self.tell(trace=trace)

    def tell(self, *, trace: bool = False) -> None:
        """Name what has not been named yet, if that may be now. Call it now and then."""
        if not self._untold or self._clock() - self._told_at < TELL_EVERY_S:
            return
        others = f" ({self._untold} dropped since this was last said)" if self._untold > 1 else ""
        logger.warning("dropped a message from %s%s", self._latest, others, exc_info=trace)
        self._told_at, self._untold = self._clock(), 0


class ReceiveLoop:
    """Whether Locust's receive loop reads. `since` is when it took the message that it is busy with; None: it waits."""

    def __init__(self) -> None:
        self._greenlet: Any = None
        self.since: float | None = None

    def waits(self) -> None:
        """Note that it asks for a message."""
        self._greenlet, self.since = gevent.getcurrent(), None

    def reads(self) -> None:
        """Note that it has one."""
        self.since = now_s()

    def ill(self, after_s: float) -> str:
        """Why it reads nothing; empty if it does."""
        if self._greenlet is not None and self._greenlet.dead:
            return "the loop that reads the workers' messages has ended"
        if self.since is not None and now_s() - self.since > after_s:
            return f"the loop that reads the workers' messages has been busy with one for {now_s() - self.since:.0f} s"
        return ""


# One process, one port.
drops, loop = Drops(), ReceiveLoop()


def named(peer: bytes | str) -> str:
    """A peer's id for the log, escaped and of bounded length."""
    text = repr(peer[:LONGEST_NAMED])
    return f"{text}…" if len(peer) > LONGEST_NAMED else text


def read(body: bytes, most: int | None = MOST_BYTES) -> Message:
    """Return the message that a frame is. OddFrameError if it is none; `most`: bytes at most, None for any number."""
    if most is not None and len(body) > most:
        raise OddFrameError(f"it has {len(body)} bytes; the most is {most}")
    if most is not None and len(body) > _FEW_BYTES and _objects(body) > MOST_OBJECTS:
        raise OddFrameError(f"its {len(body)} bytes would become too many objects in memory")
    try:
        message: Message = Message.unserialize(body)
    except Exception as error:
        raise OddFrameError(f"it is no message of Locust's: {type(error).__name__}: {str(error)[:100]}") from error
    if not isinstance(message.type, str):
        raise OddFrameError(f"its type is no text, but a {type(message.type).__name__}")
    return message


def read_from_worker(parts: Sequence[bytes]) -> tuple[str, Message]:
    """Return a worker's id and its message. OddFrameError if these are not an id and a message of that worker's."""
    if len(parts) != 2:  # noqa: PLR2004 - an id, and what it sent
        raise OddFrameError(f"it has {len(parts) - 1} parts instead of one")
    try:
        worker = parts[0].decode()
    except UnicodeDecodeError as error:
        raise OddFrameError("the sender has no id that is text") from error
    message = read(parts[1])
    if message.node_id != worker:
        raise OddFrameError("it speaks for another than its sender")
    return worker, message


def _objects(body: bytes) -> int:
    """How many objects a frame may hold at most that are larger than what they are in it."""
    return len(body) - len(body.translate(None, _BEGINNINGS))


def _receive_from_worker(server: Server) -> tuple[str, Message]:
    loop.waits()
    worker, message = _next(server.socket.recv_multipart, read_from_worker, lambda parts: parts[0])
    loop.reads()
    return worker, message


def _receive_from_master(client: BaseSocket) -> Message:
    return _next(client.socket.recv, lambda body: read(body, None), lambda _: "the master")


def _next(receive: Callable[[], Raw], understand: Callable[[Raw], Read], sender: Callable[[Raw], bytes | str]) -> Read:
    """Return what the next frame says that says anything."""
    dropped = 0
    while True:
        try:
            raw = receive()
        except zmq.ZMQError as error:
            raise RPCError("ZMQ network broken") from error
        try:
            return understand(raw)
        except OddFrameError as error:
            drops.drop(sender(raw), str(error))
        dropped += 1
        if dropped % BURST == 0:
            gevent.sleep(0)


def handled(handle: Callable[[], None], peer: str, kind: str) -> None:
    """Handle a message; one that cannot be handled is dropped."""
    try:
        handle()
    except Exception as error:  # noqa: BLE001 - the loop that calls this has to go on
        drops.drop(peer, f"its {named(kind)} could not be handled: {type(error).__name__}", trace=True)


def drop_odd_frames() -> None:
    """Drop what is no message of Locust's, count it and name it.

    Call it before a runner is made; a second call does nothing. One such frame, from whoever reaches the port, ends the
    loop that reads them, at the master or at a worker. One with wrong data ends it later, or stays in the statistics.
    Needed for Locust 2.47.
    """
    server, socket, master, worker = (_changeable(one) for one in (Server, BaseSocket, MasterRunner, WorkerRunner))
    if server.recv_from_client is _receive_from_worker:
        return
    server.recv_from_client, socket.recv = _receive_from_worker, _receive_from_master
    of_master, of_worker = master.handle_message, worker.handle_message

    def handle_at_master(runner: MasterRunner, client_id: str, msg: Message) -> None:
        if why := fault(msg, runner.custom_messages):
            drops.drop(client_id, why)
            return
        handled(lambda: of_master(runner, client_id, msg), client_id, msg.type)

    def handle_at_worker(runner: WorkerRunner, msg: Message) -> None:
        handled(lambda: of_worker(runner, msg), "the master", msg.type)

    master.handle_message, worker.handle_message = handle_at_master, handle_at_worker


def _changeable(one: Any) -> Any:
    return one


def limit_frame_size(server: Server) -> None:
    """End the connection of a peer that announces a frame of more than `MOST_ANNOUNCED` bytes.

    Locust's sockets accept a frame of any size, and ZeroMQ makes room for it. Needed for Locust 2.47.
    """
    server.socket.setsockopt(zmq.MAXMSGSIZE, MOST_ANNOUNCED)
