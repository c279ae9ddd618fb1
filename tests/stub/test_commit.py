"""Group commit, without a store that takes time: the test decides when each write returns."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from stub.commit import GroupCommit, OverloadedError, QueueLimits
from stub.message import Message, WriteResult, first, make_message
from stub.store import StoreDownError

pytestmark = pytest.mark.anyio


class HeldStore:
    """A store whose writes wait for `finish`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.writing: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def write(self, batch: Sequence[Message]) -> list[WriteResult]:
        self.batches.append([m.msg for m in batch])
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self.writing.put(done)
        await done
        return [first(m) for m in batch]

    async def finish(self, error: Exception | None = None) -> None:
        done = await self.writing.get()
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def message(text: str) -> Message:
    return make_message(f'{{"name":"n","msg":"{text}"}}'.encode(), None, None, "s", datetime.now(UTC))


@pytest.fixture
async def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
async def commit(store: HeldStore) -> AsyncIterator[GroupCommit]:
    commit = GroupCommit(store, QueueLimits(waiting=4, batch=3))  # type: ignore[arg-type] # it uses only write
    commit.start()
    async with asyncio.timeout(30):
        yield commit
        await commit.close()


def put(commit: GroupCommit, *texts: str) -> list[asyncio.Task[WriteResult]]:
    return [asyncio.create_task(commit.put(message(text))) for text in texts]


async def test_a_lone_message_is_written_at_once(commit: GroupCommit, store: HeldStore) -> None:
    (answer,) = put(commit, "a")
    await store.finish()
    assert (await answer).stored.msg == "a"


async def test_what_arrives_during_a_write_is_the_next_batch_up_to_its_bound(
    commit: GroupCommit, store: HeldStore
) -> None:
    answers = put(commit, "a")
    first = await store.writing.get()
    answers += put(commit, "b", "c", "d", "e")
    await asyncio.sleep(0)
    first.set_result(None)
    await store.finish()
    await store.finish()
    assert [(await a).stored.msg for a in answers] == ["a", "b", "c", "d", "e"]
    assert store.batches == [["a"], ["b", "c", "d"], ["e"]]


async def test_past_its_bound_the_queue_refuses_and_keeps_what_it_has(commit: GroupCommit, store: HeldStore) -> None:
    answers = put(commit, "a")
    first = await store.writing.get()
    answers += put(commit, "b", "c", "d", "e")
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await commit.put(message("f"))
    first.set_result(None)
    await store.finish()
    await store.finish()
    assert [(await a).stored.msg for a in answers] == ["a", "b", "c", "d", "e"]


async def test_the_queue_is_bounded_in_size_too(store: HeldStore) -> None:
    commit = GroupCommit(store, QueueLimits(waiting_size=2000))  # type: ignore[arg-type]
    commit.start()
    with pytest.raises(OverloadedError):
        await commit.put(message("x" * 1000))
    await commit.close()


async def test_a_store_that_is_down_fails_all_that_wait_and_the_next_is_tried_anew(
    commit: GroupCommit, store: HeldStore
) -> None:
    answers = put(commit, "a")
    first = await store.writing.get()
    answers += put(commit, "b", "c", "d", "e")
    await asyncio.sleep(0)
    first.set_exception(StoreDownError("away"))
    for answer in answers:
        with pytest.raises(StoreDownError, match="away"):
            await answer
    (later,) = put(commit, "f")
    await store.finish()
    assert (await later).stored.msg == "f"


async def test_an_unforeseen_error_fails_its_batch_and_not_the_writer(commit: GroupCommit, store: HeldStore) -> None:
    (answer,) = put(commit, "a")
    await store.finish(RuntimeError("a fault"))
    with pytest.raises(RuntimeError, match="a fault"):
        await answer
    (later,) = put(commit, "b")
    await store.finish()
    assert (await later).stored.msg == "b"


async def test_a_request_that_was_given_up_does_not_hold_up_its_batch(commit: GroupCommit, store: HeldStore) -> None:
    gone, stays = put(commit, "a", "b")
    done = await store.writing.get()
    gone.cancel()
    await asyncio.sleep(0)
    done.set_result(None)
    assert (await stays).stored.msg == "b"


async def test_closing_writes_what_waits_and_takes_no_more(store: HeldStore) -> None:
    commit = GroupCommit(store, QueueLimits())  # type: ignore[arg-type]
    commit.start()
    answers = put(commit, "a")
    first = await store.writing.get()
    answers += put(commit, "b")
    await asyncio.sleep(0)
    closing = asyncio.create_task(commit.close())
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await commit.put(message("c"))
    first.set_result(None)
    await store.finish()
    await closing
    assert [(await a).stored.msg for a in answers] == ["a", "b"]


async def test_nothing_is_taken_before_the_store_is_open(store: HeldStore) -> None:
    with pytest.raises(StoreDownError):
        await GroupCommit(store, QueueLimits()).put(message("a"))  # type: ignore[arg-type]
