"""Say what answers of one kind have in common, so that a thousand that differ in an id are shown as one."""

import re

from traffic.core.excerpt import Excerpt

LONGEST = 160
# What differs from one answer to the next though they say the same: UUIDs, addresses, times, numbers and hashes.
_VARYING = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\b(?=[a-z]*[0-9])[0-9a-f]{12,}\b"
    # A single figure behind a letter belongs to its word: <h1>, /v2/.
    r"|(?<![a-z])[0-9]+(?:[.,:TZ+-]*[0-9]+)*Z?|[0-9]{2,}",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_STANDS_FOR = "…"


def pattern_of(answer: Excerpt) -> str:
    """Return the beginning of an answer's text with what varies left out; of one that is no text, what it is."""
    text = answer.text
    if text is None:
        return f"({answer.content_type or 'no content type'}, no text)"
    made = _SPACE.sub(" ", _VARYING.sub(_STANDS_FOR, text[: 4 * LONGEST])).strip()
    location = dict(answer.fields).get("location", "")
    if location:
        made = f"Location: {_VARYING.sub(_STANDS_FOR, location)} {made}".strip()
    return made if len(made) <= LONGEST else f"{made[: LONGEST - 1]}…"
