"""Ask the target what it has stored of a run, if it offers an audit, and compare that with the ledger."""

import argparse
import json
import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from traffic.clock import now_s
from traffic.core.audit_source import AuditSource
from traffic.core.headers import Field, merged
from traffic.core.master.verdict import disagreement, missing
from traffic.core.pointer import found_at, read_pointer
from traffic.errors import RefusedError
from traffic.settings.request_options import RequestOptions
from traffic.users.header_file import HeaderFile

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MOST_BYTES = 1 << 20
# How long the audit is asked again: behind a cache, a replica or a queue, confirmed records may show up late.
CATCH_UP_S, ASK_AGAIN_S = 5.0, 0.5


class AuditError(RefusedError):
    """What a person wants to know of the target cannot be read; the text says why."""


def reconcile(host: str, run: str, counts: dict[str, int], elsewhere: int = 0) -> dict[str, Any] | None:
    """Return the target's audit of a run; None if it offers none. `agrees` says whether the report's counts allow it.

    If the target has fewer records than were delivered, ask again for `CATCH_UP_S` before that is a disagreement. It
    may have any number of the `elsewhere` records that were settled before the run moved to this target.
    """

    def fetch() -> dict[str, Any] | None:
        found = fetch_audit(host, run)
        if found is not None:
            found.pop("elsewhere", None)  # only the master knows it
        return found and found | _settled_elsewhere(elsewhere)

    audit = _caught_up(fetch, counts)
    return audit and {**audit, "agrees": agrees(audit, counts)}


def _settled_elsewhere(elsewhere: int) -> dict[str, int]:
    return {"elsewhere": elsewhere} if elsewhere else {}


def _caught_up(fetch: Callable[[], dict[str, Any] | None], counts: dict[str, int]) -> dict[str, Any] | None:
    """Return the audit that `fetch` returns; ask again for `CATCH_UP_S` while it has too few records."""
    audit = fetch()
    deadline = now_s() + CATCH_UP_S
    if _is_short(audit, counts):
        logger.info("the target has fewer records than were delivered; asking again for %g s", CATCH_UP_S)
    while _is_short(audit, counts) and now_s() < deadline:
        time.sleep(ASK_AGAIN_S)
        audit = fetch() or audit
    return audit


def count_at(host: str, source: AuditSource, headers: Iterable[Field] = ()) -> int:
    """Return the number that stands in the target's answer to `GET` of a path. AuditError if it does not."""
    url = f"{host.rstrip('/')}{source.path}"
    try:
        parts = urlsplit(url)
        found = _get_over_unix(parts, headers) if parts.scheme == "http+unix" else _get(url, headers)
    except HTTPError as error:
        error.close()
        raise AuditError(f"GET {url} was answered {error.code}") from error
    except (OSError, ValueError, HTTPException, RecursionError) as error:
        raise AuditError(f"GET {url}: {error or type(error).__name__}") from error
    value = found_at(found, read_pointer(source.pointer[1:])) if source.pointer else found
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not _is_count(value):
        where = f"at {source.pointer} of its answer" if source.pointer else "in its answer"
        raise AuditError(f"GET {url}: {where} stands {json.dumps(value)[:80]}, and no whole number")
    return int(value)


def audit_headers(options: argparse.Namespace | None) -> list[Field]:
    """Return the headers that go with every request, so that the API lets the master in, too.

    Those of a header file are among them if the master can read it. (In Compose it cannot: the workers alone see it.)
    """
    asked = RequestOptions.read(options)
    headers = list(asked.headers)
    if asked.header_file is not None and asked.header_file.is_file():
        headers = merged(headers, HeaderFile(asked.header_file, now_s).fields)
    return headers


def reconcile_growth(
    host: str, source: AuditSource, before: int, counts: dict[str, int], elsewhere: int, headers: Iterable[Field] = ()
) -> dict[str, Any]:
    """Return how many more records the target has than `before` the run, as an audit; see `reconcile`."""
    audit: dict[str, Any] = {"source": str(source), "before": before, "after": None, "stored": 0}
    headers = list(headers)

    def fetch() -> dict[str, Any]:
        after = count_at(host, source, headers)
        audit.update(after=after, stored=after - before, **_settled_elsewhere(elsewhere))
        return audit

    try:
        _caught_up(fetch, counts)
    except AuditError as error:
        logger.warning("what the target has cannot be read: %s", error)
        audit["error"] = str(error)  # beside what it told before, if it did
    return {**audit, "agrees": agrees(audit, counts)}


def _is_short(audit: dict[str, Any] | None, counts: dict[str, int]) -> bool:
    return audit is not None and missing(audit, counts) > 0


def fetch_audit(host: str, run: str) -> dict[str, Any] | None:
    """Return what `GET /audit?run=` of the target says (see the API stub's docs); None if it offers no audit.

    A target that cannot be reached, or answers something else, counts as offering none; this is logged.
    """
    url = f"{host.rstrip('/')}/audit?run={quote(run)}"
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "http+unix"):
            return None
        found = _get_over_unix(parts) if parts.scheme == "http+unix" else _get(url)
    except HTTPError as error:
        logger.info("the target offers no audit (%s answered %d)", url, error.code)
        error.close()
        return None
    # HTTPException: the server does not speak HTTP. RecursionError: JSON that never closes its brackets.
    except (OSError, ValueError, HTTPException, RecursionError) as error:
        logger.warning("the target's audit could not be read (%s: %s)", url, error)
        return None
    if not isinstance(found, dict) or found.get("run") != run or not _is_count(found.get("stored")):
        logger.info("the target offers no audit (%s answered something else)", url)
        return None
    return found


def _get(url: str, headers: Iterable[Field] = ()) -> Any:
    # No proxy, because the records were sent without one.
    opener = build_opener(ProxyHandler({}))
    asked = Request(url, headers={"Accept": "application/json", **dict(headers)})  # noqa: S310 - http(s) only: who calls this has seen to it
    with opener.open(asked, timeout=TIMEOUT_S) as answer:
        return json.loads(answer.read(MOST_BYTES))


class _OverUnix(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def _get_over_unix(url: SplitResult, headers: Iterable[Field] = ()) -> Any:
    """As `_get`, for a host that is the percent-encoded path of a socket. HTTPError if the answer is not 200."""
    connection = _OverUnix(unquote(url.netloc.rpartition("@")[2]))
    with closing(connection):
        connection.request("GET", f"{url.path}?{url.query}", headers={"Accept": "application/json", **dict(headers)})
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise HTTPError(url.geturl(), answer.status, answer.reason, answer.headers, None)
        return json.loads(answer.read(MOST_BYTES))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def agrees(audit: dict[str, Any], counts: dict[str, int]) -> bool:
    """Return whether the report's counts allow what the target has stored."""
    return not disagreement(audit, counts)
