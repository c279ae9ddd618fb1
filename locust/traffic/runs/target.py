"""Where a run's records go, and whether two addresses are the same API's."""

from typing import Any
from urllib.parse import urlsplit

from traffic.runs.run_metadata import RunMetadata

_PORTS = {"http": 80, "https": 443}


def same_host(one: str, other: str) -> bool:
    """Whether two addresses lead to the same API: case, a scheme's own port and a slash at the end make no difference.

    Two names of one machine are two APIs here: nobody can tell without asking it.
    """
    return _plain(one) == _plain(other)


def _plain(address: str) -> tuple[object, ...]:
    parts = urlsplit(address.strip().rstrip("/"))
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return (address,)
    # Beside http and https, the path of a socket stands in the host's place, and its case counts.
    host = parts.hostname if parts.scheme in _PORTS else parts.netloc
    return parts.scheme, parts.username, parts.password, host, port, parts.path


def describe_target(metadata: RunMetadata) -> dict[str, Any]:
    """What a status and a report say of how a run's records are sent: to where, and by how many users; times in s."""
    terms = metadata.terms
    return {
        "target": {"host": metadata.host, "path": terms.path, "method": terms.method},
        "users": metadata.users,
        "spawn_rate": metadata.spawn_rate,
        "wait": list(terms.wait),
    }
