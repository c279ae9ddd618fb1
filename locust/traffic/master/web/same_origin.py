"""Keep other sites' pages from acting on the master through a person's browser, and from reading its answers.

The rule that this module guards: a request that a browser sends for another site's page changes nothing here. A browser
says where a request comes from (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/; the Origin header, RFC 6454),
and a page cannot make it lie. Programs such as curl send none of these headers, and pass. Another site's page cannot
pass for this master's own either: `hosts` checks by which name the master is addressed. No page of the master, nor of
Locust, is shown in another site's frame, and no cookie goes with requests of other sites' pages.
"""

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Response, request

from traffic.locust_patches.web_ui import guard_every_request
from traffic.master.web.hosts import AllowedHosts
from traffic.master.web.page_html import SCRIPT_SOURCE
from traffic.master.web.routes import Routes, answer

logger = logging.getLogger(__name__)

HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
# Locust's own acts, checked for every method: releases differ in which they accept.
LOCUSTS_ACTS = ("/stop", "/stats/reset")
OURS = ("same-origin", "none")
_PORTS = {"http": 80, "https": 443}
POLICY = (
    f"default-src 'self'; script-src 'self' {SCRIPT_SOURCE}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
# For Locust's pages, which have inline scripts.
FRAMES = "frame-ancestors 'self'"
# At most so many refused hosts are logged, each once.
MOST_NAMED = 100


def foreign_source(headers: Mapping[str, str]) -> str:
    """Return the source of a request that a browser sent for another site's page; empty for any other request.

    Sec-Fetch-Site decides if it is there; else Origin, else Referer, each of which must name the Host.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return "" if site in OURS else f"{site} page"
    for name in ("Origin", "Referer"):
        if (url := headers.get(name)) is not None:
            return "" if _is_own_url(url, headers.get("Host", "")) else f"page of {url[:200]}"
    return ""


def _is_own_url(url: str, host: str) -> bool:
    """Return whether a URL is on this host and port. Case makes no difference, nor does a scheme's own port."""
    try:
        parts, here = urlsplit(url), urlsplit(f"//{host}")
        port = _PORTS.get(parts.scheme)
        return bool(host) and (parts.hostname, parts.port or port) == (here.hostname, here.port or port)
    except ValueError:
        return False


def _behind_proxy(headers: Mapping[str, str]) -> str:
    """Return what to set if the page may be this master's own, and a reverse proxy has changed its name."""
    if "Sec-Fetch-Site" in headers:
        return ""  # the browser knows better
    named = headers.get("X-Forwarded-Host") or "the page's name"
    here = headers.get("Host", "")[:100]
    return (
        f" If it is, behind a reverse proxy: that proxy asks for the host {here!r}. Let it pass on the browser's Host "
        "(nginx: proxy_set_header Host $host), or have it send X-Forwarded-Host and list its address in "
        f"--traffic-trusted-proxies (TRAFFIC_TRUSTED_PROXIES); and list {named[:100]} in --traffic-allowed-hosts "
        "(TRAFFIC_ALLOWED_HOSTS)."
    )


class SameOriginGuard:
    """Checks every request before its view, Locust's own included, and completes the headers of every answer."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._acts = tuple(routes.base + act for act in LOCUSTS_ACTS)
        self._hosts = AllowedHosts(routes.web_ui.host, str(routes.options.traffic_allowed_hosts or ""))
        self._named: set[str] = set()
        guard_every_request(routes.app, [self._refuse_other_names, self._refuse_foreign], self._seal)
        _keep_cookies_at_home(routes)

    def _refuse_other_names(self) -> Response | None:
        host = request.headers.get("Host")
        if self._hosts.allow(host):
            return None
        named = repr(host[:100] if host else "")
        if named not in self._named and len(self._named) < MOST_NAMED:
            self._named.add(named)
            logger.warning("refused requests to the host %s, which --traffic-allowed-hosts does not list", named)
        remedy = "If it is one of its names, list it in --traffic-allowed-hosts (TRAFFIC_ALLOWED_HOSTS)."
        # In the terminal's words: who can act on it starts the master, and may have no page.
        return answer({"error": f"This master does not answer to the host {named}. {remedy}"}, 421)

    def _refuse_foreign(self) -> Response | None:
        if request.method in HARMLESS and request.path not in self._acts:
            return None
        source = foreign_source(dict(request.headers))
        if not source:
            return None
        logger.warning("refused %s %s, sent by a %s", request.method, request.path, source)
        text = f"This was sent by a {source}, not by this master's own page."
        # In the terminal's words, as above.
        return answer({"error": text + _behind_proxy(dict(request.headers))}, 403)

    def _secure_cookies(self, response: Response) -> None:
        """Let no cookie that was set over https go over http; behind a proxy, only the request says which it was."""
        cookies = response.headers.getlist("Set-Cookie")
        if cookies and request.is_secure:
            response.headers.setlist("Set-Cookie", [one if "; Secure" in one else f"{one}; Secure" for one in cookies])

    def _seal(self, response: Response) -> Response:
        for name in [name for name, _ in response.headers if name.lower().startswith("access-control-")]:
            response.headers.remove(name)
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        self._secure_cookies(response)
        if not self._routes.is_ours(request.path):
            response.headers.setdefault("Content-Security-Policy", FRAMES)
            return response
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _keep_cookies_at_home(routes: Routes) -> None:
    """Keep the login's cookies out of other sites' requests, unless the locustfile has set them itself.

    Lax, not Strict: a person who comes back from another site's login arrives by a link, and keeps the session.
    """
    config = routes.app.config
    config["SESSION_COOKIE_SAMESITE"] = config["SESSION_COOKIE_SAMESITE"] or "Lax"
    config.setdefault("REMEMBER_COOKIE_SAMESITE", "Lax")
    config.setdefault("REMEMBER_COOKIE_HTTPONLY", True)
    if routes.web_ui.tls_cert:
        config["SESSION_COOKIE_SECURE"] = True
        config.setdefault("REMEMBER_COOKIE_SECURE", True)
