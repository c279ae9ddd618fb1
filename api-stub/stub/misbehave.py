"""Carries out what `faults` decides. Rule: off by default; what is asked for is done, and counted, and nothing else."""

import asyncio
from typing import Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from stub.answer import Answer, refused
from stub.faults import MAX_HANG, MAX_WORDS, NONE, Counter, Draw, Fault, FaultSpec, MisbehaveError, Plan, read_plan
from stub.message import BadKeyError, read_name
from stub.metrics import Metrics
from stub.problem import Headers, Problem


class Line(Protocol):
    """The connection that a request came on (see `connection`)."""

    def reset(self) -> None:
        """Send a RST."""

    def close(self) -> None:
        """Send a FIN, after what is written already."""


class Wire(msgspec.Struct, frozen=True):
    """What an ASGI server hands over for one request."""

    scope: Scope
    receive: Receive
    send: Send

    @property
    def line(self) -> Line:
        """The connection itself, which only this stub's own server hands over."""
        line: Line = self.scope["extensions"]["stub.connection"]
        return line

    async def gone(self) -> None:
        """Return when the connection is lost."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


class Misbehaviour:
    """Decides what each request meets, and carries it out. `stopping` is set when the stub is to end."""

    def __init__(self, plan: Plan, seed: int, by_header: bool, metrics: Metrics) -> None:
        self._plan = plan
        self._seed = seed
        self._by_header = by_header
        self._metrics = metrics
        self._seen = Counter()
        self.stopping = asyncio.Event()

    def fate(self, header: bytes | None, key: str | None) -> tuple[Plan, Draw] | None:
        """Return what this request meets; None for nothing. Raises a Problem for a header that makes no sense."""
        plan = self._plan
        if header is not None and self._by_header:
            try:
                plan = read_plan(read_name(header.decode("latin-1"), "it", MAX_WORDS))
            except (BadKeyError, MisbehaveError) as e:
                raise Problem(400, f"Stub-Misbehave: {e}") from e
        if plan is NONE:
            return None
        return plan, plan.fate(self._seed, key, self._seen.next(key))

    async def hurt(self, plan: Plan, hurt: FaultSpec, answer: Answer | None, wire: Wire) -> int:
        """Hurt a request whose answer, if it was stored, is `answer`. Returns the status sent; 0 for none."""
        self._metrics.misbehaved[hurt.name] += 1
        if hurt.status is not None:
            await _error(plan, hurt.status).send(wire.send)
            return hurt.status
        if hurt.fault is Fault.HANG:
            await self._hang(wire)
        elif hurt.fault is Fault.CUT and answer is not None:
            await answer.start(wire.send)
            half = answer.body[: len(answer.body) // 2]
            await wire.send({"type": "http.response.body", "body": half, "more_body": True})
        if hurt.fault is Fault.RESET:
            wire.line.reset()
        else:
            wire.line.close()
        await wire.gone()
        return 0

    async def _hang(self, wire: Wire) -> None:
        waits = {asyncio.create_task(wire.gone()), asyncio.create_task(self.stopping.wait())}
        _, others = await asyncio.wait(waits, timeout=MAX_HANG, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _error(plan: Plan, status: int) -> Answer:
    headers: Headers = []
    if plan.retry_after is not None:
        headers.append((b"retry-after", str(plan.retry_after).encode()))
    return refused(Problem(status, "misbehaving, as it was asked to", headers))
