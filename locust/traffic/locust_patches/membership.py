"""Cures of which workers Locust's master lists: each that is there, none twice, none that is gone."""

from collections.abc import Callable

import zmq
from locust import __version__
from locust.rpc import Message
from locust.rpc.zmqrpc import Server
from locust.runners import MasterRunner, WorkerRunner

from traffic.clock import now_s
from traffic.core.protocol import REGISTER
from traffic.locust_patches import states
from traffic.locust_patches.frames import handled

# A worker whose users have ended leaves the list until it registers again, which it does at once, unless it is gone.
RETURN_S = 5.0
_RAMP_UP_REPORTS = ("spawning", "spawning_complete")


def filter_messages(runner: MasterRunner, accept: Callable[[Message], bool]) -> None:
    """Have the master handle a worker's message only if `accept` returns True."""
    handle = runner.handle_message

    def handle_message(client_id: str, msg: Message) -> None:
        def act() -> None:
            if accept(msg):
                handle(client_id, msg)

        handled(act, client_id, msg.type)

    runner.handle_message = handle_message  # type: ignore[method-assign]


def allow_reconnect(server: Server) -> None:
    """Let a worker whose connection broke on its side alone come back under its old identity.

    Otherwise ZeroMQ ignores the new connection until the kernel gives the old one up, half a minute later or more.
    Locust makes a new socket when it resets its connections: call it for each. Needed for Locust 2.47.
    """
    server.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)


def ignore_unknown_workers(runner: MasterRunner) -> None:
    """Ignore a report of started users if the master does not list the worker.

    A master that was restarted reads such reports from workers of the master before. Locust would answer with "quit",
    and end these workers; `request_registration` lists them instead. Needed for Locust 2.47.
    """
    filter_messages(runner, lambda message: message.type not in _RAMP_UP_REPORTS or message.node_id in runner.clients)


def count_workers_once(runner: MasterRunner) -> None:
    """Take a worker that registers again out of the dispatcher of users before Locust adds it.

    Otherwise it counts as two: it gets the users of two, and other workers get fewer, or none. Needed for Locust 2.47.
    """

    def accept(message: Message) -> bool:
        dispatcher = runner._users_dispatcher
        if message.type == "client_ready" and dispatcher is not None and message.node_id in runner.clients:
            dispatcher.remove_worker(runner.clients[message.node_id])
        return True

    filter_messages(runner, accept)


def note_returning_workers(runner: MasterRunner) -> dict[str, float]:
    """Return a table, kept up to date, of workers that are about to register again, with the time until which to wait.

    Between the end of a worker's users and its next registration a Start would not reach it, and Locust would call the
    start a success. Needed for Locust 2.47.
    """
    returning: dict[str, float] = {}

    def accept(message: Message) -> bool:
        if message.type == "client_stopped":
            returning[message.node_id] = now_s() + RETURN_S
        elif message.type in {"client_ready", "quit"}:
            returning.pop(message.node_id, None)
        return True

    filter_messages(runner, accept)
    return returning


def forget_missing_workers(runner: MasterRunner) -> None:
    """Remove the missing workers from the master's list once the test has been stopped.

    Otherwise Locust's state stays at "stopping" for a minute, and no new test starts. Needed for Locust 2.47.
    """
    for worker in [client.id for client in runner.clients.all if client.state == states.MISSING]:
        del runner.clients[worker]
    runner.check_stopped()


def request_registration(runner: MasterRunner, worker: str, run: str) -> None:
    """Ask a worker that the master does not list to register; `run` is the one that the running test delivers.

    Locust's workers register once, at their start. One that the master forgot, or whose master was restarted, would get
    no users. Needed for Locust 2.47.
    """
    runner.server.send_to_client(Message(REGISTER, {"run": run}, worker))


def register_again(runner: WorkerRunner) -> None:
    """Register a worker with its master, as at its start: the answer to `request_registration`.

    Needed for Locust 2.47.
    """
    runner.client.send(Message("client_ready", __version__, runner.client_id))
