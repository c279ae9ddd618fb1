"""An audit's time grows with its run, not with the store: it reads the run's part of one index, and no message."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from stub import store_mongo, store_sqlite
from stub.message import make_message
from stub.store import Store
from stub.store_mongo import MongoStore
from stub.store_sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def fill(store: Store) -> None:
    """Store 300 messages, 100 of them of the run `a`."""
    await store.open()
    keys = [f"{run}-{index}" for run in "abc" for index in range(100)]
    now = datetime.now(UTC)
    await store.write([make_message(b'{"name":"n","msg":"m"}', key, "w", "s", now) for key in keys])
    await store.close()


@pytest.mark.parametrize("query", [store_sqlite._RUN_TOTALS, store_sqlite._HOW_MANY, store_sqlite._WHICH])
async def test_in_sqlite(tmp_path: Path, query: str) -> None:
    path = tmp_path / "stub.sqlite"
    await fill(SqliteStore(path))
    db = sqlite3.connect(path)
    plan = db.execute(f"EXPLAIN QUERY PLAN {query}", ("a", 0, 100)[: query.count("?")]).fetchall()
    db.close()
    assert "SEARCH messages USING COVERING INDEX by_run (run=?" in plan[0][3]


async def test_in_mongodb(mongo_url: str) -> None:
    await fill(MongoStore(mongo_url))
    pipeline = [{"$match": {"run": "a"}}, {"$group": store_mongo._RUN_TOTALS}]
    with MongoClient[dict[str, Any]](mongo_url) as client:
        database = client.get_default_database()
        asked = {"aggregate": "messages", "pipeline": pipeline, "cursor": {}}
        explained = database.command("explain", asked, verbosity="executionStats")
    stats = [found for found in within(explained) if "totalKeysExamined" in found]
    assert {found["totalDocsExamined"] for found in stats} == {0}
    assert 100 <= max(found["totalKeysExamined"] for found in stats) <= 101  # one more, to see that the run has ended


def within(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object in an object: the place of the figures differs between versions of MongoDB."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from within(inner)
