"""Lines of requests: vegeta's JSON targets (its lib/target.schema.json), with members of ours beside theirs.

    {"method": "POST", "url": "/orders/7?x=1", "header": {"Content-Type": ["application/json"]}, "body": "eyJhIjoxfQ=="}
    {"method": "PATCH", "url": "/orders/7", "json": {"state": "paid"}, "time": "2026-11-22T17:22:28.375Z"}

`body` is in base64; in its place stands `text`, or `json`, whose bytes are sent as they stand in the file. `time` is
when the request was sent, `name` what it is counted as. A member that is null is one that is not there, as to vegeta;
`json` alone may be null.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from traffic.core.headers import JSON_CONTENT, Field, has_field
from traffic.dataset import diagnosis
from traffic.dataset.from_requests.builder import RecordedRequest
from traffic.dataset.from_requests.convert import Found, Place
from traffic.dataset.scan import BOM, MAX_RECORD, decoded_end
from traffic.dataset.source import Source
from traffic.dataset.timestamps import read_time

MEMBERS = frozenset({"method", "url", "header", "body", "text", "json", "time", "name"})
_BODIES = ("body", "text", "json")
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse(source: Source) -> Iterator[Found]:
    """Yield the request of each line that is not blank."""
    for number, done, line in source.lines(2 * MAX_RECORD):
        text = line.removeprefix(BOM) if number == 1 else line
        if not text.strip():
            continue
        place = Place(number, done)
        try:
            yield place, _request(text)
        except ValueError as error:
            yield place, error


def _request(line: bytes) -> RecordedRequest:
    try:
        members = _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise _not_an_object(line, error) from error
    if unknown := sorted(set(members) - MEMBERS):
        raise ValueError(
            f"has the member {unknown[0][:40]!r}, which requests do not have ({', '.join(sorted(MEMBERS))})"
        )
    members = {name: value for name, value in members.items() if name == "json" or bytes(value) != b"null"}
    for name in ("method", "url"):
        if name not in members:
            raise ValueError(f"has no {name!r}, which every request has")
    bodies = [name for name in _BODIES if name in members]
    if len(bodies) > 1:
        raise ValueError(f"has {bodies[0]!r} and {bodies[1]!r}: a request has one body")
    fields = _fields(members)
    time = _value(members, "time")
    return RecordedRequest(
        method=_text(members, "method"),
        url=_text(members, "url"),
        fields=fields,
        body=_body(members, bodies[0]) if bodies else b"",
        time_ns=None if time is None else read_time(time),
        name=_text(members, "name") if "name" in members else "",
    )


def _not_an_object(line: bytes, error: Exception) -> ValueError:
    text = line.decode("latin-1").strip()
    if text[:1] != "{":
        return ValueError(f"is {diagnosis.describe(text, 'line')}, not a JSON object")
    try:
        stop = decoded_end(text, 0)
    except (ValueError, RecursionError) as why:
        return ValueError(f"is no JSON ({why})")
    rest = text[stop:].lstrip()
    if rest:
        return ValueError(f"is followed by {diagnosis.describe(rest, 'line')} on the same line")
    return ValueError(f"is no JSON ({error})")


def _value(members: dict[str, msgspec.Raw], name: str) -> Any:
    return msgspec.json.decode(members[name]) if name in members else None


def _text(members: dict[str, msgspec.Raw], name: str) -> str:
    value = _value(members, name)
    if not isinstance(value, str):
        raise ValueError(f"has something else than a text as {name!r}")  # noqa: TRY004 - the file's fault
    return value


def _fields(members: dict[str, msgspec.Raw]) -> tuple[Field, ...]:
    given = _value(members, "header")
    made: list[Field] = []
    if given is not None and not isinstance(given, dict):
        raise ValueError("has something else than an object as 'header'")
    for name, values in (given or {}).items():
        for value in [values] if isinstance(values, str) else values if isinstance(values, list) else [None]:
            if not isinstance(value, str):
                raise ValueError(f"has something else than texts as the header {name[:40]!r}")  # noqa: TRY004 - as above
            made.append((name, value))
    if "json" in members and not has_field(made, "content-type"):
        made.append(JSON_CONTENT)
    return tuple(made)


def _body(members: dict[str, msgspec.Raw], name: str) -> bytes:
    if name == "json":
        return bytes(members["json"])
    text = _text(members, name)
    if name == "text":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"has a 'body' that is no base64 ({error})") from error
