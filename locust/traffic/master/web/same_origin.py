"""Keeps other sites' pages from acting on the master through a person's browser, and from reading what it says.

The rule that this module guards: what a browser sends by itself from another site's page changes nothing here. A
browser says where a request comes from (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/; the Origin header,
RFC 6454), and a page cannot make it lie. Programs such as curl say nothing, and pass: they are no one's browser.
Nor may such a page pass for this master's own: `hosts` says by which names the master is asked. No page of it, nor of
Locust, is shown in the frame of another site, and no cookie of it goes with what another site's page sends.
"""

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Response, request

from traffic.locust_patches.web_ui import guard_every_request
from traffic.master.web.hosts import AllowedHosts
from traffic.master.web.routes import Routes, answer, refuse

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
# For Locust's pages, whose scripts stand in them.
FRAMES = "frame-ancestors 'self'"
# The hosts that are named in the log, each once.
MOST_NAMED = 100


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


class SameOriginGuard:
    """Looks at every request before any view does, Locust's own included, and at every answer after."""

    def __init__(self, site: Routes) -> None:
        self._site = site
        self._acts = tuple(site.base + act for act in LOCUSTS_ACTS)
        self._hosts = AllowedHosts(site.web_ui.host, str(site.options.traffic_allowed_hosts or ""))
        self._named: set[str] = set()
        guard_every_request(site.app, [self._refuse_other_names, self._refuse_foreign], self._seal)
        _keep_cookies_at_home(site)

    def _refuse_other_names(self) -> Response | None:
        host = request.headers.get("Host")
        if self._hosts.allow(host):
            return None
        named = repr(host[:100] if host else "")
        if named not in self._named and len(self._named) < MOST_NAMED:
            self._named.add(named)
            logger.warning("refused requests to the host %s, which --traffic-allowed-hosts does not list", named)
        remedy = "If it is one of its names, list it in --traffic-allowed-hosts (TRAFFIC_ALLOWED_HOSTS)."
        # In the terminal's words: whoever is to act on it starts the master, and may have no page.
        return answer({"error": f"This master does not answer to the host {named}. {remedy}"}, 421)

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
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        if not self._site.is_ours(request.path):
            response.headers.setdefault("Content-Security-Policy", FRAMES)
            return response
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _keep_cookies_at_home(site: Routes) -> None:
    """Have the login's cookies kept from other sites' requests, unless the locustfile has decided about them.

    Lax, not Strict: whoever comes back from another site's login arrives by a link, and brings the session along.
    """
    config = site.app.config
    config["SESSION_COOKIE_SAMESITE"] = config["SESSION_COOKIE_SAMESITE"] or "Lax"
    config.setdefault("REMEMBER_COOKIE_SAMESITE", "Lax")
    config.setdefault("REMEMBER_COOKIE_HTTPONLY", True)
    if site.web_ui.tls_cert:
        config["SESSION_COOKIE_SECURE"] = True
        config.setdefault("REMEMBER_COOKIE_SECURE", True)
