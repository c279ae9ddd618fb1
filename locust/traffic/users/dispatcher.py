"""What the replay users of one worker share: batches of answers, endpoints, and one clock for all timeouts."""

import time
from collections import deque
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.exception import CatchResponseError

from traffic.clock import now_s
from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import TIMEOUT_S
from traffic.core.worker.feed import Record
from traffic.http.connection import Connection
from traffic.http.endpoint import Endpoint
from traffic.http.http1 import ResponseHead
from traffic.http.resolver import Resolver, Target, tls_context
from traffic.users.request_plan import RequestPlan, rule_of
from traffic.users.source import RecordSource
from traffic.users.stats import StatsBuffer, only_locust_listens

# How exactly timeouts are kept, and how late statistics may be.
TICK_S = 0.1
PATIENCE_S = 1.0
# So many answers at most are booked at a time: the first of them is not to wait for long.
MOST_IN_A_TURN = 32


class Timed(Protocol):
    """What has an answer to wait for, or a connection."""

    connection: Connection

    def expire(self, now: float) -> None:
        """Give up the answer, or the connection, that is awaited."""


class InTurn(Timed, Protocol):
    """What takes record after record, in turns."""

    def record_response(self) -> bool:
        """Book the answer; whether a record is wanted at once."""

    def prepare(self, record: Record) -> bool:
        """Make the request that sends a record; whether that could be done."""

    def send(self) -> None:
        """Send what was prepared."""

    def wait_for_record(self) -> None:
        """Wait for a record, or end."""

    def proceed_in_turn(self) -> None:
        """Take the next record and send it, or wait until there is one."""

    def fail_user(self, error: Exception) -> None:
        """Have the user's greenlet say that something raised."""


class Dispatcher:
    """The senders of one worker process. `bulk_stats`: only Locust listens to requests, so they are counted in bulk."""

    def __init__(self, environment: Environment, source: RecordSource) -> None:
        self.environment, self.source, self.loop = environment, source, gevent.get_hub().loop
        self.bulk_stats = True
        self._places: set[Timed] = set()
        self._idle: deque[InTurn] = deque()
        self._responses: list[InTurn] = []
        self._wanted = Event()
        self._routes: dict[tuple[type, str], Endpoint] = {}
        self._courses: dict[tuple[type, str, str, int], RequestPlan] = {}
        self._tallies: dict[tuple[str, str], StatsBuffer] = {}
        self._untold: deque[dict[str, Any]] = deque()
        self._telling: Any = None
        self._ticking: Any = None
        gevent.spawn(self._serve_idle)

    def enter(self, place: Timed) -> None:
        """Watch a place's time."""
        self._places.add(place)
        self.bulk_stats = only_locust_listens(self.environment)
        if not self._ticking:
            self._ticking = gevent.spawn(self._tick)

    def leave(self, place: Timed) -> None:
        """A user ends: whatever it did is to be in the statistics now."""
        self._places.discard(place)
        if place in self._idle:
            self._idle.remove(place)  # type: ignore[arg-type] # it is one of them
        self._fold()

    def on_response(self, seat: InTurn) -> None:
        """Let a seat have its turn: once the loop has read the answers of all that have one, or of many."""
        self._responses.append(seat)
        if len(self._responses) == 1:
            self.loop.run_callback(self._run_batch)
        elif len(self._responses) == MOST_IN_A_TURN:
            self._run_batch()

    def _run_batch(self) -> None:
        """Book the answers, take the next records, make their requests, send them: each for all seats at a time.

        So the code and the data of each step stay in the processor's caches, which every system call clears.
        """
        heard, self._responses = self._responses, []
        free = [seat for seat in heard if seat.record_response()]
        try:
            records = self.source.take_batch(now_s(), len(free)) if free else []
        except Exception as error:  # noqa: BLE001 - the loop would print it and go on; the users are to know
            for seat in free:
                seat.fail_user(error)
            return
        for seat in [seat for seat, record in zip(free, records, strict=False) if seat.prepare(record)]:
            seat.send()
        for seat in free[len(records) :]:
            seat.wait_for_record()

    def idle(self, seat: InTurn) -> None:
        """Let a seat wait for a record."""
        self._idle.append(seat)
        self._wanted.set()

    def route(self, user: Any) -> Endpoint:
        """How the users of a class reach their host. ValueError where the host is no URL; OSError for a CA file."""
        key = type(user), user.host
        if key not in self._routes:
            target = Target.of(user.host)
            tls = None
            if target.tls:
                tls = tls_context(insecure=user.insecure, ca_file=user.ca_file, certificate=user.client_certificate)
            resolver = Resolver(target, gevent.spawn, now_s)
            times = user.connection_timeout, user.network_timeout or TIMEOUT_S
            self._routes[key] = Endpoint(target, resolver, self.loop, *times, tls)
        return self._routes[key]

    def course(self, user: Any) -> RequestPlan:
        """What the users of a class do in the present run."""
        run = self.source.run
        assert run is not None, "a record was taken, so there is a run"
        key = type(user), user.host, run.run, id(user.rule)
        if key not in self._courses:
            name = run.path, run.method
            tally = self._tallies.setdefault(name, StatsBuffer(*name))
            headers, target = user.default_headers or {}, self.route(user).target
            course = RequestPlan(run, rule_of(user.rule, run), target, self.source.name, headers, tally)
            self.route(user).answer_timeout = user.network_timeout or run.timeout
            self._courses = {other: made for other, made in self._courses.items() if made.run == run.run}
            self._courses[key] = course
        return self._courses[key]

    def _serve_idle(self) -> None:
        """Give records to the seats that wait for them, and the end where there are no more to come."""
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while self._idle:
                self.source.wait(PATIENCE_S)
                for _ in range(len(self._idle)):
                    if not self._idle:
                        break
                    seat = self._idle.popleft()
                    seat.proceed_in_turn()
                    if seat in self._idle and not self.source.over:
                        break  # it found nothing, and so would the others

    def _tick(self) -> None:
        """Keep the time, for all places at once, until the last has left."""
        second = int(time.time())
        while self._places:
            gevent.sleep(TICK_S)
            now = now_s()
            for place in [place for place in self._places if place.connection.due <= now]:
                place.expire(now)
            self.bulk_stats = only_locust_listens(self.environment)
            if int(time.time()) != second:
                second = int(time.time())
                self._fold()
        self._ticking = None

    def _fold(self) -> None:
        for tally in self._tallies.values():
            tally.fold(self.environment.stats)

    # Where somebody listens, each request is told, in its turn, in a greenlet: a listener may wait.

    def tell(
        self,
        user: Any,
        course: RequestPlan,
        head: ResponseHead | None,
        answer: Answer,
        outcome: Outcome,
        body: int,
        started: float,
        now: float,
    ) -> None:
        """Tell the listeners of one request."""
        took = now - started
        error = None if outcome is Outcome.DELIVERED else CatchResponseError(answer.reason)
        self._untold.append(
            {
                "request_type": course.tally.method,
                "name": course.tally.name,
                "response_time": took * 1000,
                "response_length": body,
                "response": head,
                "context": user.context(),
                "exception": error,
                "start_time": time.time() - took,
                "url": f"{user.host}{course.tally.name}",
            }
        )
        if self._telling is None:
            self._telling = gevent.spawn(self._tell)

    def _tell(self) -> None:
        while self._untold:
            self.environment.events.request.fire(**self._untold.popleft())
        self._telling = None


_engines: "WeakKeyDictionary[Environment, Dispatcher]" = WeakKeyDictionary()


def engine_of(environment: Environment, source: RecordSource) -> Dispatcher:
    """The engine of a worker process; there is one."""
    if environment not in _engines:
        _engines[environment] = Dispatcher(environment, source)
    return _engines[environment]
