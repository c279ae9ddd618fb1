"""Requests that ask for another protocol. Rule: the stub speaks HTTP/1.1 alone and ignores the `Upgrade` header.

A server may ignore `Upgrade` (RFC 9110, 7.8). The parser cannot: after such a head it stops and reads no body, because
it expects the other protocol. The body does follow, and if it were read as a request it would be one that nobody sent.
So a new parser gets the head without that header, and reads the body by its framing, as any other.
"""

import httptools

from stub.problem import Problem

Headers = list[tuple[bytes, bytes]]


def make_parser(protocol: object) -> httptools.HttpRequestParser:
    """Return a parser with uvicorn's settings: it ignores what follows a request with `Connection: close`."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """Return a request's head without its `Upgrade`. Raises Problem if a value would break out of its line."""
    lines = [method + b" " + url + b" HTTP/" + version.encode()]
    lines += [name + b": " + value for name, value in headers if name != b"upgrade"]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise Problem(400, "a header line of the request continues on the next line")
    return b"\r\n".join(lines) + b"\r\n\r\n"
