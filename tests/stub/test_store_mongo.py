"""MongoDB alone can lose a write that it has already shown, because the write was not journaled yet."""

from datetime import UTC, datetime

import pytest
from pymongo import MongoClient

from stub import store_mongo
from stub.message import Message, WriteOutcome, WriteResult, compare, make_message
from stub.store import StoreDownError
from stub.store_mongo import MongoStore

pytestmark = pytest.mark.anyio


def message() -> Message:
    return make_message(b'{"name":"n","msg":"m"}', "run-0", None, "s", datetime.now(UTC))


async def test_a_first_message_that_is_lost_before_it_is_counted_again_is_no_answer(
    mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(sent: Message, stored: Message) -> WriteResult:
        with MongoClient[dict[str, object]](mongo_url) as client:
            client.get_default_database()["messages"].delete_one({"key": stored.key})
        return compare(sent, stored)

    store = MongoStore(mongo_url)
    await store.open()
    await store.write([message()])
    with monkeypatch.context() as patched:
        patched.setattr(store_mongo, "compare", lose)
        with pytest.raises(StoreDownError, match="has lost a message"):
            await store.write([message()])
    (written,) = await store.write([message()])
    await store.close()
    assert written.outcome is WriteOutcome.FIRST
