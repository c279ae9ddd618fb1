"""What is sent and answered as JSON. Rule: the API's description is made from these types, so the two cannot differ.

The docstrings and descriptions are part of that description: they speak to a user of the API.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stub.gaps import MAX_GAPS

MAX_SHOWN = 2000  # characters of a name and of a msg that a list of messages shows; Summary names the figure, too

Count = Annotated[int, Meta(ge=0)]
Shares = dict[str, Annotated[int, Meta(ge=1)]]
Shown = Annotated[str, Meta(max_length=MAX_SHOWN)]
Moment = Annotated[str, Meta(description="UTC, to the millisecond.", extra_json_schema={"format": "date-time"})]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """Any further members are kept, too."""

    name: str
    msg: str


class MessageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message. `payload` is the JSON that was sent, unchanged."""

    id: str
    name: str
    msg: str
    received: Moment
    server: Annotated[str, Meta(description="Host name of the stub that took it.")]
    worker: Annotated[str | None, Meta(description="The request's Traffic-Worker.")]
    key: Annotated[str | None, Meta(description="The request's Idempotency-Key.")]
    run: Annotated[str | None, Meta(description="What stands before the last `-` of a key that ends in `-<index>`.")]
    index: Count | None
    payload: Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/Payload"})]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a list: without its payload, its texts cut at 2000 characters."""

    id: str
    name: Shown
    msg: Shown
    clipped: Annotated[bool, Meta(description="Whether a text was cut.")]
    received: Moment
    server: str
    worker: str | None
    key: str | None


class MessageList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest messages first."""

    stored: Annotated[Count, Meta(description="Messages stored, of all runs.")]
    messages: Sequence[Summary]
    older: Annotated[str | None, Meta(description="Where the next page is.")]


class Indexes(msgspec.Struct, frozen=True, kw_only=True):
    """Which indexes of a run are stored."""

    max: Count | None
    missing: Annotated[Count, Meta(description="How many below the highest are not stored.")]
    missing_below_max: Annotated[Sequence[Count], Meta(max_length=MAX_GAPS)]


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a run. posts = stored + replayed + conflicts: the POSTs that reached the store."""

    run: str
    stored: Count
    posts: Count
    replayed: Count
    conflicts: Count
    by_server: Shares
    by_worker: Shares
    indexes: Indexes


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The stub can store."""

    status: Literal["ok"]
    server: str
    waiting: Count


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457."""

    title: str
    status: int
    detail: str
