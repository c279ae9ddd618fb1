"""The spans of a run's attempts, for Locust's `--otel`.

Locust hands OpenTelemetry what the `requests` library sends; records go out over other clients, so their attempts are
handed over here, by OpenTelemetry's conventions for HTTP clients. A record's attempts are in the trace that its key
tells, and if the run is traced, a span has the id that the attempt's `traceparent` has: the API's own spans hang below.
"""

import os
import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from locust.env import Environment

from traffic.core.outcome import Answer, Outcome
from traffic.core.protocol import RunConfig
from traffic.core.reading import REQUESTS
from traffic.core.request_record import method_and_path, split
from traffic.core.trace import new_span, trace_id
from traffic.core.worker.feed import Record
from traffic.http.resolver import Target

_NS = 1_000_000_000


class AttemptSpans:
    """Hands over a span for each attempt of one run. `tracer` is one of OpenTelemetry's SDK, `host` the API's URL."""

    def __init__(self, tracer: Any, run: RunConfig, host: str) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - it is there only where `--otel` asks for it

        self._tracer, self._run, self._ids = tracer, run, tracer.id_generator
        self._root, self._kind, self._error = context.Context(), trace.SpanKind.CLIENT, trace.StatusCode.ERROR
        target, scheme = Target.of(host), urlsplit(host).scheme
        self._url = f"{scheme}://{target.host}{target.base}"
        self._server: dict[str, str | int] = {"server.address": target.unix or target.name, "traffic.run": run.run}
        if target.unix is None:
            self._server["server.port"] = target.port

    @staticmethod
    def begin(record: Record) -> None:
        """Give the attempt that a record's request is made for the id of its span."""
        record.span = new_span()

    def note(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Hand over the span of an attempt that is over `now`, by `now_s`. Nothing was sent: there is none."""
        if not (answer.sent and record.sent):
            return
        method, path = self._run.method, self._run.path
        if self._run.records == REQUESTS:
            method, path = method_and_path(split(record.body)[1])
        attributes = self._server | {
            "http.request.method": method,
            "url.full": self._url + path,
            "traffic.key": record.key,
            "traffic.outcome": outcome.value,
        }
        if record.attempts > 1:
            attributes["http.request.resend_count"] = record.attempts - 1
        if answer.status:
            attributes["http.response.status_code"] = answer.status
        if outcome is not Outcome.DELIVERED:
            attributes["error.type"] = str(answer.status) if answer.status else answer.reason.partition(":")[0]
        end = time.time_ns()
        self._ids.trace, self._ids.span = int(trace_id(record.key), 16), record.span
        span = self._tracer.start_span(
            f"{method} {record.request.name}",
            context=self._root,
            kind=self._kind,
            attributes=attributes,
            start_time=end - round(_NS * (now - record.sent)),
        )
        if outcome is not Outcome.DELIVERED:
            span.set_status(self._error, answer.reason)
        span.end(end)


def spans_of(environment: Environment, run: RunConfig, host: str) -> AttemptSpans | None:
    """Return what takes the spans of a run's attempts; None if nobody asked for them, or they are exported nowhere."""
    tracer = _tracer() if getattr(environment.parsed_options, "otel", False) else None
    return None if tracer is None else AttemptSpans(tracer, run, host)


@cache
def _tracer() -> Any:
    """Return this process's tracer, whose next span gets the ids that are set; None if spans are exported nowhere."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
    except ImportError:
        return None  # Locust has said so, as an error
    provider = trace.get_tracer_provider()
    exporters = {one.strip().lower() for one in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",")}
    if not isinstance(provider, TracerProvider) or exporters <= {"", "none"}:
        return None

    class Ids(RandomIdGenerator):
        """Gives the next span the ids that are set."""

        trace = span = 0

        def generate_trace_id(self) -> int:
            """Return the trace's id."""
            return self.trace

        def generate_span_id(self) -> int:
            """Return the span's id."""
            return self.span

    tracer: Any = provider.get_tracer("traffic")
    tracer.id_generator = Ids()
    return tracer
