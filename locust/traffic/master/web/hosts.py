"""Decide by which host names the master may be addressed.

The rule that this module guards: a page of another site cannot pass for this master's own by having its name point here
(DNS rebinding). A browser puts the host of its address line into `Host`, and a page cannot make it lie. So a request is
answered only if it names loopback, the address that the web UI is bound to, or a host that --traffic-allowed-hosts
lists.

Only a name can be made to point elsewhere, an address in numbers cannot. So if the web UI is bound to every address of
the machine, every address passes: behind a published port the machine's own addresses are not known here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from traffic.settings import SettingsError

ANY = "*"
# The values of --web-host that bind the web UI to every address.
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
HIGHEST_PORT = 65535
_NAME, _IPV6 = r"[A-Za-z0-9_.-]{1,255}", r"\[[0-9A-Fa-f:.]{2,64}(?:%[A-Za-z0-9_.-]{1,32})?\]"
_PATTERN = re.compile(rf"(?P<name>{_NAME}|{_IPV6})(?::(?P<port>[0-9]{{1,5}}))?")


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host in the form that is compared: without case, final dot or IPv6's brackets. `port` None matches any."""

    name: str
    port: int | None = None

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The address, if the host is one in numbers; None for a name."""
        try:
            found = ip_address(self.name)
        except ValueError:
            return None
        return getattr(found, "ipv4_mapped", None) or found


def parse_host(text: str) -> HostPort | None:
    """Read `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`; return None for anything else."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        return None
    name = match["name"].strip("[]").lower().removesuffix(".")
    port = int(match["port"]) if match["port"] else None
    if not name or (port is not None and port > HIGHEST_PORT):
        return None
    host = HostPort(name, port)
    return HostPort(str(host.address), port) if host.address else host


def entries_of(listed: str) -> list[str]:
    """Return the entries of a list in an option: between them stand commas or spaces."""
    return [entry for entry in re.split(r"[\s,]+", listed) if entry]


class AllowedHosts:
    """The hosts that this master answers to. SettingsError if `listed` has an entry that is no host."""

    def __init__(self, web_host: str, listed: str) -> None:
        self._every_number = web_host in EVERYWHERE
        entries = entries_of(listed)
        self.any = ANY in entries
        self._allowed = frozenset(_listed(entry for entry in entries if entry != ANY))
        if not self._every_number:
            bound = parse_host(f"[{web_host}]" if ":" in web_host else web_host)
            self._allowed |= {bound} if bound else frozenset()

    def allow(self, host: str | None) -> bool:
        """Return whether a request with this Host may be answered. One without a Host comes from no browser."""
        if host is None or self.any:
            return True
        requested = parse_host(host)
        if requested is None:
            return False
        if _is_loopback(requested) or (self._every_number and requested.address is not None):
            return True
        return requested in self._allowed or HostPort(requested.name) in self._allowed


def _is_loopback(requested: HostPort) -> bool:
    # No one can own a name below localhost, and no resolver asks the network for one (RFC 6761 6.3).
    name, address = requested.name, requested.address
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def _listed(entries: Iterable[str]) -> Iterable[HostPort]:
    for entry in entries:
        # IPv6 may be written without brackets if no port follows.
        read = parse_host(entry) or (parse_host(f"[{entry}]") if entry.count(":") > 1 else None)
        if read is None:
            rule = "--traffic-allowed-hosts must list hosts, such as load.example or load.example:8089"
            remedy = "Set TRAFFIC_ALLOWED_HOSTS to names with commas between them, or to * for any."
            raise SettingsError(f"{rule}, not {entry[:100]!r}. {remedy}")
        yield read
