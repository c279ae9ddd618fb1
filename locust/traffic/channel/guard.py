"""Closes Locust's sockets by CURVE: the master's lets in who has the workers' key, a worker's talks to the master.

Guarded here: it fails closed. The master's socket asks for a peer's key before it takes a message, and if nobody
answers that question (ZAP, RFC 27), nobody is let in.
"""

import hmac
from collections.abc import Callable
from typing import Any

import gevent
import zmq
from zmq.utils import z85

from traffic.channel.secret import Keys

_DOMAIN = b"traffic"
_ASKED_AT = "inproc://zeromq.zap.01"
_LET_IN, _REFUSED = (b"200", b""), (b"400", b"it does not have the workers' key")
# A worker that is refused tries again after 0.1 s, 0.2 s ... up to this; in milliseconds. One that was cut off is to
# come back as soon as it can: others would send again what it has sent.
_MOST_BETWEEN_MS = 800


def close_to_strangers(socket: Any, keys: Keys) -> Callable[[], None]:
    """Let nobody but workers with the secret connect to a master's socket, which is not bound yet.

    Returns what to call once that socket is closed.
    """
    # In the socket's own context, where libzmq looks for it, and before the socket is bound.
    asked = socket.context.socket(zmq.REP)
    asked.linger = 0
    asked.bind(_ASKED_AT)
    gevent.spawn(_answer, asked, z85.decode(keys.worker_public))
    socket.curve_server = True
    socket.curve_secretkey = keys.master_secret
    socket.zap_domain = _DOMAIN
    # Without it, libzmq lets in whoever knows the master's public key if nobody answers.
    socket.zap_enforce_domain = True
    return asked.close  # type: ignore[no-any-return]


def prove_to_master(socket: Any, keys: Keys) -> None:
    """Have a worker's socket, which is not connected yet, talk to the master alone, by the workers' key."""
    socket.curve_serverkey = keys.master_public
    socket.curve_publickey, socket.curve_secretkey = keys.worker_public, keys.worker_secret
    socket.reconnect_ivl_max = _MOST_BETWEEN_MS


def _answer(asked: Any, key: bytes) -> None:
    """Answer, for ever, whether a peer is let in."""
    while True:
        try:
            request = asked.recv_multipart()
        except zmq.ZMQError:
            return  # it is closed
        asked.send_multipart(judged(request, key))


def judged(request: list[bytes], key: bytes) -> list[bytes]:
    """Return the answer to a question of ZAP: whether a peer with these credentials is let in."""
    version, number, domain, _address, _identity, mechanism, *credentials = request
    good = (mechanism, domain, len(credentials)) == (b"CURVE", _DOMAIN, 1) and hmac.compare_digest(credentials[0], key)
    status, why = _LET_IN if good else _REFUSED
    return [version, number, status, why, b"", b""]
