"""`POST /`: one message in, the stored document out. Rule: no 201 before the message is durable.

Reads and writes bare ASGI messages instead of the framework's request and response objects, whose cost every record
would pay here (docs/adr/0002).
"""

import asyncio
import re
import time
from datetime import UTC, datetime

from starlette.types import Receive, Scope, Send

from stub.answer import created, refused
from stub.body import BodyReader, ClientGoneError
from stub.commit import GroupCommit, OverloadedError
from stub.message import (
    BadKeyError,
    BrokenJsonError,
    Message,
    WriteOutcome,
    WriteResult,
    WrongShapeError,
    make_message,
    read_header,
    read_key,
)
from stub.metrics import Metrics
from stub.misbehave import AsgiRequest, FaultInjector
from stub.problem import Problem, unavailable
from stub.settings import Settings
from stub.store import StoreDownError

MAX_WORKER = 255  # characters
_JSON = re.compile(rb"application/(json|[\w.+-]+\+json)\s*(;.*)?", re.IGNORECASE | re.DOTALL)


class PostMessage:
    """The ASGI application behind `POST /`."""

    def __init__(self, commit: GroupCommit, settings: Settings, injector: FaultInjector, metrics: Metrics) -> None:
        self._commit = commit
        self._settings = settings
        self._bodies = BodyReader(settings.max_body)
        self._injector = injector
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST."""
        started = time.monotonic()
        try:
            status = await self._answer(AsgiRequest(scope, receive, send))
        except ClientGoneError:
            status = 0
        self._metrics.posts[status] += 1
        self._metrics.post_seconds.add(time.monotonic() - started)

    async def _answer(self, request: AsgiRequest) -> int:
        headers = dict(request.scope["headers"])
        draw = None
        try:
            key, worker = _read_headers(headers)
            draw = self._injector.draw(headers.get(b"stub-misbehave"), key)
            body = await self._bodies.read(headers.get(b"content-length"), request.receive)
            if draw is not None:
                await asyncio.sleep(draw.latency)
                if draw.fault is not None and not draw.fault.after:
                    return await self._injector.inject(draw.fault, None, request)
            answer = created(await self._store(body, key, worker))
        except Problem as problem:
            answer = refused(problem)
        else:
            if draw is not None and draw.fault is not None:
                return await self._injector.inject(draw.fault, answer, request)
        await answer.send(request.send)
        return answer.status

    async def _store(self, body: bytes, key: str | None, worker: str | None) -> WriteResult:
        now = datetime.now(UTC)
        try:
            message = make_message(body, key, worker, self._settings.server_name, now)
        except BrokenJsonError as e:
            raise Problem(400, f"the body is not JSON in UTF-8: {e}") from e
        except WrongShapeError as e:
            raise Problem(422, f'the body must be an object like {{"name": "...", "msg": "..."}}: {e}') from e
        return await self._put(message)

    async def _put(self, message: Message) -> WriteResult:
        try:
            written = await self._commit.put(message)
        except OverloadedError as e:
            raise unavailable(f"not stored: {e}; send it again") from e
        except StoreDownError as e:
            detail = f"it is not known whether this was stored: {e}; send it again with the same Idempotency-Key"
            raise unavailable(detail) from e
        if written.outcome is WriteOutcome.CONFLICT:
            raise Problem(422, _conflict(written))
        if written.outcome is WriteOutcome.REPLAYED:
            self._metrics.replayed += 1
        return written


def _read_headers(headers: dict[bytes, bytes]) -> tuple[str | None, str | None]:
    media_type = headers.get(b"content-type", b"")
    if not _JSON.fullmatch(media_type):
        raise Problem(415, f"Content-Type must be application/json, got {media_type.decode('latin-1')!r}")
    key, worker = (_text(headers, name) for name in (b"idempotency-key", b"traffic-worker"))
    try:
        return read_key(key), None if worker is None else read_header(worker, "Traffic-Worker", MAX_WORKER)
    except BadKeyError as e:
        raise Problem(400, str(e)) from e


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _conflict(written: WriteResult) -> str:
    return f"Idempotency-Key {written.stored.key} was used with another payload; a new payload needs a new key"
