"""Asks the target, where it can tell, what it has stored of a run, and holds it against the ledger."""

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
# An API behind a cache, a replica or a queue may show later what it has confirmed: so long it is asked again.
CATCH_UP_S, ASK_AGAIN_S = 5.0, 0.5


def reconcile(host: str, run: str, counts: dict[str, int], elsewhere: int = 0) -> dict[str, Any] | None:
    """The target's audit of a run, with `agrees`: whether it is possible by the report's counts; None if it has none.

    A target that has less than was delivered is asked again for `CATCH_UP_S` before that counts as a disagreement. Of
    those that were settled before the run moved to this target, `elsewhere`, it may have none, or all.
    """

    def fetch() -> dict[str, Any] | None:
        said = fetch_audit(host, run)
        if said is None:
            return None
        said.pop("elsewhere", None)  # it is ours to say
        return said | {"elsewhere": elsewhere} if elsewhere else said

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
    """What `GET /audit?run=` of the target says (see the API stub's docs); None where it offers no audit.

    A target that cannot be reached, or answers something else, counts as offering none; the log says so.
    """
    url = f"{host.rstrip('/')}/audit?run={quote(run)}"
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "http+unix"):
            return None
        said = _get_over_unix(parts) if parts.scheme == "http+unix" else _get(url)
    except HTTPError as error:
        logger.info("the target offers no audit (%s answered %d)", url, error.code)
        error.close()
        return None
    # A server that speaks no HTTP raises HTTPException; JSON that never closes its brackets, RecursionError.
    except (OSError, ValueError, HTTPException, RecursionError) as error:
        logger.warning("the target's audit could not be read (%s: %s)", url, error)
        return None
    if not isinstance(said, dict) or said.get("run") != run or not _is_count(said.get("stored")):
        logger.info("the target offers no audit (%s answered something else)", url)
        return None
    return said


def _get(url: str) -> Any:
    # Without a proxy, as the records were sent.
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
    """As `_get`; of a host that is the percent-encoded path of a socket. HTTPError where it does not answer 200."""
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
    """Whether what the target stored is possible by the report."""
    return not disagreement(audit, counts)
