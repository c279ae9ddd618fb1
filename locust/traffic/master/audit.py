"""Ask the target what it has stored of a run, if it offers an audit, and compare that with the ledger."""

import json
import logging
import socket
import time
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from traffic.clock import now_s
from traffic.core.master.verdict import disagreement, missing

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MOST_BYTES = 1 << 20
# How long the audit is asked again: behind a cache, a replica or a queue, confirmed records may show up late.
CATCH_UP_S, ASK_AGAIN_S = 5.0, 0.5


def reconcile(host: str, run: str, counts: dict[str, int], elsewhere: int = 0) -> dict[str, Any] | None:
    """Return the target's audit of a run; None if it offers none. `agrees` says whether the report's counts allow it.

    If the target has fewer records than were delivered, ask again for `CATCH_UP_S` before that is a disagreement. It
    may have any number of the `elsewhere` records that were settled before the run moved to this target.
    """

    def fetch() -> dict[str, Any] | None:
        found = fetch_audit(host, run)
        if found is None:
            return None
        found.pop("elsewhere", None)  # only the master knows it
        return found | {"elsewhere": elsewhere} if elsewhere else found

    audit = fetch()
    deadline = now_s() + CATCH_UP_S
    if _is_short(audit, counts):
        logger.info("the target's audit has fewer records than were delivered; asking again for %g s", CATCH_UP_S)
    while _is_short(audit, counts) and now_s() < deadline:
        time.sleep(ASK_AGAIN_S)
        audit = fetch() or audit
    return audit and {**audit, "agrees": agrees(audit, counts)}


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


def _get(url: str) -> Any:
    # No proxy, because the records were sent without one.
    opener = build_opener(ProxyHandler({}))
    with opener.open(Request(url, headers={"Accept": "application/json"}), timeout=TIMEOUT_S) as answer:  # noqa: S310 - http(s) only, see fetch_audit
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


def _get_over_unix(url: SplitResult) -> Any:
    """As `_get`, for a host that is the percent-encoded path of a socket. HTTPError if the answer is not 200."""
    connection = _OverUnix(unquote(url.netloc.rpartition("@")[2]))
    with closing(connection):
        connection.request("GET", f"{url.path}?{url.query}", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise HTTPError(url.geturl(), answer.status, answer.reason, answer.headers, None)
        return json.loads(answer.read(MOST_BYTES))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def agrees(audit: dict[str, Any], counts: dict[str, int]) -> bool:
    """Return whether the report's counts allow what the target has stored."""
    return not disagreement(audit, counts)
