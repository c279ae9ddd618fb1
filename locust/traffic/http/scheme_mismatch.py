"""Recognize that the host says http while the API's port speaks TLS, or the other way round.

No request can have reached the API then: the run pauses, and its reason says what to write.
"""

import re
import ssl

# The first bytes of an alert or a handshake of TLS (RFC 8446 5.1).
_RECORDS = (b"\x15\x03", b"\x16\x03")
# What nginx, Go, Apache and lighttpd answer to plain HTTP at a port of TLS.
_SAYS_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|plain HTTP to an SSL-enabled server",
    re.IGNORECASE,
)
_BAD_REQUEST = 400


class WrongSchemeError(OSError):
    """The API's port speaks TLS and the host says http, or the other way round: no request can have reached it."""


WRITE_HTTPS = "this port speaks TLS: write https:// in the host"
WRITE_HTTP = "this port does not speak TLS: write http:// in the host"


def begins_tls(data: bytes) -> bool:
    """Return whether the bytes that came instead of an HTTP answer begin TLS."""
    return data[:2] in _RECORDS


def asks_for_tls(status: int, content: bytes) -> bool:
    """Return whether an answer says that its port speaks TLS and accepts no plain request."""
    return status == _BAD_REQUEST and _SAYS_TLS.search(content) is not None


def met_plain(error: object) -> bool:
    """Return whether a handshake failed because the server does not speak TLS."""
    return isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
