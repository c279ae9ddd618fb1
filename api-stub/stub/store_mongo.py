"""Messages in MongoDB. Rule: a result is returned only after a majority has journaled the write."""

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
from stub.message import Message, WriteOutcome, WriteResult, compare, first, iso
from stub.store import RunTotals, StoreDownError, highest, missing, sum_up

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

Document = dict[str, Any]
T = TypeVar("T")

_DUPLICATE_KEY = 11000
_DURABLE = WriteConcern(w="majority", j=True)
_INDEXES = [
    IndexModel("key", name="key", unique=True, sparse=True),  # a message without a key lacks the field
    IndexModel(
        ["run", "index", "server", "worker", "replayed", "conflicts"],  # an audit reads this index alone
        name="audit",
        partialFilterExpression={"run": {"$exists": True}},
    ),
]
_INDEX_ALONE = {"_id": False, "index": True}
_AUDIT_TIMEOUT = 60.0  # seconds; an audit reads all of a run's index
_COUNTER = {WriteOutcome.REPLAYED: "replayed", WriteOutcome.CONFLICT: "conflicts"}
_RUN_TOTALS: Document = {
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
    """A store in the collection `messages` of the URL's database (`traffic` if it names none)."""

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
        """Create the indexes. A write before that could store a key twice."""
        try:
            await self._messages.create_indexes(_INDEXES)
        except PyMongoError as e:
            raise _down(e) from e

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ping(self) -> None:
        """Check that a server which accepts writes answers."""
        try:
            await self._client.admin.command("ping")
        except PyMongoError as e:
            raise _down(e) from e

    async def write(self, batch: Sequence[Message]) -> list[WriteResult]:
        """Insert a batch in one command; look up the messages whose keys were known."""
        try:
            again = await self._insert(batch)
            return await self._compare_known(batch, again) if again else [first(m) for m in batch]
        except PyMongoError as e:
            raise _down(e) from e

    async def _insert(self, batch: Sequence[Message]) -> set[int]:
        """Insert the batch. Returns the places in it of the messages whose keys were known."""
        try:
            await self._messages.insert_many([_document(m) for m in batch], ordered=False)
        except BulkWriteError as e:
            if e.details["writeConcernErrors"]:
                raise  # perhaps stored, but not known to be durable
            errors = e.details["writeErrors"]
            if any(error["code"] != _DUPLICATE_KEY for error in errors):
                raise
            return {error["index"] for error in errors}
        return set()

    async def _compare_known(self, batch: Sequence[Message], again: set[int]) -> list[WriteResult]:
        """Compare each message of a known key with the first one, and count it there.

        The count is written after the first message and just as durably. So a first message that another stub has
        written but that was not yet journaled is journaled when this returns.
        """
        keys = [batch[place].key for place in again]
        found = {d["key"]: _message(d) async for d in self._messages.find({"key": {"$in": keys}})}
        written = [
            compare(m, found[m.key]) if place in again and m.key in found else first(m) for place, m in enumerate(batch)
        ]
        if len(found) < len(set(keys)):
            raise StoreDownError("MongoDB refused a key and does not hold it")
        counts = [_count(written[place]) for place in again]
        counted = await self._messages.bulk_write(counts, ordered=False)
        if counted.matched_count < len(counts):  # killed and back in between: the message found had not been journaled
            raise StoreDownError("MongoDB has lost a message that it held a moment ago")
        return written

    async def newest(self, limit: int, before: str | None = None) -> list[Summary]:
        """Return the newest messages first."""
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
        """Audit a run, from what a majority holds."""
        with pymongo.timeout(_AUDIT_TIMEOUT):
            return await _answered(self._audit(run))

    async def _audit(self, run: str) -> Audit:
        messages = self._messages.with_options(read_concern=ReadConcern("majority"))
        cursor = await messages.aggregate([{"$match": {"run": run}}, {"$group": _RUN_TOTALS}])
        totals = [_totals(d) async for d in cursor]
        found = await self._gaps(messages, run, highest(totals) or 0) if missing(totals) else []
        return sum_up(run, totals, found)

    async def _gaps(self, messages: "AsyncCollection[Document]", run: str, top: int) -> list[int]:
        search = gaps.search(top)
        query = next(search)
        while True:
            arguments = {"run": run, "index": {"$gte": query.first, "$lt": query.end}}
            try:
                if query.listing:
                    stored = await messages.find(arguments, _INDEX_ALONE).to_list()
                    query = search.send([int(document["index"]) for document in stored])
                else:
                    query = search.send(await messages.count_documents(arguments))
            except StopIteration as found:
                return list(found.value)


async def _answered(arguments: Awaitable[T]) -> T:
    try:
        return await arguments
    except PyMongoError as e:
        raise _down(e) from e


def _down(error: PyMongoError) -> StoreDownError:
    return StoreDownError(f"MongoDB: {type(error).__name__}: {str(error)[:200]}")


def _count(written: WriteResult) -> UpdateOne:
    return UpdateOne({"key": written.stored.key}, {"$inc": {_COUNTER[written.outcome]: 1}})


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


def _totals(document: Document) -> RunTotals:
    server, worker = document["_id"]["server"], document["_id"].get("worker")
    return RunTotals(
        server, worker, *(int(document[field]) for field in ("stored", "replayed", "conflicts", "highest"))
    )
