"""The HTTP application: its routes, and all requests but `POST /`. Rule: requests are checked here, stored below."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from stub import negotiate, page
from stub.commit import GroupCommit, QueueLimits
from stub.documents import Health, MessageList
from stub.exposition import MEDIA_TYPE as METRICS_TYPE
from stub.exposition import Exposition
from stub.message import Message, encode_message
from stub.metrics import Metrics
from stub.misbehave import FaultInjector
from stub.openapi import description
from stub.post import PostMessage
from stub.problem import MEDIA_TYPE, Problem, unavailable
from stub.settings import Settings
from stub.store import Store, StoreDownError

PAGE = 50  # messages that a page shows by default
MAX_PAGE = 200
MAX_RUN = 255  # characters; a run id is part of a key

logger = logging.getLogger(__name__)


class Stub:
    """One stub: its store, its queue, and the handlers of all requests but `POST /`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.metrics = Metrics()
        limits = QueueLimits(waiting=settings.max_waiting, writers=settings.writers)
        self.commit = GroupCommit(store, limits, self.metrics)
        self.exposition = Exposition(self.metrics, self.commit)
        self.injector = FaultInjector(settings.misbehave, settings.seed, settings.misbehave_header, self.metrics)
        self.ready = asyncio.Event()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Open the store, now or as soon as it answers. At the end write the waiting messages and close it."""
        opening = asyncio.create_task(self._open())
        try:
            await self._first_try(opening)
            yield
        finally:
            opening.cancel()
            await asyncio.wait([opening])
            await self.commit.close()
            await self.store.close()

    async def _first_try(self, opening: asyncio.Task[None]) -> None:
        """Wait up to a second for the store. Raises an error that waiting cannot cure, which stops the start."""
        await asyncio.wait([opening], timeout=1.0)
        if opening.done():
            opening.result()

    async def _open(self) -> None:
        pause = 0.1
        while True:
            try:
                await self.store.open()
            except StoreDownError as e:
                logger.warning("store does not answer, trying again in %.1f s: %s", pause, e)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            else:
                self.commit.start()
                self.ready.set()
                return

    async def newest(self, request: Request) -> Response:
        """Show the newest messages, as a page or as JSON."""
        limit = _whole(request, "limit", PAGE, MAX_PAGE)
        before = request.query_params.get("before")
        if before == "":
            raise Problem(400, "before must be the id of a message")
        messages = await self.store.newest(limit, before)
        stored = await self.store.count()
        older = f"/?before={messages[-1].id}&limit={limit}" if messages and len(messages) == limit else None
        if negotiate.wants_html(request.headers.get("accept", "")):
            html = page.messages_page(messages, stored, older, before is None, self.settings.server_name)
            return HTMLResponse(html, headers={"vary": "accept", **page.SECURITY_HEADERS})
        return _json(MessageList(stored=stored, messages=messages, older=older), {"vary": "accept"})

    async def message_by_id(self, request: Request) -> Response:
        """Return one message, whole."""
        message_id = request.path_params["id"]
        return _found(await self.store.by_id(message_id), f"there is no message with the id {message_id}")

    async def message_by_key(self, request: Request) -> Response:
        """Return the message stored under an idempotency key, whole."""
        key = request.query_params.get("key")
        if not key:
            raise Problem(400, "key is missing: /messages?key=<idempotency key>")
        return _found(await self.store.by_key(key), f"no message is stored under the key {key}")

    async def audit(self, request: Request) -> Response:
        """Audit a run."""
        run = request.query_params.get("run")
        if not run or len(run) > MAX_RUN:
            raise Problem(400, f"run is missing or has more than {MAX_RUN} characters: /audit?run=<run id>")
        return _json(await self.store.audit(run))

    async def health(self, _request: Request) -> Response:
        """Report whether a POST would be stored now."""
        if not self.ready.is_set():
            raise unavailable("the store has not been opened yet")
        await self.store.ping()
        return _json(Health(status="ok", server=self.settings.server_name, waiting=self.commit.waiting))

    async def show_metrics(self, _request: Request) -> Response:
        """Return the metrics for Prometheus."""
        return Response(self.exposition.text(), headers={"content-type": METRICS_TYPE})

    async def openapi(self, _request: Request) -> Response:
        """Describe the API, as OpenAPI 3.1."""
        return _json(description(self.settings))

    async def script(self, _request: Request) -> Response:
        """Return the script of the page of messages."""
        return Response(page.script(), media_type="text/javascript", headers={"cache-control": "max-age=3600"})

    async def docs(self, _request: Request) -> Response:
        """Describe the API to people."""
        return HTMLResponse(page.docs_page(description(self.settings)), headers=page.SECURITY_HEADERS)


class MethodRouter:
    """The path `/`: one route for both of its methods, so that a 405 names both."""

    def __init__(self, post: ASGIApp, get: ASGIApp) -> None:
        self._post = post
        self._get = get

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the handler of its method."""
        await (self._post if scope["method"] == "POST" else self._get)(scope, receive, send)


def make_app(settings: Settings, store: Store) -> Starlette:
    """Make the application; `app.state.stub` is its Stub."""
    stub = Stub(settings, store)
    post = PostMessage(stub.commit, settings, stub.injector, stub.metrics)
    routes = [
        Route("/", MethodRouter(post, request_response(stub.newest)), methods=["GET", "POST"]),
        Route("/messages", stub.message_by_key, methods=["GET"]),
        Route("/messages/{id}", stub.message_by_id, methods=["GET"]),
        Route("/audit", stub.audit, methods=["GET"]),
        Route("/healthz", stub.health, methods=["GET"]),
        Route("/metrics", stub.show_metrics, methods=["GET"]),
        Route("/openapi.json", stub.openapi, methods=["GET"]),
        Route("/page.js", stub.script, methods=["GET"]),
        Route("/docs", stub.docs, methods=["GET"]),
    ]
    handlers: dict[Any, Any] = {
        Problem: _answer_problem,
        StoreDownError: _answer_store_down,
        HTTPException: _answer_http_exception,
        Exception: _answer_fault,
    }
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=stub.lifespan)
    app.state.stub = stub
    return app


async def _answer_problem(_request: Request, problem: Problem) -> Response:
    headers = {name.decode(): value.decode() for name, value in problem.headers}
    return Response(problem.body, problem.status, headers, MEDIA_TYPE.decode())


async def _answer_store_down(request: Request, error: StoreDownError) -> Response:
    return await _answer_problem(request, unavailable(str(error)))


async def _answer_http_exception(request: Request, error: HTTPException) -> Response:
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    return await _answer_problem(request, Problem(error.status_code, f"{request.method} {request.url.path}", headers))


async def _answer_fault(request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer, so that it is logged with its traceback.
    return await _answer_problem(request, Problem(500, "an error of the stub; its log has the details"))


def _whole(request: Request, name: str, default: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdecimal() or len(given) > len(str(most)) or not 1 <= int(given) <= most:
        raise Problem(400, f"{name} must be a whole number from 1 to {most}, got {given!r}")
    return int(given)


def _found(message: Message | None, otherwise: str) -> Response:
    if message is None:
        raise Problem(404, otherwise)
    return Response(encode_message(message), media_type="application/json")


def _json(value: object, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), headers=headers, media_type="application/json")
