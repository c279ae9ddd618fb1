"""Chooses a page or JSON by the Accept header (RFC 9110, 12.5.1). Rule: a page only if the header names HTML."""


def wants_html(accept: str) -> bool:
    """Return whether an Accept header prefers HTML to JSON; `*/*` alone, as curl sends it, does not."""
    html, other = 0.0, 0.0
    for given in accept.split(","):
        media_range, *parameters = given.split(";")
        kind = media_range.strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            html = max(html, _quality(parameters))
        elif kind == "application/json":
            other = max(other, _quality(parameters))
    return html > other


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
