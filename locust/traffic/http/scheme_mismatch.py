"""How it shows that the host says http where the API's port speaks TLS, or the other way round.

No request can have reached the API then: the run is to be paused, and to say what to write.
"""

import re
import ssl

# The first bytes of what a server says in TLS, an alert or a handshake (RFC 8446 5.1), where HTTP was to be spoken.
_RECORDS = (b"\x15\x03", b"\x16\x03")
# What servers say that were asked in plain HTTP at a port of TLS: nginx, Go, Apache, lighttpd.
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
    """Whether what came in place of an HTTP answer is the beginning of TLS."""
    return data[:2] in _RECORDS


def asks_for_tls(status: int, content: bytes) -> bool:
    """Whether an answer says that its port speaks TLS, and took no plain request."""
    return status == _BAD_REQUEST and _SAYS_TLS.search(content) is not None


def met_plain(error: object) -> bool:
    """Whether a handshake failed because the server does not speak TLS."""
    return isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
