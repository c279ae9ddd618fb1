"""What the stub stores. Rule: the payload is stored and returned as the very text that was sent.

A parsed copy would lose what BSON cannot hold: an integer past 64 bits, a repeated member, the spelling of a number.
So `name` and `msg` are read out for people, and `payload` is what a checker compares.
"""

import itertools
import os
import re
from datetime import datetime
from enum import Enum

import msgspec

from stub.documents import MessageDocument, Payload

MAX_KEY = 255  # characters; Stripe's limit for an idempotency key

_KEY = re.compile(r"(?P<run>.+)-(?P<index>0|[1-9][0-9]{0,17})")  # 18 digits fit a signed 64-bit column
_SEQUENCE = itertools.count(int.from_bytes(os.urandom(3)))
_PROCESS = os.urandom(7).hex()


class _FloatText(str):
    """A float as its text: `1e999` is JSON, although Python has no such float."""

    __slots__ = ()


# Decodes the whole body, also the members that the stub ignores.
_DECODER = msgspec.json.Decoder(float_hook=_FloatText)


class BadKeyError(ValueError):
    """A header's value cannot be stored."""


class BrokenJsonError(ValueError):
    """The body is not JSON in UTF-8 (RFC 8259)."""


class WrongShapeError(ValueError):
    """The body is JSON, but not an object with a text `name` and a text `msg`."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, stored or to be stored.

    `received` is UTC, to the millisecond. `run` and `index` are read from `key`, and None if it does not end in
    `-<index>`. `id` grows with the time received, so that the newest messages sort last on every server.
    """

    id: str
    name: str
    msg: str
    received: datetime
    server: str
    worker: str | None
    key: str | None
    run: str | None
    index: int | None
    payload: str


class WriteOutcome(Enum):
    """What a store did with a message."""

    FIRST = "first"  # stored
    REPLAYED = "replayed"  # its key was known, with the same payload
    CONFLICT = "conflict"  # its key was known, with another payload


class WriteResult(msgspec.Struct, frozen=True):
    """A store's result for one message, with the message that it holds under that key."""

    outcome: WriteOutcome
    stored: Message


def first(message: Message) -> WriteResult:
    """Return the result for a message that was stored."""
    return WriteResult(WriteOutcome.FIRST, message)


def compare(sent: Message, stored: Message) -> WriteResult:
    """Return the result for a message under whose key the store already holds `stored`."""
    outcome = WriteOutcome.REPLAYED if sent.payload == stored.payload else WriteOutcome.CONFLICT
    return WriteResult(outcome, stored)


def read_key(header: str | None) -> str | None:
    """Return the key in a header's value, which may be bare or the quoted string of the IETF draft.

    Raises BadKeyError if the key is empty, longer than 255 characters or not printable ASCII.
    """
    if header is None:
        return None
    given = read_header(header, "Idempotency-Key", MAX_KEY)
    if len(given) > 1 and given[0] == given[-1] == '"':
        given = re.sub(r'\\(["\\])', r"\1", given[1:-1])
    if not given:
        raise BadKeyError("Idempotency-Key must not be empty")
    return given


def read_header(header: str, what: str, most: int) -> str:
    """Return a header's value. Raises BadKeyError if it is not 1 to `most` characters of printable ASCII."""
    name = header.strip(" \t")
    if not 0 < len(name) <= most or not name.isascii() or not name.isprintable():
        raise BadKeyError(f"{what} must be 1 to {most} printable ASCII characters")
    return name


def split_key(key: str | None) -> tuple[str | None, int | None]:
    """Split a key `<run id>-<index>`. Returns (None, None) for a key of another form."""
    match = _KEY.fullmatch(key) if key else None
    return (match["run"], int(match["index"])) if match else (None, None)


def read_payload(body: bytes) -> tuple[Payload, str]:
    """Return a body as a payload and as text. Raises BrokenJsonError or WrongShapeError."""
    try:
        text = body.decode()
        value = _DECODER.decode(body)
    except msgspec.ValidationError as e:  # an integer of more digits than Python converts
        raise WrongShapeError(str(e)) from e
    except (UnicodeDecodeError, msgspec.DecodeError) as e:
        raise BrokenJsonError(str(e)) from e
    except RecursionError as e:
        raise BrokenJsonError("nested too deeply to be read") from e
    if type(value) is not dict:
        raise WrongShapeError(f"expected an object, got {_kind(value)}")
    return Payload(name=_text(value, "name"), msg=_text(value, "msg")), text


def make_message(body: bytes, key: str | None, worker: str | None, server: str, received: datetime) -> Message:
    """Make a message of a body and its headers. Raises BrokenJsonError or WrongShapeError."""
    payload, text = read_payload(body)
    run, index = split_key(key)
    received = received.replace(microsecond=received.microsecond // 1000 * 1000)
    return Message(
        id=_new_id(received),
        name=payload.name,
        msg=payload.msg,
        received=received,
        server=server,
        worker=worker,
        key=key,
        run=run,
        index=index,
        payload=text,
    )


def iso(moment: datetime) -> str:
    """Format a UTC time as ISO 8601 with milliseconds: `2026-01-31T12:00:00.123Z`."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def encode_message(message: Message) -> bytes:
    """Encode a stored message as the JSON that answers its POST, with the payload as it was sent."""
    document = MessageDocument(
        id=message.id,
        name=message.name,
        msg=message.msg,
        received=iso(message.received),
        server=message.server,
        worker=message.worker,
        key=message.key,
        run=message.run,
        index=message.index,
        payload=msgspec.Raw(message.payload.encode()),
    )
    return msgspec.json.encode(document)


def _new_id(received: datetime) -> str:
    milliseconds = int(received.timestamp() * 1000)
    return f"{milliseconds:012x}{next(_SEQUENCE) & 0xFFFFFFFF:08x}{_PROCESS}"


def _text(value: dict[str, object], member: str) -> str:
    if member not in value:
        raise WrongShapeError(f"member {member!r} is missing")
    found = value[member]
    if type(found) is not str:
        raise WrongShapeError(f"member {member!r} must be text, got {_kind(found)}")
    return found


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
