"""Fixtures for the stub's tests: a store of each kind, a stub in this process, a real mongod."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from stub.__main__ import make_store
from stub.app import make_app
from stub.settings import Settings
from support.mongod import Mongod, NoMongodError, running_mongod


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    try:
        with running_mongod(tmp_path_factory.mktemp("mongod") / "data") as running:
            yield running
    except NoMongodError as e:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI MongoDB's half of the contract must run: {e}")
        pytest.skip(str(e))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'stub.sqlite'}"


@pytest.fixture
def mongo_url(mongod: Mongod) -> str:
    return f"{mongod.url}/t{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["sqlite", "mongo"])
def store_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def settings(store_url: str) -> Settings:
    return Settings(store_url=store_url, server_name="server-1")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    app = make_app(settings, make_store(settings))
    async with app.router.lifespan_context(app), asyncio.timeout(60):
        await app.state.stub.ready.wait()
        yield app


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://stub") as client:
        yield client
