"""A user on Locust's FastHttpUser: it delivers records with cookies and all else that Locust's client has."""

import errno
import socket
from dataclasses import replace
from datetime import UTC, datetime
from traceback import walk_tb
from typing import Any

from locust import FastHttpUser
from locust.env import Environment

from traffic.clock import now_s
from traffic.core.excerpt import Excerpt
from traffic.core.outcome import UNAUTHORIZED, Answer, Outcome, judged, retry_after_s
from traffic.core.outcome_rules import MOST_JUDGED
from traffic.core.protocol import RunConfig
from traffic.core.results import OFF
from traffic.core.timings import Request
from traffic.core.worker.feed import Record
from traffic.core.worker.record import Wire
from traffic.http.resolver import Target
from traffic.http.scheme_mismatch import WRITE_HTTP, WRITE_HTTPS, asks_for_tls, met_plain
from traffic.machine_limits import OwnFaultError
from traffic.settings.request_options import RequestOptions
from traffic.users.base import STOPPED, RecordUserBase
from traffic.users.option_headers import OptionHeaders, option_headers_of
from traffic.users.request_maker import Parts, RequestMaker
from traffic.users.spans import AttemptSpans, spans_of
from traffic.users.tls_options import made_tls
from traffic.users.unanswered import reason_of, unanswered

# Errors after which no byte of the request can have left.
_NOT_SENT = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})


class RecordUser(RecordUserBase, FastHttpUser):  # type: ignore[misc] # a FastHttpUser's timeout is never None
    """A FastHttpUser that delivers records. Subclass it, and call `deliver_next` in a task."""

    abstract = True
    # Less than Locust's 60, as in a ReplayUser, so that a run whose API is gone pauses soon.
    connection_timeout = 10.0
    _maker: tuple[tuple[str, int], RequestMaker] | None = None
    _spans: AttemptSpans | None = None

    def __init__(self, environment: Environment) -> None:
        options = RequestOptions.read(environment.parsed_options)
        if options.ca_file or options.certificate or options.insecure:
            self.insecure = options.insecure
            self.ssl_context_factory = lambda: made_tls(
                insecure=options.insecure, ca_file=options.ca_file, certificate=options.certificate
            )
        super().__init__(environment)
        self._apply_timeout()

    def _apply_timeout(self) -> None:
        """Have the client's connections, from now on, wait as long as the class or the run says."""
        pool = self.client.client.clientpool
        if pool.client_args.get("network_timeout") != self.answer_timeout:
            pool.client_args["network_timeout"] = self.answer_timeout
            pool.clients.clear()

    def deliver(self, record: Record) -> Answer:
        """Send a record, as RecordUserBase describes."""
        source = self._source()
        run = source.run
        assert run is not None, "a record was taken, so there is a run"
        told, parts = self._prepare(run, record)
        answer, outcome, started = Answer(0, STOPPED, fault="user"), None, now_s()
        record.wire = None
        record.sent, record.request = started, Request(parts.name, parts.method)
        try:
            body: Any = parts.body  # Locust's annotation forgets bytes
            with self.client.request(
                *(parts.method, parts.path, parts.name),
                data=body,
                headers=parts.headers,
                catch_response=True,
                allow_redirects=False,
            ) as response:
                _count_from_due(response.request_meta, record, started)
                rule = self._rule(run)
                read = read_answer(response, started, self.answer_timeout)
                content = response.content if getattr(rule, "needs_body", False) else None
                read = replace(read, repeat=record.repeat, body=(content or b"")[:MOST_JUDGED])
                if read.status == UNAUTHORIZED and told.refreshable:
                    read = told.refused()
                answer, outcome, fault = judged(rule, read)
                if run.results != OFF and read.status:
                    whole = bytes(response.content or b"")
                    record.wire = Wire(received=len(whole), content=whole[:MOST_JUDGED])
                excerpt = _excerpt(response) if read.status and outcome is not Outcome.DELIVERED else None
                answer = replace(answer, excerpt=excerpt, body=b"")
                if outcome is Outcome.DELIVERED:
                    response.success()
                else:
                    response.failure(answer.reason)
            if fault is not None:
                raise fault  # noqa: TRY301 - the task fails with it, after the outcome was reported
        except Exception as error:
            if outcome is None:
                answer = Answer(0, f"{type(error).__name__}: {error}", fault="user")
            raise
        finally:
            # If the user was killed meanwhile, the answer is unknown.
            self._in_hand = None
            if outcome is None:
                answer, outcome, _ = judged(self._rule(run), answer)
            self._report(record, answer, outcome)
        return answer

    def _report(self, record: Record, answer: Answer, outcome: Outcome) -> None:
        self._source().record_outcome(record, answer, outcome)
        if self._spans is not None:
            self._spans.note(record, answer, outcome, now_s())

    def _prepare(self, run: RunConfig, record: Record) -> tuple[OptionHeaders, Parts]:
        """Return the headers of the options, and the record's request. If that fails, nothing of it was sent."""
        try:
            self._apply_timeout()
            told = option_headers_of(self.environment, run.run)
            told.refresh()
            return told, self._parts(run, record, told)
        except Exception as error:
            self._in_hand = None
            answer = unanswered(error, sent=False, otherwise="user")
            self._source().record_outcome(record, answer, Outcome.RETRY)
            raise

    def _parts(self, run: RunConfig, record: Record, told: OptionHeaders) -> Parts:
        """Return the request of a record; what its head has in common with others is made once."""
        version = run.run, told.version
        if self._maker is None or self._maker[0] != version:
            # The client adds the class's own headers, and the credentials of the host.
            target = replace(Target.of(self.host or ""), credentials=None)
            self._maker = version, RequestMaker(run, target, self._source().name, {}, told.fields)
            self._spans = spans_of(self.environment, run, self.host or "")
        if self._spans is not None:
            self._spans.begin(record)
        return self._maker[1].parts(record.index, record.body, record.span)


def _count_from_due(request_meta: dict[str, Any], record: Record, started: float) -> None:
    """Have Locust count an attempt that was `started` (by `now_s`) from when its record was due, in a paced run."""
    if record.due:
        late = started - record.due
        request_meta["response_time"] += 1000 * late
        request_meta["start_time"] -= late


def read_answer(response: Any, started: float | None = None, timeout: float | None = None) -> Answer:
    """Return the answer in a FastHttpUser's response, to an attempt `started` by `now_s`; `timeout` is in seconds."""
    error = getattr(response, "error", None)
    error = getattr(error, "original", error)  # inside of "no attempt is left"
    status = int(response.status_code or 0)
    if status and asks_for_tls(status, getattr(response, "content", None) or b""):
        return Answer(0, WRITE_HTTPS, sent=False)
    if status:
        retry_after = retry_after_s((response.headers or {}).get("Retry-After"), datetime.now(UTC))
        return Answer(status, f"HTTP {status}", retry_after=retry_after)
    sent = not _surely_not_sent(error)
    waited = now_s() - started if started is not None else 0.0
    return unanswered(error, sent=sent, waited=waited, reason=_reason(error, timeout if sent else None))


def _excerpt(response: Any) -> Excerpt:
    """Return what a dead letter would keep of an answer."""
    content = bytes(getattr(response, "content", None) or b"")
    return Excerpt.of((getattr(response, "headers", None) or {}).items(), content, len(content))


def _reason(error: object, timeout: float | None) -> str:
    """Return what went wrong, for people; `timeout` is None if the request was not sent."""
    if error is None:
        return "no answer"
    if met_plain(error):
        return WRITE_HTTP
    if timeout is not None and isinstance(error, TimeoutError):
        return f"TimeoutError: timed out after {timeout:g} s; a later answer is not waited for"
    return reason_of(error)


def _surely_not_sent(error: object) -> bool:
    if isinstance(error, socket.gaierror | OwnFaultError) or (isinstance(error, OSError) and error.errno in _NOT_SENT):
        return True
    # Any error while geventhttpclient made a connection, TLS included.
    trace = error.__traceback__ if isinstance(error, Exception) else None
    return any(frame.f_code.co_name == "_create_socket" for frame, _ in walk_tb(trace))
