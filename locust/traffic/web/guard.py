"""Keeps other sites' pages from acting on the master through a person's browser, and from reading what it says.

The rule that this module guards: what a browser sends by itself from another site's page changes nothing here. A
browser says where a request comes from (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/; the Origin header,
RFC 6454), and a page cannot make it lie. Programs such as curl say nothing, and pass: they are no one's browser.
"""

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Response, request

from traffic.web.site import Site, refuse

logger = logging.getLogger(__name__)

HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
# Locust's own acts, whatever the method by which some release of it takes them.
LOCUSTS_ACTS = ("/stop", "/stats/reset")
OURS = ("same-origin", "none")
_PORTS = {"http": 80, "https": 443}
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)


def foreign(headers: Mapping[str, str]) -> str:
    """From where a request comes that another site's page had a browser send; empty where it is not such a one.

    Sec-Fetch-Site decides where it is there; else Origin, else Referer, each of which must name the Host.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return "" if site in OURS else f"{site} page"
    for name in ("Origin", "Referer"):
        if (said := headers.get(name)) is not None:
            return "" if _names(said, headers.get("Host", "")) else f"page of {said[:200]}"
    return ""


def _names(url: str, host: str) -> bool:
    """Whether an address is on this host and port. Names are compared without case, a scheme's own port is none."""
    try:
        parts, here = urlsplit(url), urlsplit(f"//{host}")
        port = _PORTS.get(parts.scheme)
        return bool(host) and (parts.hostname, parts.port or port) == (here.hostname, here.port or port)
    except ValueError:
        return False


class Guard:
    """Looks at every request before any view does, Locust's own included, and at every answer after."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._acts = tuple(site.base + act for act in LOCUSTS_ACTS)
        site.app.before_request(self._refuse_foreign)
        # The first of these is called last: what Locust lets any site read is taken back here.
        site.app.after_request_funcs.setdefault(None, []).insert(0, self._seal)

    def _refuse_foreign(self) -> Response | None:
        if request.method in HARMLESS and request.path not in self._acts:
            return None
        source = foreign(dict(request.headers))
        if not source:
            return None
        logger.warning("refused %s %s, sent by a %s", request.method, request.path, source)
        return refuse(403, f"This was sent by a {source}, not by this master's own page.")

    def _seal(self, response: Response) -> Response:
        for name in [name for name, _ in response.headers if name.lower().startswith("access-control-")]:
            response.headers.remove(name)
        path, ours = request.path, f"{self._site.base}/traffic"
        if path != ours and not path.startswith(ours + "/"):
            return response
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response
