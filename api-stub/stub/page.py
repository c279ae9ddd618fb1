"""The pages for people: the newest messages, and the API's reference. Rule: text from others is escaped."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from stub.documents import Summary
from stub.message import split_key

# The browser loads nothing from elsewhere, and would not run a script that got through the escaping.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

_TEMPLATES = Path(__file__).parent / "templates"
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def hue(name: str) -> int:
    """Return the hue of a name's badge, in degrees: the same for the same name everywhere."""
    return zlib.crc32(name.encode()) % 360


def code(text: str) -> Markup:
    """Mark text between backquotes up as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def second(moment: str) -> str:
    """Format a time for people, to the second."""
    return f"{moment[:10]} {moment[11:19]} UTC"


def kind(schema: dict[str, Any]) -> str:
    """Return a member's types, as in `integer or null`, or the name of its document."""
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(schema["enum"])
    return str(schema.get("type") or schema["$ref"].rpartition("/")[2])


_ENVIRONMENT.filters.update(second=second, hue=hue, code=code, kind=kind)


def messages_page(messages: Sequence[Summary], stored: int, older: str | None, first: bool, server: str) -> str:
    """Return the page of the newest messages."""
    return _ENVIRONMENT.get_template("messages.html").render(
        messages=messages,
        servers=sorted(Counter(m.server for m in messages).items()),
        run=next((run for m in messages if (run := split_key(m.key)[0])), None),
        stored=stored,
        older=older,
        first=first,
        server=server,
    )


def script() -> str:
    """Return the script of that page."""
    return (_TEMPLATES / "page.js").read_text(encoding="utf-8")


def docs_page(description: dict[str, Any]) -> str:
    """Return the API's description as a page."""
    return _ENVIRONMENT.get_template("docs.html").render(api=description)
