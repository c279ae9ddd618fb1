"""Injects the faults that `faults` draws. Rule: off by default; every injected fault was asked for, and is counted."""

import asyncio
from typing import Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from stub.answer import PreparedAnswer, refused
from stub.faults import (
    MAX_HANG,
    MAX_PLAN_LENGTH,
    NO_FAULTS,
    Draw,
    FaultKind,
    FaultPlan,
    FaultPlanError,
    FaultSpec,
    RequestCounter,
    read_plan,
)
from stub.message import BadKeyError, read_header
from stub.metrics import Metrics
from stub.problem import Headers, Problem


class ClientConnection(Protocol):
    """The connection of a request (see `connection`)."""

    def reset(self) -> None:
        """Reset: the client gets a RST."""

    def close(self) -> None:
        """Close in order: the client gets a FIN after what has been written."""


class AsgiRequest(msgspec.Struct, frozen=True):
    """What an ASGI server passes for one request."""

    scope: Scope
    receive: Receive
    send: Send

    @property
    def connection(self) -> ClientConnection:
        """The client's connection. Only this stub's own server passes it."""
        connection: ClientConnection = self.scope["extensions"]["stub.connection"]
        return connection

    async def wait_for_disconnect(self) -> None:
        """Return when the client has disconnected."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


class FaultInjector:
    """Draws what each request meets, and injects it. Set `stopping` to release the requests that hang."""

    def __init__(self, plan: FaultPlan, seed: int, by_header: bool, metrics: Metrics) -> None:
        self._plan = plan
        self._seed = seed
        self._by_header = by_header
        self._metrics = metrics
        self._seen = RequestCounter()
        self.stopping = asyncio.Event()

    def draw(self, header: bytes | None, key: str | None) -> Draw | None:
        """Return what this request meets; None if there is no plan. Raises Problem if the header is no plan."""
        plan = self._plan
        if header is not None and self._by_header:
            try:
                plan = read_plan(read_header(header.decode("latin-1"), "it", MAX_PLAN_LENGTH))
            except (BadKeyError, FaultPlanError) as e:
                raise Problem(400, f"Stub-Misbehave: {e}") from e
        if plan is NO_FAULTS:
            return None
        return plan.draw(self._seed, key, self._seen.next(key))

    async def inject(self, fault: FaultSpec, answer: PreparedAnswer | None, request: AsgiRequest) -> int:
        """Inject a fault into a request; `answer` is its answer if it was stored. Returns the status sent, or 0."""
        self._metrics.misbehaved[fault.name] += 1
        if fault.status is not None:
            await _error(fault.status, fault.retry_after).send(request.send)
            return fault.status
        if fault.kind is FaultKind.HANG:
            await self._hang(request)
        elif fault.kind is FaultKind.CUT and answer is not None:
            await answer.start(request.send)
            half = answer.body[: len(answer.body) // 2]
            await request.send({"type": "http.response.body", "body": half, "more_body": True})
        if fault.kind is FaultKind.RESET:
            request.connection.reset()
        else:
            request.connection.close()
        await request.wait_for_disconnect()
        return 0

    async def _hang(self, request: AsgiRequest) -> None:
        waits = {asyncio.create_task(request.wait_for_disconnect()), asyncio.create_task(self.stopping.wait())}
        _, others = await asyncio.wait(waits, timeout=MAX_HANG, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _error(status: int, retry_after: int | None) -> PreparedAnswer:
    headers: Headers = []
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return refused(Problem(status, "a fault that was asked for", headers))
