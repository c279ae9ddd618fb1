"""Describe where a run's records go, and compare the addresses of two APIs."""

from typing import Any
from urllib.parse import urlsplit

from traffic.core.pace.config import PaceConfig, RecordedPace
from traffic.runs.run_metadata import RunMetadata

_PORTS = {"http": 80, "https": 443}


def same_host(one: str, other: str) -> bool:
    """Return whether two addresses are the same API's, whatever their case, default port and slash at the end.

    Two names of one machine count as two APIs: only the machine could say otherwise.
    """
    return _plain(one) == _plain(other)


def _plain(address: str) -> tuple[object, ...]:
    parts = urlsplit(address.strip().rstrip("/"))
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return (address,)
    # If the scheme is neither http nor https, the path of a socket stands in the host's place, and its case counts.
    host = parts.hostname if parts.scheme in _PORTS else parts.netloc
    return parts.scheme, parts.username, parts.password, host, port, parts.path


def describe_target(metadata: RunMetadata) -> dict[str, Any]:
    """Return what a status and a report say of a run's target, users and pace; times in seconds."""
    terms = metadata.terms
    return {
        "target": {"host": metadata.host, "path": terms.path, "method": terms.method},
        "users": metadata.users,
        "spawn_rate": metadata.spawn_rate,
        "wait": list(terms.wait),
        "pace": None if (pace := metadata.pace) is None else _describe_pace(pace, terms.catch_up),
    }


def _describe_pace(pace: PaceConfig | RecordedPace, catch_up: float) -> dict[str, Any]:
    if isinstance(pace, RecordedPace):
        said = {"mode": "time", "profile": pace.present_rate, "arrivals": "recorded", "catch_up": catch_up}
        return said | {"field": pace.field, "format": pace.format, "speed": pace.speed, "max_gap_s": pace.max_gap}
    changes = [{"from": round(one.at, 3), "profile": one.rate} for one in pace.changes]
    present = {"mode": "rate", "profile": pace.present_rate, "arrivals": pace.arrivals, "catch_up": catch_up}
    return present | {"changes": changes}
