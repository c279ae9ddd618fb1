"""Replays a file of records through Locust's workers, each record once in total.

A locustfile imports its names from here, and that import attaches the master and the workers to Locust.
The names are imported late, so that `traffic.core` can be used without Locust, and without its monkey patching.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traffic.plugin import (
        Answer,
        AtLeastOnce,
        AtMostOnce,
        Outcome,
        RecordUser,
        ReplayUser,
        master_of,
        only_at_stub,
        task,
    )

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "AtLeastOnce",
    "AtMostOnce",
    "Outcome",
    "RecordUser",
    "ReplayUser",
    "master_of",
    "only_at_stub",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'traffic' has no attribute {name!r}")
    from traffic import plugin  # noqa: PLC0415 - see above

    return getattr(plugin, name)
