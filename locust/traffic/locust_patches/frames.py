"""Drop, count and name what comes in over Locust's sockets and is no message.

Guarded here: no frame ends the loop that reads them. Whoever reaches the port may send any; Locust lets nearly every
invalid frame through to its receive loop, which the first one ends, so that nothing is read any more.

A frame is checked before it is unpacked, because it can hold "a million empty lists" in a megabyte.
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
from traffic.locust_patches.message_checks import why_invalid

logger = logging.getLogger(__name__)

Raw = TypeVar("Raw")
Read = TypeVar("Read")

# More than any ack has, by far: one of 16,000 dead letters has 9 MB.
MOST_BYTES = 16 << 20
# ZeroMQ ends the connection of a peer that announces more than this, before it reads the frame.
MOST_ANNOUNCED = 64 << 20
# How many small objects a frame may hold. Each takes a hundred bytes of memory for one byte of the frame.
MOST_OBJECTS = 2 << 20
_SMALL_BYTES = 1 << 20
# The bytes that begin a list, a map, an extension, or an integer that Python must make, by msgpack's specification.
_BEGINNINGS = bytes([*range(0x80, 0xA0), 0xC7, 0xC8, 0xC9, 0xD0, *range(0xD4, 0xD9), *range(0xDC, 0xFB)])
LONGEST_QUOTED = 60
REPORT_EVERY_S = 5.0
# After so many dropped frames in a row, other greenlets run.
BURST = 50


class OddFrameError(Exception):
    """A frame that is no message; the text says why."""


class Drops:
    """Counts dropped messages and reports them: one log line in `REPORT_EVERY_S`, with the number of the others."""

    def __init__(self, clock: Callable[[], float] = now_s) -> None:
        self._clock, self._reported_at = clock, -REPORT_EVERY_S
        self._unreported, self._latest = 0, ""
        self.total = 0

    def drop(self, peer: bytes | str, why: str, *, trace: bool = False) -> None:
        """Count one message of a peer; `trace`: log the trace of the exception that is being handled."""
        self.total += 1
        self._unreported += 1
        self._latest = f"{quoted(peer)}: {why}"
        self.report(trace=trace)

    def report(self, *, trace: bool = False) -> None:
        """Log what has not been reported yet, unless the last line is too recent. Call it now and then."""
        if not self._unreported or self._clock() - self._reported_at < REPORT_EVERY_S:
            return
        others = f" ({self._unreported} dropped since this was last said)" if self._unreported > 1 else ""
        logger.warning("dropped a message from %s%s", self._latest, others, exc_info=trace)
        self._reported_at, self._unreported = self._clock(), 0


class ReceiveLoop:
    """Whether Locust's receive loop reads. `since` is when it began its present message; None: it waits for one."""

    def __init__(self) -> None:
        self._greenlet: Any = None
        self.since: float | None = None

    def note_waiting(self) -> None:
        """Note that the loop waits for a message."""
        self._greenlet, self.since = gevent.getcurrent(), None

    def note_message(self) -> None:
        """Note that the loop handles a message."""
        self.since = now_s()

    def ill(self, after_s: float) -> str:
        """Return why the loop reads nothing; empty if it reads."""
        if self._greenlet is not None and self._greenlet.dead:
            return "the loop that reads the workers' messages has ended"
        if self.since is not None and now_s() - self.since > after_s:
            return f"the loop that reads the workers' messages has been busy with one for {now_s() - self.since:.0f} s"
        return ""


# One process, one port.
drops, loop = Drops(), ReceiveLoop()


def quoted(peer: bytes | str) -> str:
    """Return a peer's id for the log, escaped and of bounded length."""
    text = repr(peer[:LONGEST_QUOTED])
    return f"{text}…" if len(peer) > LONGEST_QUOTED else text


def read(body: bytes, most: int | None = MOST_BYTES) -> Message:
    """Parse a frame. OddFrameError if it is no message; `most`: how many bytes it may have, None for any number."""
    if most is not None and len(body) > most:
        raise OddFrameError(f"it has {len(body)} bytes; the most is {most}")
    if most is not None and len(body) > _SMALL_BYTES and _objects(body) > MOST_OBJECTS:
        raise OddFrameError(f"its {len(body)} bytes would become too many objects in memory")
    try:
        message: Message = Message.unserialize(body)
    except Exception as error:
        raise OddFrameError(f"it is no message of Locust's: {type(error).__name__}: {str(error)[:100]}") from error
    if not isinstance(message.type, str):
        raise OddFrameError(f"its type is no text, but a {type(message.type).__name__}")
    return message


def read_from_worker(parts: Sequence[bytes]) -> tuple[str, Message]:
    """Return a worker's id and its message. OddFrameError if the parts are not an id and that worker's message."""
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
    """Return an upper bound of the objects in a frame that take more memory than bytes of the frame."""
    return len(body) - len(body.translate(None, _BEGINNINGS))


def _receive_from_worker(server: Server) -> tuple[str, Message]:
    loop.note_waiting()
    worker, message = _next(server.socket.recv_multipart, read_from_worker, lambda parts: parts[0])
    loop.note_message()
    return worker, message


def _receive_from_master(client: BaseSocket) -> Message:
    return _next(client.socket.recv, lambda body: read(body, None), lambda _: "the master")


def _next(receive: Callable[[], Raw], understand: Callable[[Raw], Read], sender: Callable[[Raw], bytes | str]) -> Read:
    """Return the next message; drop frames that are none."""
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
    """Handle a message, or drop it if that fails."""
    try:
        handle()
    except Exception as error:  # noqa: BLE001 - the loop that calls this must go on
        drops.drop(peer, f"its {quoted(kind)} could not be handled: {type(error).__name__}", trace=True)


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
        if why := why_invalid(msg, runner.custom_messages):
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
