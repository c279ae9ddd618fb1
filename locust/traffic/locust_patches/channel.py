"""Close the sockets between master and workers to everybody who does not have their secret.

Locust's sockets take messages from whoever reaches the port, and send everything in the clear.
"""

import os
from collections.abc import Callable
from typing import Any, NoReturn

import zmq
from locust.rpc import Message
from locust.rpc.zmqrpc import BaseSocket

from traffic.channel.guard import close_to_strangers, prove_to_master
from traffic.channel.refusals import refusals, report_refusals
from traffic.channel.secret import SecretError, keys_from
from traffic.errors import RefusedError

# How long a refusal may be on its way from ZeroMQ's thread.
REFUSED_WITHIN_S = 1.0


class NotTakenError(RefusedError):
    """The master takes no message from this worker; the text says why."""


def close_channel(refuse: Callable[[RefusedError], NoReturn]) -> None:
    """Have every socket that Locust makes from now on closed by CURVE, if there is a secret, and say what it refuses.

    Call it before a runner is made; a second call does nothing. `refuse` ends the process if the secret cannot be used,
    and a worker that has a secret where its master has none, or the other way round: ZeroMQ does not try again then.
    Needed for Locust 2.47.
    """
    make: Any = BaseSocket.__init__
    send: Any = BaseSocket.send
    if getattr(make, "closing", False):
        return

    def closing(socket: Any, sock_type: int, ipv4_only: bool) -> None:
        try:
            keys = keys_from(os.environ)
        except SecretError as error:
            refuse(error)
        make(socket, sock_type, ipv4_only)
        on_closed: Callable[[], None] = _nothing
        master = sock_type == zmq.ROUTER
        if keys is not None and master:
            on_closed = close_to_strangers(socket.socket, keys)
        elif keys is not None:
            prove_to_master(socket.socket, keys)
        report_refusals(socket.socket, on_closed, master=master, secret=keys is not None)

    def sending(socket: Any, message: Message) -> None:
        try:
            socket.socket.send(message.serialize(), zmq.NOBLOCK)
        except zmq.ZMQError:
            if why := refusals.await_latest(REFUSED_WITHIN_S):
                refuse(NotTakenError(f"the master does not take this worker: {why}"))
            send(socket, message)  # Locust tries several times, and raises what it catches elsewhere

    closing.closing = True  # type: ignore[attr-defined]
    BaseSocket.__init__, BaseSocket.send = closing, sending  # type: ignore[method-assign]


def _nothing() -> None:
    pass
