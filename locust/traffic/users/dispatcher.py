"""Serves all replay users of one worker: handles answers in batches, and keeps the time for all timeouts."""

import time
from collections import deque
from functools import partial
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
from traffic.http.resolver import Resolver, Target
from traffic.settings.request_options import RequestOptions
from traffic.users.option_headers import option_headers_of
from traffic.users.request_plan import RequestPlan, rule_of
from traffic.users.source import RecordSource
from traffic.users.spans import spans_of
from traffic.users.stats import StatsBuffer, only_locust_listens
from traffic.users.tls_options import tls_of

# How late a timeout may be noticed.
TICK_S = 0.1
# How long to wait for a record before checking whether the run is over.
RECHECK_S = 1.0
# The first answer of a batch waits for the others, so a batch has no more.
MOST_IN_A_BATCH = 32


class TimedSender(Protocol):
    """A sender whose timeouts the dispatcher keeps."""

    connection: Connection

    def expire(self, now: float) -> None:
        """End the wait for an answer, or for a connection: its timeout is over."""


class BatchedSender(TimedSender, Protocol):
    """A sender whose answers and records are handled in batches."""

    def record_response(self) -> bool:
        """Report the outcome of the answer; return whether the user wants a record at once."""

    def prepare(self, record: Record) -> bool:
        """Make the request that sends a record; return whether that succeeded."""

    def send(self) -> None:
        """Send the prepared request."""

    def wait_for_record(self) -> None:
        """Wait for a record, or end."""

    def proceed_now(self) -> None:
        """Take the next record and send it, or wait until there is one."""

    def fail_user(self, error: Exception) -> None:
        """Have the user's greenlet raise an error."""


class Dispatcher:
    """Serves the senders of a worker process. `bulk_stats`: only Locust listens to requests, so they count in bulk."""

    def __init__(self, environment: Environment, source: RecordSource) -> None:
        self.environment, self.source, self.loop = environment, source, gevent.get_hub().loop
        self.bulk_stats = True
        self._senders: set[TimedSender] = set()
        self._idle: deque[BatchedSender] = deque()
        self._responded: list[BatchedSender] = []  # the next batch
        self._wanted = Event()
        self._endpoints: dict[tuple[type, str, RequestOptions], Endpoint] = {}
        self._plans: dict[tuple[type, str, str, int], RequestPlan] = {}
        self._stats_buffers: dict[tuple[str, str], StatsBuffer] = {}
        self._unreported: deque[dict[str, Any]] = deque()
        self._reporting: Any = None
        self._ticker: Any = None
        gevent.spawn(self._serve_idle)

    def add(self, sender: TimedSender) -> None:
        """Keep a sender's timeouts."""
        self._senders.add(sender)
        self.bulk_stats = only_locust_listens(self.environment)
        if not self._ticker:
            self._ticker = gevent.spawn(self._tick)

    def remove(self, sender: TimedSender) -> None:
        """Forget a sender whose user ends; its requests are in the statistics then."""
        self._senders.discard(sender)
        if sender in self._idle:
            self._idle.remove(sender)  # type: ignore[arg-type] # the deque has it
        self._fold()

    def on_response(self, sender: BatchedSender) -> None:
        """Queue a sender whose answer has arrived. Answers are handled in batches of up to `MOST_IN_A_BATCH`."""
        self._responded.append(sender)
        if len(self._responded) == 1:
            self.loop.run_callback(self._run_batch)
        elif len(self._responded) == MOST_IN_A_BATCH:
            self._run_batch()

    def _run_batch(self) -> None:
        """Report the outcomes, take the next records, make their requests, send them: each step for all senders.

        So the code and the data of each step stay in the processor's caches, which every system call clears.
        """
        responded, self._responded = self._responded, []
        free = [sender for sender in responded if sender.record_response()]
        try:
            records = self.source.take_batch(now_s(), len(free)) if free else []
        except Exception as error:  # noqa: BLE001 - the loop would only print it; the users must raise it
            for sender in free:
                sender.fail_user(error)
            return
        for sender in [sender for sender, record in zip(free, records, strict=False) if sender.prepare(record)]:
            sender.send()
        for sender in free[len(records) :]:
            sender.wait_for_record()

    def idle(self, sender: BatchedSender) -> None:
        """Queue a sender that waits for a record."""
        self._idle.append(sender)
        self._wanted.set()

    def endpoint(self, user: Any) -> Endpoint:
        """Return how a class's users reach their host. ValueError if it is no URL."""
        options = RequestOptions.read(self.environment.parsed_options)
        key = type(user), user.host, options
        if key not in self._endpoints:
            target = Target.of(user.host)
            make_tls = partial(tls_of, user, options) if target.tls else None
            resolver = Resolver(target, gevent.spawn, now_s)  # other users may run meanwhile, and make one, too
            times = user.connection_timeout, user.network_timeout or TIMEOUT_S
            return self._endpoints.setdefault(key, Endpoint(target, resolver, self.loop, *times, make_tls))
        return self._endpoints[key]

    def plan(self, user: Any) -> RequestPlan:
        """Return the plan of a class's users for the present run."""
        run = self.source.run
        assert run is not None, "a record was taken, so there is a run"
        key = type(user), user.host, run.run, id(user.rule)
        if key not in self._plans:
            endpoint, rule, own = self.endpoint(user), rule_of(user.rule, run), user.default_headers or {}
            told = option_headers_of(self.environment, run.run)
            spans = spans_of(self.environment, run, user.host)
            plan = RequestPlan(run, rule, endpoint.target, self.source.name, own, told, self._buffer_of, spans)
            endpoint.answer_timeout = user.network_timeout or run.timeout
            self._plans = {other: made for other, made in self._plans.items() if made.run == run.run}
            self._plans[key] = plan
        return self._plans[key]

    def _buffer_of(self, name: tuple[str, str]) -> StatsBuffer:
        return self._stats_buffers.setdefault(name, StatsBuffer(*name))

    def _serve_idle(self) -> None:
        """Let senders that wait take records as they come; they end when the run is over."""
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while self._idle:
                self.source.wait(RECHECK_S)
                for _ in range(len(self._idle)):
                    if not self._idle:
                        break
                    sender = self._idle.popleft()
                    sender.proceed_now()
                    if sender in self._idle and not self.source.over:
                        break  # no record was left, so the others need not look

    def _tick(self) -> None:
        """Expire timeouts and fold statistics until the last sender is removed."""
        second = int(time.time())
        while self._senders:
            gevent.sleep(TICK_S)
            now = now_s()
            for sender in [sender for sender in self._senders if sender.connection.due <= now]:
                sender.expire(now)
            for plan in self._plans.values():
                plan.check_headers()
            self.bulk_stats = only_locust_listens(self.environment)
            if int(time.time()) != second:
                second = int(time.time())
                self._fold()
        self._ticker = None

    def _fold(self) -> None:
        for stats_buffer in self._stats_buffers.values():
            stats_buffer.fold(self.environment.stats)

    # If somebody else listens, each request is reported, in order, in a greenlet: a listener may wait.

    def report_request(
        self,
        user: Any,
        counted: StatsBuffer,
        head: ResponseHead | None,
        answer: Answer,
        outcome: Outcome,
        body: int,
        started: float,
        now: float,
    ) -> None:
        """Report one request to the listeners."""
        took = now - started
        error = None if outcome is Outcome.DELIVERED else CatchResponseError(answer.reason)
        self._unreported.append(
            {
                "request_type": counted.method,
                "name": counted.name,
                "response_time": took * 1000,
                "response_length": body,
                "response": head,
                "context": user.context(),
                "exception": error,
                "start_time": time.time() - took,
                "url": f"{user.host}{counted.name}",
            }
        )
        if self._reporting is None:
            self._reporting = gevent.spawn(self._report_requests)

    def _report_requests(self) -> None:
        while self._unreported:
            self.environment.events.request.fire(**self._unreported.popleft())
        self._reporting = None


_dispatchers: "WeakKeyDictionary[Environment, Dispatcher]" = WeakKeyDictionary()


def dispatcher_of(environment: Environment, source: RecordSource) -> Dispatcher:
    """Return the dispatcher of a worker process; there is one."""
    if environment not in _dispatchers:
        _dispatchers[environment] = Dispatcher(environment, source)
    return _dispatchers[environment]
