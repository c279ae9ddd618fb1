"""`POST /`: one message in, the stored document out. Rule: no 201 before the store says that it is durable.

Written on the bare ASGI messages, below the framework's request and response objects: this is the one place
where they would be paid for on every record (docs/adr/0002).
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
    Verdict,
    Written,
    WrongShapeError,
    make_message,
    read_key,
    read_name,
)
from stub.metrics import Metrics
from stub.misbehave import Misbehaviour, Wire
from stub.problem import Problem, unavailable
from stub.settings import Settings
from stub.store import StoreDownError

MAX_WORKER = 255  # characters
_JSON = re.compile(rb"application/(json|[\w.+-]+\+json)\s*(;.*)?", re.IGNORECASE | re.DOTALL)


class PostMessage:
    """The ASGI application behind `POST /`."""

    def __init__(self, commit: GroupCommit, settings: Settings, misbehaviour: Misbehaviour, metrics: Metrics) -> None:
        self._commit = commit
        self._settings = settings
        self._bodies = BodyReader(settings.max_body)
        self._misbehaviour = misbehaviour
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST."""
        started = time.monotonic()
        try:
            status = await self._answer(Wire(scope, receive, send))
        except ClientGoneError:
            status = 0
        self._metrics.posts[status] += 1
        self._metrics.post_seconds.add(time.monotonic() - started)

    async def _answer(self, wire: Wire) -> int:
        headers = dict(wire.scope["headers"])
        fate = None
        try:
            key, worker = _read_headers(headers)
            fate = self._misbehaviour.fate(headers.get(b"stub-misbehave"), key)
            body = await self._bodies.read(headers.get(b"content-length"), wire.receive)
            if fate is not None:
                plan, met = fate
                await asyncio.sleep(met.latency)
                if met.hurt is not None and not met.hurt.after:
                    return await self._misbehaviour.hurt(plan, met.hurt, None, wire)
            answer = created(await self._store(body, key, worker))
        except Problem as problem:
            answer = refused(problem)
        else:
            if fate is not None and (hurt := fate[1].hurt) is not None:
                return await self._misbehaviour.hurt(fate[0], hurt, answer, wire)
        await answer.send(wire.send)
        return answer.status

    async def _store(self, body: bytes, key: str | None, worker: str | None) -> Written:
        now = datetime.now(UTC)
        try:
            message = make_message(body, key, worker, self._settings.server_name, now)
        except BrokenJsonError as e:
            raise Problem(400, f"the body is not JSON in UTF-8: {e}") from e
        except WrongShapeError as e:
            raise Problem(422, f'the body must be an object like {{"name": "...", "msg": "..."}}: {e}') from e
        return await self._put(message)

    async def _put(self, message: Message) -> Written:
        try:
            written = await self._commit.put(message)
        except OverloadedError as e:
            raise unavailable(f"not stored: {e}; send it again") from e
        except StoreDownError as e:
            detail = f"it is not known whether this was stored: {e}; send it again with the same Idempotency-Key"
            raise unavailable(detail) from e
        if written.verdict is Verdict.CONFLICT:
            raise Problem(422, _conflict(written))
        if written.verdict is Verdict.REPLAYED:
            self._metrics.replayed += 1
        return written


def _read_headers(headers: dict[bytes, bytes]) -> tuple[str | None, str | None]:
    media_type = headers.get(b"content-type", b"")
    if not _JSON.fullmatch(media_type):
        raise Problem(415, f"Content-Type must be application/json, got {media_type.decode('latin-1')!r}")
    key, worker = (_text(headers, name) for name in (b"idempotency-key", b"traffic-worker"))
    try:
        return read_key(key), None if worker is None else read_name(worker, "Traffic-Worker", MAX_WORKER)
    except BadKeyError as e:
        raise Problem(400, str(e)) from e


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _conflict(written: Written) -> str:
    return f"Idempotency-Key {written.stored.key} was used with another payload; a new payload needs a new key"
