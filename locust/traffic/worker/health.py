"""Report whether this worker can do its job (has the master answered it lately?), for a container's health check.

A worker has no HTTP port, so it touches a file (TRAFFIC_HEALTH_FILE) whenever the master answers. `traffic health`
checks how old that file is.
"""

import logging
import os
import time
from pathlib import Path

logger = logging.getLogger(__name__)

FRESH_S = 10.0
EVERY_S = 1.0
_last = -EVERY_S


def _file() -> Path | None:
    name = os.environ.get("TRAFFIC_HEALTH_FILE", "")
    return Path(name) if name else None


def touch() -> None:
    """Touch the file, at most once a second; do nothing if none is named.

    The caller handles a message and cannot act on a full disk, so a failure is logged.
    """
    global _last  # noqa: PLW0603 - one process, one file
    file, now = _file(), time.monotonic()
    if file is not None and now - _last >= EVERY_S:
        _last = now
        try:
            file.touch()
        except OSError as error:
            logger.warning(
                "the health file %s cannot be touched (%s): this worker will count as unhealthy", file, error
            )


def check() -> str | None:
    """Return what is wrong; None if the master has answered lately."""
    file = _file()
    if file is None:
        return "TRAFFIC_HEALTH_FILE names no file"
    try:
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return f"the master has never answered this worker ({file} is not there)"
    except OSError as error:
        return f"TRAFFIC_HEALTH_FILE cannot be read ({file}: {error.strerror})"
    return None if age < FRESH_S else f"the master has not answered for {age:.0f} s"
