"""Finds what a person may not know of this process's environment. Each function explains one such thing.

All are pure but `with_proxy`: the standard library reads proxies from `os.environ` by its own rules.
"""

import difflib
import ipaddress
import socket
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

PREFIX = "TRAFFIC_"
# Set by docker-compose.yml: the API stub's address in the stack. If it is set, localhost is the container itself.
COMPOSE_API = "TRAFFIC_COMPOSE_API"
# The address of the API stub, if this stack has one: tasks that are only for it are done there.
STUB = "TRAFFIC_STUB"
# The secret of master and workers, or the file that has it, and whether there must be one.
SECRET_FILE, SECRET, SECRET_REQUIRED = "TRAFFIC_SECRET_FILE", "TRAFFIC_SECRET", "TRAFFIC_SECRET_REQUIRED"
# Variables that the program reads, and that are no options.
NO_OPTIONS = frozenset(
    {"TRAFFIC_HEALTH_FILE", "TRAFFIC_STATUS_FD", COMPOSE_API, STUB, SECRET, SECRET_FILE, SECRET_REQUIRED}
)
# How similar two names are, without the prefix, from 0 to 1. WATI and WAIT: 0.75.
MISTYPED, LIKE = 0.7, 0.4


def mistyped(environment: Mapping[str, str], options: Collection[str]) -> Iterator[str]:
    """Yield a fault for each variable that is nearly an option's: the run would not be what the person wants.

    `options` are the names of the options, such as `traffic_wait`. An empty variable is not set.
    """
    for name, like in _unknown(environment, options, MISTYPED):
        if like:
            yield f"the variable {name} is no option of this program, but nearly {like}. Set that one, or unset {name}."


def unknown(environment: Mapping[str, str], options: Collection[str]) -> Iterator[str]:
    """Yield a warning for each variable with our prefix that changes nothing, with the option most similar to it."""
    for name, like in _unknown(environment, options, LIKE):
        meant = f" The most similar option is {like}." if like else ""
        yield f"the variable {name} is no option of this program, and changes nothing.{meant}"


def _unknown(
    environment: Mapping[str, str], options: Collection[str], alike: float
) -> Iterator[tuple[str, str | None]]:
    known = {option.upper() for option in options}
    names = [name.removeprefix(PREFIX) for name in sorted(known)]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known | NO_OPTIONS and environment[name]:
            likeliest = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=alike)
            yield name, PREFIX + likeliest[0] if likeliest else None


def own_loopback(host: str, environment: Mapping[str, str]) -> str | None:
    """Return that a host is this container itself, and what to write instead; None if it is not."""
    stub, parts = environment.get(COMPOSE_API), urlsplit(host)
    if not stub or not _is_loopback(parts.hostname or ""):
        return None
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # a port beyond 65535, which is reported elsewhere
        port = ""
    return (
        f"in a container {parts.hostname} is the container itself, and no API listens there. Write {stub} for the API "
        f"stub of this stack (TARGET_HOST left empty is that), or {parts.scheme}://host.docker.internal{port} for an "
        "API on the machine that runs Docker"
    )


def _is_loopback(name: str) -> bool:
    name = name.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(_dotted(name))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _dotted(name: str) -> str:
    """Write an IPv4 address in full: 127.1 is 127.0.0.1 to the system."""
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return name


def with_proxy(stalled: str, host: str) -> str:
    """Add to the reason that an API cannot be reached that a proxy is set and not used, if so; keep other reasons."""
    parts = urlsplit(host)
    proxies = getproxies_environment()
    kind = next((kind for kind in (parts.scheme, "all") if proxies.get(kind)), None)
    if "API" not in stalled or kind is None or not parts.hostname or proxy_bypass(parts.hostname):
        return stalled
    return f"{stalled}; {kind.upper()}_PROXY is set, and not used: the users connect to the API itself"
