"""Messages in MongoDB. Rule: an answer is given on a journaled write that a majority has, never on less."""

from collections.abc import Awaitable, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from stub import gaps
from stub.documents import MAX_SHOWN, Audit, Summary
from stub.message import Message, Verdict, Written, iso, judge
from stub.store import RunTotals, StoreDownError, highest, missing, total

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

Document = dict[str, Any]
T = TypeVar("T")

_DUPLICATE_KEY = 11000
_DURABLE = WriteConcern(w="majority", j=True)
_INDEXES = [
    IndexModel("key", name="key", unique=True, sparse=True),  # a message without a key has no such field
    IndexModel(
        ["run", "index", "server", "worker", "replayed", "conflicts"],  # an audit reads this index alone
        name="audit",
        partialFilterExpression={"run": {"$exists": True}},
    ),
]
_INDEX_ALONE = {"_id": False, "index": True}
_AUDIT_TIMEOUT = 60.0  # seconds; an audit reads all of a run's index
_COUNTER = {Verdict.REPLAYED: "replayed", Verdict.CONFLICT: "conflicts"}
_TALLY: Document = {
    "_id": {"server": "$server", "worker": "$worker"},
    "stored": {"$sum": 1},
    "replayed": {"$sum": "$replayed"},
    "conflicts": {"$sum": "$conflicts"},
    "highest": {"$max": "$index"},
}


def _cut(field: str) -> Document:
    return {"$substrCP": [f"${field}", 0, MAX_SHOWN]}


def _longer(field: str) -> Document:
    return {"$gt": [{"$strLenCP": f"${field}"}, MAX_SHOWN]}


_SUMMARY: Document = {
    **dict.fromkeys(("received", "server", "worker", "key"), True),
    "name": _cut("name"),
    "msg": _cut("msg"),
    "clipped": {"$or": [_longer("name"), _longer("msg")]},
}


class MongoStore:
    """A store in the collection `messages` of the URL's database (`traffic` where it names none)."""

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            url,
            tz_aware=True,
            timeoutMS=int(timeout * 1000),
            serverSelectionTimeoutMS=int(timeout * 1000),
            appname="api-stub",
        )
        options: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
        database = self._client.get_default_database("traffic")
        self._messages: AsyncCollection[Document] = database.get_collection(
            "messages", codec_options=options, write_concern=_DURABLE
        )

    async def open(self) -> None:
        """Make the indexes; a write before that could double a key."""
        try:
            await self._messages.create_indexes(_INDEXES)
        except PyMongoError as e:
            raise _down(e) from e

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ping(self) -> None:
        """Ask for a server that takes writes."""
        try:
            await self._client.admin.command("ping")
        except PyMongoError as e:
            raise _down(e) from e

    async def write(self, batch: Sequence[Message]) -> list[Written]:
        """Insert a batch in one command; look up what was there already."""
        try:
            again = await self._insert(batch)
            return await self._settle(batch, again) if again else [Written(Verdict.FIRST, m) for m in batch]
        except PyMongoError as e:
            raise _down(e) from e

    async def _insert(self, batch: Sequence[Message]) -> set[int]:
        """Return the places in the batch of those whose key was known."""
        try:
            await self._messages.insert_many([_document(m) for m in batch], ordered=False)
        except BulkWriteError as e:
            if e.details["writeConcernErrors"]:
                raise  # stored, perhaps, but not known to be durable
            errors = e.details["writeErrors"]
            if any(error["code"] != _DUPLICATE_KEY for error in errors):
                raise
            return {error["index"] for error in errors}
        return set()

    async def _settle(self, batch: Sequence[Message], again: set[int]) -> list[Written]:
        """Give each known key its first message, and count it there.

        The count is written after the first message and just as durably. So a first message that another stub
        has written, and not yet journaled, is journaled when this returns.
        """
        keys = [batch[place].key for place in again]
        found = {d["key"]: _message(d) async for d in self._messages.find({"key": {"$in": keys}})}
        written = [
            judge(m, found[m.key]) if place in again and m.key in found else Written(Verdict.FIRST, m)
            for place, m in enumerate(batch)
        ]
        if len(found) < len(set(keys)):
            raise StoreDownError("MongoDB refused a key and does not hold it")
        counts = [_count(written[place]) for place in again]
        counted = await self._messages.bulk_write(counts, ordered=False)
        if counted.matched_count < len(counts):  # killed and back in between: what was found had not been journaled
            raise StoreDownError("MongoDB has lost a message that it held a moment ago")
        return written

    async def newest(self, limit: int, before: str | None = None) -> list[Summary]:
        """Return the newest first."""
        older = {"_id": {"$lt": before}} if before else {}
        return await _answered(self._newest(older, limit))

    async def _newest(self, older: Document, limit: int) -> list[Summary]:
        found = self._messages.find(older, _SUMMARY, sort=[("_id", -1)], limit=limit)
        return [_summary(d) async for d in found]

    async def count(self) -> int:
        """Return how many messages are stored, from the collection's own count."""
        return await _answered(self._messages.estimated_document_count())

    async def by_id(self, message_id: str) -> Message | None:
        """Return one message."""
        return await self._find({"_id": message_id})

    async def by_key(self, key: str) -> Message | None:
        """Return the message stored under a key."""
        return await self._find({"key": key})

    async def _find(self, query: Document) -> Message | None:
        found = await _answered(self._messages.find_one(query))
        return None if found is None else _message(found)

    async def audit(self, run: str) -> Audit:
        """Sum up a run, from what a majority holds."""
        with pymongo.timeout(_AUDIT_TIMEOUT):
            return await _answered(self._audit(run))

    async def _audit(self, run: str) -> Audit:
        messages = self._messages.with_options(read_concern=ReadConcern("majority"))
        cursor = await messages.aggregate([{"$match": {"run": run}}, {"$group": _TALLY}])
        tallies = [_tally(d) async for d in cursor]
        found = await self._gaps(messages, run, highest(tallies) or 0) if missing(tallies) else []
        return total(run, tallies, found)

    async def _gaps(self, messages: "AsyncCollection[Document]", run: str, top: int) -> list[int]:
        search = gaps.search(top)
        ask = next(search)
        while True:
            asked = {"run": run, "index": {"$gte": ask.first, "$lt": ask.end}}
            try:
                if ask.which:
                    stored = await messages.find(asked, _INDEX_ALONE).to_list()
                    ask = search.send([int(document["index"]) for document in stored])
                else:
                    ask = search.send(await messages.count_documents(asked))
            except StopIteration as found:
                return list(found.value)


async def _answered(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except PyMongoError as e:
        raise _down(e) from e


def _down(error: PyMongoError) -> StoreDownError:
    return StoreDownError(f"MongoDB: {type(error).__name__}: {str(error)[:200]}")


def _count(written: Written) -> UpdateOne:
    return UpdateOne({"key": written.stored.key}, {"$inc": {_COUNTER[written.verdict]: 1}})


def _document(message: Message) -> Document:
    document = {f: v for f in message.__struct_fields__ if (v := getattr(message, f)) is not None}
    document["_id"] = document.pop("id")
    return document | {"replayed": 0, "conflicts": 0}


def _message(document: Document) -> Message:
    fields: Document = {field: document.get(field) for field in Message.__struct_fields__}
    index = fields["index"]
    # BSON's own 64-bit type is no plain int to an encoder.
    return Message(**(fields | {"id": document["_id"], "index": index if index is None else int(index)}))


def _summary(document: Document) -> Summary:
    fields: Document = {field: document.get(field) for field in Summary.__struct_fields__}
    return Summary(**(fields | {"id": document["_id"], "received": iso(fields["received"])}))


def _tally(document: Document) -> RunTotals:
    server, worker = document["_id"]["server"], document["_id"].get("worker")
    return RunTotals(
        server, worker, *(int(document[field]) for field in ("stored", "replayed", "conflicts", "highest"))
    )
