"""HAR 1.2, as browsers, proxies and Playwright write it: the requests of one session, in the order of their beginnings.

W. Odvarko et al., "HTTP Archive (HAR) format", W3C Web Performance Group, 2012: readers must sort the entries.
"""

import base64
import binascii
from collections.abc import Iterator
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from traffic.core.headers import Field, has_field
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.from_requests.builder import LeftOutError, RecordedRequest
from traffic.dataset.from_requests.convert import Found, Place
from traffic.dataset.source import Source
from traffic.dataset.timestamps import iso

_FORM = "application/x-www-form-urlencoded"
_SCHEMES = ("http", "https")


class _PostData(msgspec.Struct):
    mime_type: str = msgspec.field(name="mimeType", default="")
    text: str | None = None
    params: list[Any] | None = None
    encoding: str | None = None


class _Request(msgspec.Struct):
    method: str
    url: str
    headers: list[Any] = []
    post_data: _PostData | None = msgspec.field(name="postData", default=None)


class _Entry(msgspec.Struct):
    request: _Request
    started: str | None = msgspec.field(name="startedDateTime", default=None)


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]


class _Archive(msgspec.Struct):
    log: _Log


_ENTRY = msgspec.json.Decoder(_Entry)


def parse(source: Source) -> Iterator[Found]:
    """Yield the request of each entry, the earliest first."""
    # The text, and a copy of each entry.
    source.budget.check_memory(source.name, 2 * source.size, "takes")
    text = source.read(0, source.size)
    try:
        entries = msgspec.json.decode(text, type=_Archive).log.entries
    except msgspec.MsgspecError as error:
        what = f"the file begins like a HAR, and is none ({error})"
        raise DatasetError(source.name, what, "Export it again.") from error
    found = [_found(entry) for entry in entries]
    times = [0 if isinstance(one, LeftOutError) else getattr(one, "time_ns", None) for one in found]
    if None not in times:  # else there is a fault, or the file's order is all that is known
        found = [one for _, one in sorted(zip(times, found, strict=True), key=itemgetter(0))]
    for nth, one in enumerate(found, 1):
        yield Place(None, source.size * nth // len(found)), one


def _found(entry: msgspec.Raw) -> RecordedRequest | Exception:
    try:
        return _request(_ENTRY.decode(entry))
    except msgspec.MsgspecError as error:
        return ValueError(f"is no entry of a HAR ({error})")
    except (ValueError, LeftOutError) as error:
        return error


def _request(entry: _Entry) -> RecordedRequest:
    asked = entry.request
    scheme = asked.url.partition(":")[0].lower()
    if scheme not in _SCHEMES or not urlsplit(asked.url).netloc:
        what = "in the browser itself or over a WebSocket, and left out"
        raise LeftOutError(f"requests were {what}", f"request was {what}")
    fields = tuple(map(_field, asked.headers))
    body = b""
    if asked.post_data is not None:
        body = _body(asked.post_data)
        if body and asked.post_data.mime_type and not has_field(fields, "content-type"):
            fields += (("Content-Type", asked.post_data.mime_type),)
    time_ns = None if entry.started is None else iso(entry.started)
    return RecordedRequest(asked.method, asked.url, fields, body, time_ns)


def _field(header: Any) -> Field:
    """Return a header, which some tools write as a pair."""
    name, value = (None, None)
    if isinstance(header, dict):
        name, value = header.get("name"), header.get("value")
    elif isinstance(header, list) and len(header) == 2:  # noqa: PLR2004 - name and value
        name, value = header
    if not isinstance(name, str) or not isinstance(value, str):
        raise ValueError("has a header without a name and a value")  # noqa: TRY004 - the file's fault
    # A value is bytes to HTTP; the tools write it as text.
    return name, value if value.isascii() else value.encode().decode("latin-1")


def _body(data: _PostData) -> bytes:
    if data.text is not None and (data.text or not data.params):
        if data.encoding != "base64":
            return data.text.encode()
        try:
            return base64.b64decode(data.text, validate=True)
        except binascii.Error as error:
            raise ValueError(f"has a body that is no base64 ({error})") from error
    if not data.params:
        return b""
    if data.mime_type.partition(";")[0].strip().lower() != _FORM:
        what = "a form of several parts whose bytes the file does not have, and left out"
        raise LeftOutError(f"requests are {what}", f"request is {what}")
    pairs = [(str(one.get("name", "")), str(one.get("value", ""))) for one in data.params if isinstance(one, dict)]
    return urlencode(pairs).encode()
