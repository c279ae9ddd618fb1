"""A replay user in the test's own process, records for it, and a server that treats connections as a test says."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
from gevent import socket as sockets
from gevent.pool import Group
from gevent.server import StreamServer
from locust.env import Environment

from support.deadlines import stretched
from traffic.clock import now_s
from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import RunConfig
from traffic.core.worker.feed import Record
from traffic.users.replay_user import ReplayUser
from traffic.users.source import sources

OK = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
DEADLINE_S = 30.0


@dataclass
class Books:
    """A source of records that notes what came of each; an attempt that asks for another gets none.

    `held_back` of them are not there yet. Each was due `late_s` before it is taken, unless that is 0: then at no time.
    Another worker may have sent those of `repeats`. `reject_if` is the run's.
    """

    bodies: list[bytes]
    policy: str = "at-least-once"
    wait_s: tuple[float, float] = (0.0, 0.0)
    booked: list[tuple[int, Answer, Outcome]] = field(default_factory=list)
    taken: int = 0
    name: str = "worker-1"
    held_back: int = 0
    timeout_s: float = 60.0
    late_s: float = 0.0
    repeats: set[int] = field(default_factory=set)
    reject_if: str = ""

    @property
    def run(self) -> RunConfig:
        terms = RunConfig("run-1", "POST", "/in", self.wait_s, 3, self.policy, self.timeout_s)
        return replace(terms, reject_if=self.reject_if)

    @property
    def over(self) -> bool:
        return self.taken >= len(self.bodies)

    def take(self, now: float | None = None) -> Record | None:
        if self.taken >= len(self.bodies) - self.held_back:
            return None
        self.taken += 1
        due = now_s() - self.late_s if self.late_s else 0.0
        at = self.taken - 1
        return Record("run-1", 1, at, at, self.bodies[at], redelivered=at in self.repeats, due=due)

    def take_batch(self, now: float, most: int) -> list[Record]:
        taken = (self.take(now) for _ in range(most))
        return [record for record in taken if record is not None]

    def record_outcome(self, record: Record, answer: Answer, outcome: Outcome, now: float | None = None) -> None:
        assert record.index not in [index for index, _, _ in self.booked], "an outcome is reported once"
        self.booked.append((record.index, answer, outcome))

    def wait(self, timeout: float) -> None:
        gevent.sleep(0.01)

    @property
    def answers(self) -> list[Answer]:
        """What came of the records, in their order."""
        return [answer for _, answer, _ in sorted(self.booked, key=lambda one: one[0])]


@dataclass
class Request:
    """One request as it came in, by the number of its connection."""

    connection: int
    head: bytes
    body: bytes

    @property
    def index(self) -> int:
        return int(self.head.partition(b"Idempotency-Key: run-1-")[2].partition(b"\r\n")[0])


class Server:
    """`serve(socket, request)` answers one request; the connection continues until it returns False, or closes."""

    def __init__(self, serve: Callable[[Any, Request], bool | None], listener: Any, **options: Any) -> None:
        self._serve, self.connections = serve, 0
        self.requests: list[Request] = []
        self._server = StreamServer(listener, self._handle, **options)
        self._server.start()

    def _handle(self, connection: Any, _: object) -> None:
        self.connections += 1
        number = self.connections
        with contextlib.suppress(OSError), connection:
            while request := self._request(connection, number):
                self.requests.append(request)
                if self._serve(connection, request) is False:
                    return

    def _request(self, connection: Any, number: int) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data:
            got = connection.recv(65536)
            if not got:
                return None
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
        while len(body) < length:
            got = connection.recv(65536)
            if not got:
                return None
            body += got
        return Request(number, head, body)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.address[1]}"

    def close(self) -> None:
        self._server.stop()


def listening(family: int = sockets.AF_INET, address: Any = ("127.0.0.1", 0)) -> Any:
    made = sockets.socket(family, sockets.SOCK_STREAM)
    made.bind(address)
    made.listen(64)
    return made


@contextlib.contextmanager
def server(serve: Callable[[Any, Request], bool | None], listener: Any = None, **options: Any) -> Iterator[Server]:
    made = Server(serve, listener or listening(), **options)
    try:
        yield made
    finally:
        made.close()


class Users:
    """Users of one class at one source, in this process."""

    def __init__(self, books: Books, url: str, count: int = 1, kind: Any = ReplayUser, **settings: Any) -> None:
        self.environment = Environment()
        self.errors: list[Exception] = []
        self.environment.events.user_error.add_listener(lambda exception, **_: self.errors.append(exception))
        sources[self.environment] = books
        self.group = Group()
        made = type("Fast", (kind,), {"host": url, **settings})
        self.users = [made(self.environment) for _ in range(count)]

    def start(self) -> None:
        for user in self.users:
            user.start(self.group)

    def join(self) -> None:
        assert self.group.join(stretched(DEADLINE_S)), "the users end"

    def run(self) -> "Users":
        self.start()
        self.join()
        return self


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition."""
    with gevent.Timeout(stretched(DEADLINE_S), TimeoutError(what)):
        while not condition():
            gevent.sleep(0.005)
