"""What the benches ask of a master's web UI, and how they wait."""

import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

LOOK_S = 0.002
DEADLINE_S = 120.0


def until(condition: Callable[[], bool], what: str, log: Path, seconds: float = DEADLINE_S) -> None:
    """Wait for a condition; end the bench, with the log, if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not in {seconds:g} s: {what}\n{log.read_text()[-3000:]}")
        time.sleep(LOOK_S)


def fetch(url: str, form: dict[str, object] | None = None) -> str:
    """Return the answer to a GET, or to a form; empty if nobody answers yet."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    try:
        with urllib.request.urlopen(url, data, timeout=DEADLINE_S) as answer:
            said: bytes = answer.read()
            return said.decode()
    except (urllib.error.URLError, ConnectionError):
        return ""
