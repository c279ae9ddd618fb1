"""Believe what a trusted reverse proxy says of a request: the name, scheme and prefix by which a person has asked.

The rule that this module guards: only a peer whose address --traffic-trusted-proxies lists is believed. Anybody else
could name the host that `hosts` allows, and so pass for this master's own page.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

from traffic.master.web.hosts import HostPort, entries_of
from traffic.settings import SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Network = IPv4Network | IPv6Network


class TrustedProxies:
    """A WSGI application before another: it applies X-Forwarded-Host, -Proto, -Port, -Prefix and -For of a proxy."""

    def __init__(self, app: "WSGIApplication", networks: Iterable[Network]) -> None:
        self._app, self._networks = app, tuple(networks)
        # Of each header the last value counts: the one that the trusted proxy itself has added.
        self._behind_proxy = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass a request on, as a person has sent it to the proxy."""
        trusted = self.trusts(environ.get("REMOTE_ADDR", ""))
        return (self._behind_proxy if trusted else self._app)(environ, start_response)

    def trusts(self, peer: str) -> bool:
        """Return whether the peer's address is that of a trusted proxy."""
        address = HostPort(peer.partition("%")[0]).address  # a Unix socket has none
        return address is not None and any(address in network for network in self._networks)


def read_networks(listed: str) -> list[Network]:
    """Return the networks that --traffic-trusted-proxies lists. SettingsError if an entry is none."""
    found: list[Network] = []
    for entry in entries_of(listed):
        try:
            found.append(ip_network(entry))
        except ValueError:
            rule = "--traffic-trusted-proxies must list addresses or networks, such as 10.0.0.7 or 172.16.0.0/12"
            remedy = "Set TRAFFIC_TRUSTED_PROXIES to those of your proxies, with commas between them."
            raise SettingsError(f"{rule}, not {entry[:100]!r}. {remedy}") from None
    return found
